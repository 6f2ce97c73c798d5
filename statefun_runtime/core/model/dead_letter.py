"""Dead letters: what was given up, with everything that is needed to see why and to send it again.

A dead letter is one JSON object, so that any tool can read it; bytes in it are base64. It stands for an invocation
that its function could not get past, or for a record of an ingress that could not be routed. `invocation` is there
where it can be sent again as it is.
"""

import json
from base64 import b64decode, b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from statefun_runtime.core.model.address import Address, TypeName
from statefun_runtime.core.model.messages import field, read_fields

KAFKA_RECORD = "type.googleapis.com/io.statefun.sdk.egress.KafkaProducerRecord"
KINESIS_RECORD = "type.googleapis.com/io.statefun.sdk.egress.KinesisEgressRecord"
PLAYGROUND_RECORD = "io.statefun.playground/EgressRecord"
_TEXT_MAX = 1024


@dataclass(frozen=True, slots=True)
class Origin:
    """A record of an ingress, or for an egress: whose, where it was read or should go, and what it held.

    `component` is such as `ingress shop.io/orders`; `split` is the topic partition or shard, of an egress the topic.
    """

    component: str
    split: str
    position: str
    key: bytes | None
    value: bytes | None


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One thing that was given up; `reason` is a word for machines, `error` is for people.

    `id` is never given twice by an application, so that sending a letter again takes effect once.
    """

    id: str
    time_ms: int
    reason: str
    error: str
    target: Address | None = None
    invocation: bytes | None = None
    attempts: int = 0
    endpoint: str | None = None
    origin: Origin | None = None

    def key(self) -> bytes:
        """Return what the record that carries the letter is keyed by: letters of one function id stay in order."""
        if self.target is not None:
            return self.target.id.encode()
        return (self.origin.key if self.origin else None) or b""

    def to_json(self) -> bytes:
        """Return the letter as one line of JSON."""
        content: dict[str, Any] = {
            "id": self.id,
            "time": datetime.fromtimestamp(self.time_ms / 1000, UTC).isoformat(
                timespec="milliseconds"
            ),
            "reason": self.reason,
            "error": self.error,
        }
        if self.target is not None:
            content["target"] = _address_json(self.target)
        if self.invocation is not None:
            content |= _invocation_json(self.invocation)
        if self.endpoint is not None:
            content |= {"attempts": self.attempts, "endpoint": self.endpoint}
        if self.origin is not None:
            content["record"] = {
                "component": self.origin.component,
                "split": self.origin.split,
                "position": self.origin.position,
                "key": _to_text(self.origin.key),
                "value": _to_text(self.origin.value),
            }
        return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()


def read_letter(line: bytes | str) -> DeadLetter:
    """Read what `to_json` made; raise ValueError, saying what is wrong, if it is something else."""
    try:
        content = json.loads(line)
        target, record = content.get("target"), content.get("record")
        return DeadLetter(
            id=_text(content["id"]),
            time_ms=round(datetime.fromisoformat(content["time"]).timestamp() * 1000),
            reason=_text(content["reason"]),
            error=_text(content["error"]),
            target=target and Address(TypeName.parse(target["type"]), _text(target["id"])),
            invocation=_to_bytes(content.get("invocation")),
            attempts=int(content.get("attempts", 0)),
            endpoint=content.get("endpoint"),
            origin=record
            and Origin(
                record["component"],
                record["split"],
                record["position"],
                _to_bytes(record["key"]),
                _to_bytes(record["value"]),
            ),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not a dead letter: {type(error).__name__}: {error}") from error


def text_record_for(topic: str, letter: DeadLetter) -> bytes:
    """Return the record of the playground's egress that carries a letter to a topic."""
    return json.dumps({"topic": topic, "payload": letter.to_json().decode()}).encode()


def keyed_record_for(topic: str, letter: DeadLetter, *, key_if_none: bytes = b"") -> bytes:
    """Return the record of Kafka or Kinesis that carries a letter to a topic or stream: key, value, topic.

    Both have the same fields.
    """
    key = letter.key() or key_if_none
    head = field(b"\x0a", key) if key else b""
    return head + field(b"\x12", letter.to_json()) + field(b"\x1a", topic.encode())


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"text is expected, found {value!r}")
    return value


def _to_text(data: bytes | None) -> str | None:
    return None if data is None else b64encode(data).decode()


def _to_bytes(text: str | None) -> bytes | None:
    return None if text is None else b64decode(text, validate=True)


def _address_json(address: Address) -> dict[str, str]:
    return {"type": str(address.type), "id": address.id}


def _invocation_json(invocation: bytes) -> dict[str, Any]:
    """Return an invocation as it is, and what a person wants to see of it."""
    content: dict[str, Any] = {"invocation": _to_text(invocation)}
    try:
        parts = dict(read_fields(dict(read_fields(invocation))[3]))
        if 1 in parts:
            caller = {number: value.decode() for number, value in read_fields(parts[1])}
            content["caller"] = {
                "type": f"{caller.get(1, '')}/{caller.get(2, '')}",
                "id": caller.get(3, ""),
            }
        content["argument"] = dict(_argument_json(parts.get(2, b"")))
    except (ValueError, KeyError):
        # A function may send what is no typed value: the bytes are there, and that is all that can be said.
        pass
    return content


def _argument_json(typed_value: bytes) -> Iterator[tuple[str, Any]]:
    parts = dict(read_fields(typed_value))
    value = parts.get(3, b"")
    yield "typename", parts.get(1, b"").decode()
    yield "bytes", len(value)
    if len(value) <= _TEXT_MAX:
        try:
            text = value.decode()
        except ValueError:
            return
        if text.isprintable():
            yield "text", text
