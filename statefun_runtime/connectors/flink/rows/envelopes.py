"""Messages as StateFun keeps them: an envelope with addresses around a payload, in protobuf.

    1 source  2 target  (1 namespace  2 type  3 id)   3 payload (2 class name  3 bytes)   10 cancellation token

Typed values and invocations are passed on bit for bit.
"""

from dataclasses import dataclass

from statefun_runtime.core.model.address import Address, TypeName
from statefun_runtime.core.model.messages import address_field, field, invocation, read_fields

_TYPED_VALUE, _TO_FUNCTION = ".TypedValue", ".ToFunction"
_INVOCATION_BATCH = 100


@dataclass(frozen=True, slots=True)
class Envelope:
    """A message with where it comes from and where it goes."""

    source: Address | None
    target: Address
    class_name: str
    payload: bytes
    token: str

    @property
    def is_message(self) -> bool:
        """Whether it carries a typed value; what else there is only a function in Java can read."""
        return self.class_name.endswith(_TYPED_VALUE)

    def as_invocation(self) -> bytes:
        """Return the message as a field of a request; raise ValueError if its typed value is none."""
        assert self.is_message
        check_typed_value(self.payload)
        caller = address_field(self.source.type, self.source.id) if self.source else b""
        return invocation(caller, self.payload)


@dataclass(frozen=True, slots=True)
class Call:
    """A request that was under way: the state values that it carried, and its invocations in order."""

    target: Address
    state: dict[str, bytes]
    invocations: tuple[bytes, ...]


def read_envelope(data: bytes) -> Envelope:
    """Decode an envelope; raise ValueError if it is none."""
    source = target = None
    class_name, payload, token = "", b"", ""
    for number, content in read_fields(data):
        if number == 1:
            source = read_address(content)
        elif number == 2:
            target = read_address(content)
        elif number == 3:
            class_name, payload = _read_payload(content)
        elif number == 10:
            token = content.decode()
    if target is None:
        raise ValueError("a message has no target")
    return Envelope(source, target, class_name, payload, token)


def _read_payload(data: bytes) -> tuple[str, bytes]:
    fields = dict(read_fields(data))
    return fields.get(2, b"").decode(), fields.get(3, b"")


def read_address(data: bytes) -> Address:
    """Decode an address; raise ValueError if it is none."""
    fields = dict(read_fields(data))
    texts = [fields.get(number, b"").decode() for number in (1, 2, 3)]
    if not texts[0] or not texts[1]:
        raise ValueError(f"an address has the function type '{texts[0]}/{texts[1]}'")
    return Address(TypeName(texts[0], texts[1]), texts[2])


def read_call(envelope: Envelope) -> Call:
    """Decode the request in an envelope; raise ValueError if it is none, or of another address."""
    if not envelope.class_name.endswith(_TO_FUNCTION):
        raise ValueError(f"a call in flight carries a {envelope.class_name}")
    batch = dict(read_fields(envelope.payload)).get(_INVOCATION_BATCH)
    if batch is None:
        raise ValueError("a call in flight has no invocations")
    target = None
    state: dict[str, bytes] = {}
    invocations = []
    for number, content in read_fields(batch):
        if number == 1:
            target = read_address(content)
        elif number == 2:
            name, value = _read_state(content)
            if value:
                state[name] = value
        elif number == 3:
            invocations.append(read_invocation(content))
    if target is None or target != envelope.target:
        raise ValueError(f"a call in flight to {envelope.target} is addressed to {target}")
    if not invocations:
        raise ValueError(f"a call in flight to {target} has no invocations")
    return Call(target, state, tuple(invocations))


def _read_state(data: bytes) -> tuple[str, bytes]:
    fields = dict(read_fields(data))
    return fields.get(1, b"").decode(), fields.get(2, b"")


def read_invocation(data: bytes) -> bytes:
    """Return a message with its caller as the field of a request; raise ValueError if it is none."""
    fields = dict(read_fields(data))
    if fields.get(1):
        read_address(fields[1])
    if 2 not in fields:
        raise ValueError("an invocation carries nothing")
    check_typed_value(fields[2])
    return field(b"\x1a", data)


def check_typed_value(data: bytes) -> None:
    """Raise ValueError unless this is a typed value with the name of a type."""
    typename = dict(read_fields(data)).get(1, b"").decode()
    if "/" not in typename:
        raise ValueError(f"a typed value is of type {typename!r}")
