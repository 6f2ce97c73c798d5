"""Brings the rows of a savepoint together by address, and delayed messages by sender, on disk: any number, little memory.

A savepoint has the values of an address in as many places as there are states, and its messages in three others.

    A <key group> <length> <ns.name> 00 <id>    v <state>     8 bytes last access, the value as a field of a request
                                                c <number>    a call in flight        q    the queue
                                                l <number>    a message in the loop   r    how many are queued
    D <key group> <length> <sender id>          a <due>       an alarm                t <token>    when that is due
                                                m <due> <position>    a delayed message

The key group is that of the new application: what is made of the rows comes in the order in which it is stored, so
that its files do not have to be merged.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby

from statefun_runtime.connectors.flink.files.canonical import StateRow
from statefun_runtime.connectors.flink.files.damage import Damage, Damages
from statefun_runtime.connectors.flink.importing.names import dotted
from statefun_runtime.connectors.flink.rows.envelopes import Envelope
from statefun_runtime.connectors.flink.rows.function_rows import (
    Alarm,
    Delayed,
    Foreign,
    FunctionRow,
    InFlight,
    Queued,
    Requests,
    Token,
    Value,
)
from statefun_runtime.core.checkpoints.overlay import Row
from statefun_runtime.core.model.address import TypeName, key_group
from statefun_runtime.core.model.keys import group_prefix
from statefun_runtime.core.model.messages import field as message_field
from statefun_runtime.core.model.messages import join_parts, split_parts, typed_value, varint
from statefun_runtime.core.model.state import state_field
from statefun_runtime.ports.state_store import StateStore

_SLICE_ROWS = 2000
_PLACE_BYTES = 10
_ADDRESS, _SENDER = b"A", b"D"
_TOLD_ROWS = 50_000

Place = tuple[str, int]


@dataclass(slots=True)
class Seen:
    """What was met while the rows were read: dotted names of functions, types in addresses, rows of others."""

    names: dict[str, None] = field(default_factory=dict)
    types: dict[TypeName, None] = field(default_factory=dict)
    foreign: dict[str, tuple[int, str]] = field(default_factory=dict)
    payloads: dict[str, int] = field(default_factory=dict)
    rows: int = 0


@dataclass(frozen=True, slots=True)
class AddressRows:
    """All that a savepoint has of an address; `type` is its function type with a dot."""

    type: str
    id: str
    values: tuple[tuple[str, int, bytes], ...]
    calls: tuple[tuple[Place, TypeName, dict[str, bytes], bytes], ...]
    queue: tuple[Place, bytes] | None
    loop: tuple[tuple[TypeName, bytes], ...]
    requests: tuple[Place, int] | None


@dataclass(frozen=True, slots=True)
class SenderRows:
    """All that a savepoint has of the delayed messages of a sender's id; times are due times."""

    id: str
    alarms: tuple[tuple[Place, int], ...]
    tokens: tuple[tuple[Place, str, int], ...]
    messages: tuple[tuple[Place, int, TypeName, str, str, bytes], ...]


class Sorting:
    """Takes rows in any order, and gives them by address and sender; `store` is for nothing else."""

    def __init__(
        self,
        store: StateStore,
        damages: Damages,
        told: Callable[[int], None],
        *,
        key_group_count: int,
    ) -> None:
        self.seen = Seen()
        self._store = store
        self._damages = damages
        self._told = told
        self._key_group_count = key_group_count
        self._slice: list[Row] = []
        self._files: dict[str, int] = {}
        self._states: dict[tuple[str, str, str], tuple[bytes, bytes, bytes]] = {}
        self._count = 0

    def take_all(self, rows: Iterable[tuple[FunctionRow, StateRow]]) -> None:
        """Take the rows of the functions; one that cannot be kept is damage."""
        for meaning, row in rows:
            self.seen.rows += 1
            if self.seen.rows % _TOLD_ROWS == 0:
                self._told(self.seen.rows)
            try:
                if type(meaning) is Value:
                    self._value(meaning)
                else:
                    self._other(meaning, self._place(row))
            except ValueError as error:
                lost = f"a row of state {row.meta.name!r}"
                self._damages.add(Damage(row.file, row.offset, str(error), lost))

    def take_loop(self, envelopes: Iterable[Envelope]) -> None:
        """Take messages that were under way, in their order."""
        for envelope in envelopes:
            if self._is_readable(envelope):
                target = envelope.target
                parts = (str(target.type).encode(),)
                key = self._address(dotted(target.type), target.id, b"l")
                self._put(key + self._number(), join_parts(parts, envelope.as_invocation()))

    def finish(self) -> None:
        """All rows are taken."""
        self._store.write(self._slice)
        self._slice = []

    def _put(self, key: bytes, value: bytes) -> None:
        self._slice.append((key, value))
        if len(self._slice) >= _SLICE_ROWS:
            self.finish()

    def _number(self) -> bytes:
        self._count += 1
        return self._count.to_bytes(8, "big")

    def _place(self, row: StateRow) -> bytes:
        number = self._files.setdefault(row.file, len(self._files))
        return number.to_bytes(2, "big") + row.offset.to_bytes(8, "big")

    def _address(self, type_: str, function_id: str, kind: bytes) -> bytes:
        address = type_.encode() + b"\0" + function_id.encode()
        group = group_prefix(key_group(function_id, self._key_group_count))
        return b"".join((_ADDRESS, group, len(address).to_bytes(4, "big"), address, kind))

    def _value(self, value: Value) -> None:
        known = self._states.get((value.type, value.state, value.typename))
        if known is None:
            known = self._learn(value)
        name, name_field, typename = known
        content = value.content
        typed = typename + b"\x1a" + varint(len(content)) + content if content else typename
        size = varint(len(typed))
        inner = len(name_field) + 1 + len(size) + len(typed)
        stamp = max(1, value.last_access_ms) if value.last_access_ms is not None else 0
        parts = (stamp.to_bytes(8, "big"), b"\x12", varint(inner), name_field, b"\x12", size, typed)
        self._put(self._address(value.type, value.id, b"v") + name, b"".join(parts))

    def _learn(self, value: Value) -> tuple[bytes, bytes, bytes]:
        """Return what is the same in all values of a state: its name, that as a field, how its typed values begin."""
        self.seen.names[value.type] = None
        name = value.state.encode()
        known = (name, message_field(b"\x0a", name), typed_value(value.typename, b""))
        self._states[value.type, value.state, value.typename] = known
        return known

    def _other(self, row: FunctionRow, place: bytes) -> None:
        match row:
            case Requests():
                self.seen.names[row.type] = None
                self._put(
                    self._address(row.type, row.id, b"r"), place + row.queued.to_bytes(8, "big")
                )
            case Queued():
                self.seen.names[row.type] = None
                self._put(self._address(row.type, row.id, b"q"), place + b"".join(row.invocations))
            case InFlight():
                self._call(row, place)
            case Alarm():
                due = row.due_ms.to_bytes(8, "big")
                self._put(self._sender(row.sender_id, b"a") + due, place)
            case Token():
                key = self._sender(row.sender_id, b"t") + row.token.encode()
                self._put(key, place + row.due_ms.to_bytes(8, "big"))
            case Delayed():
                self._delayed(row, place)
            case Foreign():
                count, serializer = self.seen.foreign.get(row.state, (0, row.serializer))
                self.seen.foreign[row.state] = (count + 1, serializer)

    def _call(self, row: InFlight, place: bytes) -> None:
        target = row.call.target
        self.seen.types[target.type] = None
        state = b"".join(
            join_parts((name.encode(), state_field(name, value)), b"")
            for name, value in row.call.state.items()
        )
        parts = join_parts((str(target.type).encode(), state), b"".join(row.call.invocations))
        key = self._address(dotted(target.type), target.id, b"c")
        self._put(key + self._number(), place + parts)

    def _delayed(self, row: Delayed, place: bytes) -> None:
        envelope = row.envelope
        if not self._is_readable(envelope):
            return
        texts = (str(envelope.target.type), envelope.target.id, envelope.token)
        key = self._sender(row.sender_id, b"m") + row.due_ms.to_bytes(8, "big")
        value = join_parts(map(str.encode, texts), envelope.as_invocation())
        self._put(key + row.position.to_bytes(4, "big"), place + value)

    def _sender(self, sender_id: str, kind: bytes) -> bytes:
        encoded = sender_id.encode()
        group = group_prefix(key_group(sender_id, self._key_group_count))
        return b"".join((_SENDER, group, len(encoded).to_bytes(4, "big"), encoded, kind))

    def _is_readable(self, envelope: Envelope) -> bool:
        for one in (envelope.source, envelope.target):
            if one is not None:
                self.seen.types[one.type] = None
        if not envelope.is_message:
            name = envelope.class_name
            self.seen.payloads[name] = self.seen.payloads.get(name, 0) + 1
        return envelope.is_message

    # ── what was taken, by what belongs together ──

    def addresses(self) -> Iterator[AddressRows]:
        """Yield all addresses."""
        for address, rows in self._groups(_ADDRESS):
            type_, _, function_id = address.decode().partition("\0")
            yield self._address_rows(type_, function_id, rows)

    def senders(self) -> Iterator[SenderRows]:
        """Yield all senders of delayed messages."""
        for sender, rows in self._groups(_SENDER):
            yield self._sender_rows(sender.decode(), rows)

    def _groups(self, kind: bytes) -> Iterator[tuple[bytes, Iterator[tuple[bytes, bytes]]]]:
        def split(row: tuple[bytes, bytes]) -> bytes:
            return row[0][7 : 7 + int.from_bytes(row[0][3:7], "big")]

        for common, rows in groupby(self._store.scan(kind), split):
            size = 7 + len(common)
            yield common, ((key[size:], value) for key, value in rows)

    def _address_rows(
        self, type_: str, function_id: str, rows: Iterator[tuple[bytes, bytes]]
    ) -> AddressRows:
        values, calls, loop = [], [], []
        queue = requests = None
        for key, value in rows:
            kind = key[:1]
            if kind == b"v":
                values.append((key[1:].decode(), int.from_bytes(value[:8], "big"), value[8:]))
            elif kind == b"c":
                (target, state), invocations = split_parts(value[_PLACE_BYTES:], 2)
                calls.append((self._named(value), _type(target), _state(state), invocations))
            elif kind == b"q":
                queue = (self._named(value), value[_PLACE_BYTES:])
            elif kind == b"l":
                (target,), invocation = split_parts(value, 1)
                loop.append((_type(target), invocation))
            else:
                requests = (self._named(value), int.from_bytes(value[_PLACE_BYTES:], "big"))
        return AddressRows(
            type_, function_id, tuple(values), tuple(calls), queue, tuple(loop), requests
        )

    def _sender_rows(self, sender_id: str, rows: Iterator[tuple[bytes, bytes]]) -> SenderRows:
        alarms, tokens, messages = [], [], []
        for key, value in rows:
            kind, place, rest = key[:1], self._named(value), value[_PLACE_BYTES:]
            if kind == b"a":
                alarms.append((place, int.from_bytes(key[1:], "big")))
            elif kind == b"t":
                tokens.append((place, key[1:].decode(), int.from_bytes(rest, "big")))
            else:
                (target, target_id, token), invocation = split_parts(rest, 3)
                due_ms = int.from_bytes(key[1:9], "big")
                texts = (target_id.decode(), token.decode())
                messages.append((place, due_ms, _type(target), *texts, invocation))
        return SenderRows(sender_id, tuple(alarms), tuple(tokens), tuple(messages))

    def _named(self, value: bytes) -> Place:
        names = list(self._files)
        return names[int.from_bytes(value[:2], "big")], int.from_bytes(value[2:_PLACE_BYTES], "big")


def _state(data: bytes) -> dict[str, bytes]:
    state = {}
    while data:
        (name, content), data = split_parts(data, 2)
        state[name.decode()] = content
    return state


def _type(text: bytes) -> TypeName:
    namespace, _, name = text.decode().rpartition("/")
    return TypeName(namespace, name)
