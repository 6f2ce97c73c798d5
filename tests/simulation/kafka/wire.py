"""The wire contract as the functions of a simulation need it: requests taken apart, replies put together."""

from dataclasses import dataclass, field

from statefun_runtime.core.model.messages import field as part
from statefun_runtime.core.model.messages import read_varint, typed_value, varint

STATE_TYPE, TEXT_TYPE = "sim/state", "sim/text"
KAFKA_RECORD = "type.googleapis.com/io.statefun.sdk.egress.KafkaProducerRecord"
WEB_RECORD = "io.statefun.playground/EgressRecord"


def fields(data: bytes) -> list[tuple[int, bytes]]:
    """Return the length-delimited fields of a message; numbers are left out."""
    found, offset = [], 0
    while offset < len(data):
        tag, offset = read_varint(data, offset)
        size, offset = read_varint(data, offset)
        if tag & 7 == 2:
            found.append((tag >> 3, data[offset : offset + size]))
            offset += size
    return found


@dataclass(frozen=True)
class Request:
    """A ToFunction: the address called, its state `s` (None: not sent), and (caller, text) per invocation."""

    type: str
    id: str
    state: bytes | None
    invocations: list[tuple[str, str]]


def parse_request(body: bytes) -> Request:
    ((_, batch),) = fields(body)
    target, state = ("", ""), None
    invocations = []
    for number, content in fields(batch):
        inner = dict(fields(content))
        if number == 1:
            target = inner[2].decode(), inner[3].decode()
        elif number == 2:
            state = dict(fields(inner.get(2, b""))).get(3, b"")
        else:
            caller = dict(fields(inner[1])) if 1 in inner else {}
            name = f"{caller[2].decode()}/{caller[3].decode()}" if caller else ""
            invocations.append((name, dict(fields(inner[2]))[3].decode()))
    return Request(*target, state, invocations)


def incomplete() -> bytes:
    spec = part(b"\x0a", b"s") + part(b"\x1a", STATE_TYPE.encode())
    return part(b"\xaa\x06", part(b"\x0a", spec))


def _address(target: str) -> bytes:
    name, _, function_id = target.partition("/")
    return (
        part(b"\x0a", b"sim") + part(b"\x12", name.encode()) + part(b"\x1a", function_id.encode())
    )


@dataclass
class Reply:
    """A FromFunction in the making."""

    messages: list[bytes] = field(default_factory=list)
    delayed: list[bytes] = field(default_factory=list)
    egress: list[bytes] = field(default_factory=list)

    def send(self, target: str, text: str) -> None:
        argument = typed_value(TEXT_TYPE, text.encode())
        self.messages.append(
            part(b"\x12", part(b"\x0a", _address(target)) + part(b"\x12", argument))
        )

    def send_after(self, delay_ms: int, target: str, text: str, token: str = "") -> None:
        content = b"\x08" + varint(delay_ms) + part(b"\x12", _address(target))
        content += part(b"\x1a", typed_value(TEXT_TYPE, text.encode()))
        content += part(b"\x5a", token.encode()) if token else b""
        self.delayed.append(part(b"\x1a", content))

    def cancel(self, token: str) -> None:
        self.delayed.append(part(b"\x1a", b"\x50\x01" + part(b"\x5a", token.encode())))

    def record(self, egress: str, key: str, value: str) -> None:
        if egress == "web":
            typed = typed_value(WEB_RECORD, ('{"topic":"web","payload":"' + value + '"}').encode())
        else:
            record = part(b"\x0a", key.encode()) + part(b"\x12", value.encode())
            typed = typed_value(KAFKA_RECORD, record + part(b"\x1a", egress.encode()))
        name = part(b"\x0a", b"sim") + part(b"\x12", egress.encode())
        self.egress.append(part(b"\x22", name + part(b"\x1a", typed)))

    def encode(self, state: bytes) -> bytes:
        value = typed_value(STATE_TYPE, state)
        mutation = part(b"\x0a", b"\x08\x01" + part(b"\x12", b"s") + part(b"\x1a", value))
        return part(b"\xa2\x06", b"".join((mutation, *self.messages, *self.delayed, *self.egress)))
