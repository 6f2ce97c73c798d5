"""The rows of the functions: what StateFun keeps for them as Flink's keyed state, where the key is the id alone.

<ns>.<name>.<state>             a value; its typename is in the head of the stream
<ns>.<name>.request-state       a call is in flight, and so many messages are queued
<ns>.<name>.batch               the queue
asyncOperations                 the call in flight
delayed-messages-buffer         delayed messages by due time, at the sender's id
delayed-message-index           due times by cancellation token, at the sender's id
_timer_state/processing_…       an alarm for each id and due time
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from statefun_runtime.connectors.flink.files.canonical import StateRow
from statefun_runtime.connectors.flink.files.damage import Damage, Damages
from statefun_runtime.connectors.flink.files.hashes import flink_key_group
from statefun_runtime.connectors.flink.files.serializers import Serializer, StateMeta
from statefun_runtime.connectors.flink.files.source import Source, read_string
from statefun_runtime.connectors.flink.rows.envelopes import (
    Call,
    Envelope,
    read_call,
    read_envelope,
    read_invocation,
)

REQUESTS, QUEUE = "request-state", "batch"
_CALLS, _DELAYED, _TOKENS = "asyncOperations", "delayed-messages-buffer", "delayed-message-index"
_ALARMS = "_timer_state/processing_delayed-messages-timer-service"
_SIGN = 1 << 63
_COMMA = b","
_STAMP_BYTES, _STAMP_MAX = 8, 1 << 55
_IDS_MAX = 100_000


class Value(NamedTuple):
    """A state value of a function; `type` is its namespace and name with a dot between."""

    type: str
    state: str
    id: str
    typename: str
    content: bytes
    last_access_ms: int | None


class Requests(NamedTuple):
    """That a call of an address is in flight, and so many messages are queued."""

    type: str
    id: str
    queued: int


class Queued(NamedTuple):
    """The queue of an address, in order."""

    type: str
    id: str
    invocations: tuple[bytes, ...]


class InFlight(NamedTuple):
    """A call of an address."""

    call: Call


class Delayed(NamedTuple):
    """A delayed message; `position` counts those of one id and due time."""

    sender_id: str
    due_ms: int
    position: int
    envelope: Envelope


class Token(NamedTuple):
    """When the message is due that can be cancelled with a token."""

    sender_id: str
    token: str
    due_ms: int


class Alarm(NamedTuple):
    """That messages of an id are due at a time."""

    sender_id: str
    due_ms: int


class Foreign(NamedTuple):
    """A row of state that only a function in Java can read."""

    state: str
    serializer: str


FunctionRow = Value | Requests | Queued | InFlight | Delayed | Token | Alarm | Foreign


class _Values(NamedTuple):
    """What the head of a stream says of a state of values: they need no more to be read."""

    type: str
    state: str
    typename: str
    begin: int


def function_rows(
    rows: Iterable[StateRow], max_parallelism: int, damages: Damages
) -> Iterator[tuple[FunctionRow, StateRow]]:
    """Yield what rows mean, each with the row; one that cannot be right is damage, and left out."""
    prefix_bytes = 1 if max_parallelism <= 128 else 2
    ids = _Ids(prefix_bytes, max_parallelism)
    values: dict[str, _Values | None] = {}
    for row in rows:
        meta = row.meta
        try:
            function_id, at = ids.read(row)
            if meta.name not in values:
                values[meta.name] = _values_of(meta)
            if (known := values[meta.name]) is not None:
                yield _value(known, function_id, row.key[at:], row.value), row
                continue
            for meaning in _meanings(row, function_id, Source.of(row.key[at:]), prefix_bytes):
                yield meaning, row
        except ValueError as error:
            damages.add(Damage(row.file, row.offset, str(error), f"a row of state {meta.name!r}"))


class _Ids:
    """Reads the ids in keys, and checks that each lies where it belongs."""

    def __init__(self, prefix_bytes: int, max_parallelism: int) -> None:
        self._prefix_bytes = prefix_bytes
        self._max_parallelism = max_parallelism
        # An id comes once for each state, in one key group.
        self._groups: dict[str, int] = {}

    def read(self, row: StateRow) -> tuple[str, int]:
        """Return the id of a row, and where it ends in the key; raise ValueError if it does not belong there."""
        begin = self._prefix_bytes
        key = row.key
        function_id, at = read_string(key, begin + 8 if row.meta.kind == "queue" else begin)
        group = self._groups.get(function_id)
        if group is None:
            if len(self._groups) > _IDS_MAX:
                self._groups.clear()
            group = self._groups[function_id] = flink_key_group(function_id, self._max_parallelism)
        if group != row.key_group or int.from_bytes(key[:begin], "big") != group:
            raise ValueError(
                f"id {function_id!r} belongs into key group {group}, and lies in {row.key_group}"
            )
        return function_id, at


def _values_of(meta: StateMeta) -> _Values | None:
    """Return how the values of a remote function's state are read; None of any other state."""
    serializer, begin = meta.value, 0
    if serializer is not None and serializer.name == "ttl" and len(serializer.nested) == 2:
        serializer, begin = serializer.nested[1], _STAMP_BYTES
    type_, _, state = meta.name.rpartition(".")
    is_remote = serializer is not None and serializer.name == "remote value"
    if serializer is None or not is_remote or meta.form != "VALUE" or not type_:
        return None
    return _Values(type_, state, serializer.detail, begin)


def _value(known: _Values, function_id: str, namespace: bytes, value: bytes) -> Value:
    begin = known.begin
    last_access = int.from_bytes(value[:begin], "big") if begin else None
    content = value[begin + 4 :]
    if namespace != b"\0" or int.from_bytes(value[begin : begin + 4], "big") != len(content):
        raise ValueError(f"a value of {len(content)} bytes has another length in front")
    if last_access is not None and last_access >= _STAMP_MAX:
        raise ValueError(f"a value was last used at {last_access} ms")
    return Value(known.type, known.state, function_id, known.typename, content, last_access)


def _meanings(
    row: StateRow, function_id: str, rest: Source, prefix_bytes: int
) -> Iterable[FunctionRow]:
    meta = row.meta
    if meta.name in (_CALLS, _DELAYED) and not _is_protobuf(meta.value):
        return (_foreign(meta),)
    if meta.kind == "queue":
        return _alarm(row, function_id, rest, prefix_bytes)
    if meta.name == _DELAYED and meta.form == "LIST":
        due_ms = rest.i64()
        _nothing_left(rest)
        return list(_delayed(row.value, function_id, due_ms))
    _void(rest)
    if meta.form == "MAP":
        return _map_entry(row, function_id, rest)
    _nothing_left(rest)
    if meta.form == "LIST" and meta.name.endswith(f".{QUEUE}"):
        return (_queue(row, function_id),)
    if meta.form == "VALUE":
        return (_number(row, function_id),)
    return (_foreign(meta),)


def _void(rest: Source) -> None:
    if rest.u8() != 0:
        raise ValueError("a namespace is not empty")


def _nothing_left(source: Source) -> None:
    if source.left:
        raise ValueError(f"{source.left} bytes are left over")


def _is_protobuf(serializer: Serializer | None) -> bool:
    """Whether messages are written with payloads of Protobuf, which is StateFun's default."""
    while serializer is not None and serializer.name in ("map", "list"):
        serializer = serializer.nested[-1] if serializer.nested else None
    return serializer is not None and serializer.detail == "WITH_PROTOBUF_PAYLOADS"


def _foreign(meta: StateMeta) -> Foreign:
    return Foreign(meta.name, str(meta.value))


def _number(row: StateRow, function_id: str) -> FunctionRow:
    meta = row.meta
    type_, _, state = meta.name.rpartition(".")
    if meta.value != Serializer("Int") or state != REQUESTS:
        return _foreign(meta)
    source = Source.of(row.value)
    queued = source.i32()
    _nothing_left(source)
    if queued < 0:
        raise ValueError(f"{queued} messages cannot be queued")
    return Requests(type_, function_id, queued)


def _queue(row: StateRow, function_id: str) -> FunctionRow:
    invocations = tuple(read_invocation(each) for each in _elements(row.value))
    return Queued(row.meta.name.rpartition(".")[0], function_id, invocations)


def _elements(value: bytes) -> Iterator[bytes]:
    """Yield the elements of a list, each with its length in front, and a comma between."""
    source = Source.of(value)
    while True:
        yield source.blob()
        if not source.left:
            return
        if source.take(1) != _COMMA:
            raise ValueError("the elements of a list are not divided by a comma")


def _delayed(value: bytes, function_id: str, due_ms: int) -> Iterator[FunctionRow]:
    if due_ms < 0:
        raise ValueError(f"a message is due at {due_ms} ms")
    for index, each in enumerate(_elements(value)):
        envelope = read_envelope(each)
        if envelope.source is None or envelope.source.id != function_id:
            raise ValueError(f"a delayed message of {envelope.source} lies at id {function_id!r}")
        yield Delayed(function_id, due_ms, index, envelope)


def _map_entry(row: StateRow, function_id: str, rest: Source) -> Iterable[FunctionRow]:
    meta, value = row.meta, Source.of(row.value)
    if meta.name not in (_CALLS, _TOKENS):
        return (_foreign(meta),)
    if value.truth():
        raise ValueError("an entry has no value")
    if meta.name == _TOKENS:
        token, end = read_string(left := rest.take(rest.left), 0)
        if end != len(left):
            raise ValueError("bytes are left over behind a token")
        due_ms = value.i64()
        _nothing_left(value)
        return (Token(function_id, token, due_ms),)
    rest.i64()
    _nothing_left(rest)
    envelope = read_envelope(value.blob())
    _nothing_left(value)
    if envelope.target.id != function_id:
        raise ValueError(f"a call in flight to {envelope.target} lies at id {function_id!r}")
    return (InFlight(read_call(envelope)),)


def _alarm(
    row: StateRow, function_id: str, rest: Source, prefix_bytes: int
) -> Iterable[FunctionRow]:
    due_ms = int.from_bytes(row.key[prefix_bytes : prefix_bytes + 8], "big") ^ _SIGN
    if row.meta.name != _ALARMS:
        return (_foreign(row.meta),)
    _void(rest)
    _nothing_left(rest)
    return (Alarm(function_id, due_ms),)
