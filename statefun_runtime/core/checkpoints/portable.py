"""The state of an application as lines that any program can read: the schema is docs/reference/state-files.md.

    {"kind": "application", "format": 1}                      first
    function · position                                       what belongs to no address
    message · result · once · parked · state · delayed        by key group, in this order within one

A line is a mapping of texts and numbers; bytes are in base64. The same state makes the same lines, whatever store it
lies in.
"""

from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from operator import itemgetter
from typing import Any

from statefun_runtime.core.checkpoints.overlay import Row
from statefun_runtime.core.model.address import Address, TypeName
from statefun_runtime.core.model.keys import (
    STATE,
    chunk_index_key_of,
    chunk_key_of,
    egress_key,
    egress_prefix,
    once_key_of,
    parked_key_of,
    parse_address_key,
    state_key,
    timer_key,
)
from statefun_runtime.core.model.messages import (
    is_invocation,
    read_fields,
    split_fields,
    typed_value,
)
from statefun_runtime.core.model.state import (
    Values,
    decode_row,
    encode_row,
    read_state_field,
    state_field,
)
from statefun_runtime.core.partition.spill import MIDDLE_SEQUENCE, SPILL_LIMITS, Chunk
from statefun_runtime.core.partition.timers import Delayed, decode_delayed, delayed_rows

FORMAT = 1
Line = dict[str, Any]
# In the order in which a key group's lines come.
KINDS = ("message", "result", "once", "parked", "state", "delayed")


def head_line() -> Line:
    """Return the first line."""
    return {"kind": "application", "format": FORMAT}


# ── rows become lines ──


def message_lines(address: Address, invocations: bytes) -> Iterator[Line]:
    """Yield the lines of messages that wait, in their order."""
    for invocation in split_fields(invocations):
        yield {"kind": "message", **_address(address), **_message(invocation)}


def state_lines(key: bytes, row: bytes) -> Iterator[Line]:
    """Yield the lines of an address's values."""
    address, values = parse_address_key(key), decode_row(row)
    for name, stored in sorted(values.fields.items()):
        typename, value = read_state_field(stored)
        line: Line = {"kind": "state", **_address(address), "name": name, "typename": typename}
        line["value"] = _text(value)
        if stamp := (values.written_ms or {}).get(name):
            line["written_ms"] = stamp
        if values.invoked_ms:
            line["invoked_ms"] = values.invoked_ms
        yield line


def delayed_line(key: bytes, row: bytes) -> Line:
    """Return the line of a delayed message."""
    delayed = decode_delayed(row)
    line: Line = {"kind": "delayed", "sender_id": delayed.sender_id}
    line["due_ms"] = int.from_bytes(key[3:11], "big")
    if delayed.token:
        line["token"] = delayed.token
    target = Address(delayed.target_type, delayed.target_id)
    return {**line, **_address(target), **_message(delayed.invocation)}


def parked_line(key: bytes, row: bytes) -> Line:
    """Return the line that says that an address is parked."""
    return {"kind": "parked", **_address(parse_address_key(key)), "row": _text(row)}


def once_line(key: bytes, row: bytes) -> Line:
    """Return the line of an idempotency key; the row of one has the address in front of the key."""
    address, _, once = key[3:].rpartition(b"\0")
    owner = parse_address_key(key[:2] + STATE + address)
    return {"kind": "once", **_address(owner), "key": once.decode(), "row": _text(row)}


def result_line(key: bytes, row: bytes) -> Line:
    """Return the line of a record of the HTTP egress."""
    epoch, index = int.from_bytes(key[-16:-8], "big"), int.from_bytes(key[-8:], "big")
    topic = key[3:-17].decode()
    return {"kind": "result", "topic": topic, "epoch": epoch, "index": index, "row": _text(row)}


def _address(address: Address) -> Line:
    return {"type": str(address.type), "id": address.id}


def _message(invocation: bytes) -> Line:
    """Return what a message says, for people, and all of it."""
    ((_, content),) = read_fields(invocation)
    fields = dict(read_fields(content))
    typed = dict(read_fields(fields.get(2, b"")))
    line: Line = {"typename": typed.get(1, b"").decode()}
    if caller := fields.get(1):
        parts = dict(read_fields(caller))
        texts = [parts.get(number, b"").decode() for number in (1, 2, 3)]
        line["caller"] = {"type": f"{texts[0]}/{texts[1]}", "id": texts[2]}
    return {**line, "invocation": _text(invocation)}


def _text(data: bytes) -> str:
    return b64encode(data).decode("ascii")


# ── and lines become rows ──


class LineError(ValueError):
    """A line is not one of these."""


def sort_key(line: Mapping[str, Any], key_group_count: int) -> bytes:
    """Return where a line belongs: those of one row, or of one backlog, are together when lines are sorted by it.

    Raise LineError if it is no line.
    """
    try:
        key = _row_key(line, key_group_count)
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise LineError(_why(error)) from error
    kind = KINDS.index(line["kind"])
    return key[:2] + bytes([kind]) + len(key).to_bytes(4, "big") + key[2:]


def _why(error: Exception) -> str:
    return f"{error} is missing" if isinstance(error, KeyError) else str(error)


def _row_key(line: Mapping[str, Any], groups: int) -> bytes:
    kind = line["kind"]
    if kind not in KINDS:
        raise ValueError(f"there is no kind {kind!r} of lines")
    if kind == "delayed":
        return timer_key(line["sender_id"], line["due_ms"], 0, key_group_count=groups)
    if kind == "result":
        prefix = egress_prefix(line["topic"])
        return egress_key(prefix, line["epoch"], line["index"])
    address = state_key(_type(line), line["id"], key_group_count=groups)
    return once_key_of(address, line["key"]) if kind == "once" else address


def _type(line: Mapping[str, Any]) -> TypeName:
    return _function_type(line["type"])


@lru_cache(1024)
def _function_type(text: str) -> TypeName:
    function_type = TypeName.parse(text)
    if not function_type.is_proper or not function_type.name:
        raise ValueError(f"{text!r} is no function type")
    return function_type


@dataclass(slots=True)
class Sequence:
    """Numbers delayed messages in the order of their lines."""

    last: int = 0


def rows_of(lines: Iterable[tuple[bytes, Line]], key_group_count: int) -> Iterator[Row]:
    """Yield the rows of lines that come with their keys, sorted by these; raise LineError where one is wrong."""
    sequence = Sequence()
    for _, some in groupby(lines, itemgetter(0)):
        together = [line for _, line in some]
        try:
            yield from _MAKERS[together[0]["kind"]](together, key_group_count, sequence)
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            raise LineError(_why(error)) from error


Maker = Callable[[list[Line], int, Sequence], Iterator[Row]]


def _state_rows(lines: list[Line], groups: int, _: Sequence) -> Iterator[Row]:
    fields, written = {}, {}
    for line in lines:
        name = line["name"]
        if name in fields:
            raise ValueError(f"state {name!r} of {line['type']}/{line['id']} is there twice")
        fields[name] = state_field(name, typed_value(line["typename"], _bytes(line["value"])))
        if stamp := line.get("written_ms"):
            written[name] = int(stamp)
    values = Values(fields, written or None, int(lines[0].get("invoked_ms", 0)))
    yield _row_key(lines[0], groups), encode_row(values)


def _message_rows(lines: list[Line], groups: int, _: Sequence) -> Iterator[Row]:
    key = _row_key(lines[0], groups)
    yield from chunk_rows(key, (_invocation(line) for line in lines))


def chunk_rows(key: bytes, invocations: Iterable[bytes]) -> Iterator[Row]:
    """Yield the rows of a backlog that nobody works on; `key` is that of its address's values."""
    some: list[bytes] = []
    size, sequence = 0, MIDDLE_SEQUENCE
    for invocation in invocations:
        if some and size + len(invocation) > SPILL_LIMITS.chunk_bytes:
            yield from _chunk(key, Chunk(sequence, len(some), size), some)
            some, size, sequence = [], 0, sequence + 1
        some.append(invocation)
        size += len(invocation)
    yield from _chunk(key, Chunk(sequence, len(some), size), some)


def _chunk(key: bytes, chunk: Chunk, invocations: list[bytes]) -> Iterator[Row]:
    chunk_key = chunk_key_of(key, chunk.sequence)
    yield chunk_key, b"".join(invocations)
    yield chunk_index_key_of(chunk_key), chunk.index_row()


def _delayed_rows(lines: list[Line], groups: int, sequence: Sequence) -> Iterator[Row]:
    for line in lines:
        sequence.last += 1
        sender, due_ms = line["sender_id"], line["due_ms"]
        token = line.get("token", "")
        delayed = Delayed(sender, _type(line), line["id"], _invocation(line), token)
        yield from delayed_rows(delayed, due_ms, sequence.last, key_group_count=groups)


def _parked_rows(lines: list[Line], groups: int, _: Sequence) -> Iterator[Row]:
    for line in lines:
        yield parked_key_of(_row_key(line, groups)), _bytes(line["row"])


def _raw_rows(lines: list[Line], groups: int, _: Sequence) -> Iterator[Row]:
    for line in lines:
        yield _row_key(line, groups), _bytes(line["row"])


def _invocation(line: Mapping[str, Any]) -> bytes:
    invocation = _bytes(line["invocation"])
    if not is_invocation(invocation):
        raise ValueError(f"the invocation of a {line['kind']} is not whole")
    return invocation


def _bytes(text: str) -> bytes:
    return b64decode(text, validate=True)


_MAKERS: dict[str, Maker] = {
    "message": _message_rows,
    "result": _raw_rows,
    "once": _raw_rows,
    "parked": _parked_rows,
    "state": _state_rows,
    "delayed": _delayed_rows,
}
