"""State of one function type: which values it has, how an address keeps them, and when they expire.

An address's values are kept as the `state` fields (number 2) of a request, encoded, one per value:

    12 <length> 0a <length> state name  12 <length> typed value

so that sending them is a join. The stored *row* of an address begins with a byte that says how it goes on:

    00  the fields, one after the other                    (no value of it can expire)
    01  <last invocation>, then per value <last write> and the field; both milliseconds in 8 bytes

The specs are learnt from the functions: an incomplete reply names the ones that were not sent. Rows may hold
values whose spec is not known yet, or not any more; they are kept as they are.
"""

from dataclasses import dataclass
from enum import Enum

from statefun_runtime.core.model.messages import field, read_fields, read_varint, varint

UNSET_TYPENAME = "io.statefun.types/unset"
_HAS_VALUE = b"\x10\x01"
_STAMP_BYTES = 8
_FRONTS_MAX = 1024
_SHORT_MAX = 0x7F
_PLAIN, _STAMPED = b"\x00", b"\x01"


class ExpireMode(Enum):
    """What restarts the clock of a value."""

    NONE = 0
    AFTER_WRITE = 1
    AFTER_INVOKE = 2


@dataclass(frozen=True, slots=True)
class StateSpec:
    """One state of a function type: its name, the typename of its values, and when they expire."""

    name: str
    typename: str
    mode: ExpireMode = ExpireMode.NONE
    expire_after_ms: int = 0


class StateError(Exception):
    """A reply's state cannot be applied; the text says which state and why."""


@dataclass(slots=True)
class Values:
    """The values of one address: encoded fields by state name, and when they were last written."""

    fields: dict[str, bytes]
    written_ms: dict[str, int] | None = None
    invoked_ms: int = 0


class StateSchema:
    """The state specs of one function type, in the order in which they were learnt."""

    def __init__(self) -> None:
        self._specs: dict[str, StateSpec] = {}
        self._prefixes: dict[str, bytes] = {}
        self._fronts: dict[str, dict[int, bytes]] = {}
        # How the typed values of each state begin in all known SDKs: saves parsing them.
        self._heads: dict[str, bytes] = {}
        # What stands behind the length of a stored field, and how its value begins behind its own length.
        self._beginnings: list[tuple[str, bytes, bytes, int]] = []
        # An address without any value sends only names; that section is the same for all.
        self._names: dict[str, bytes] = {}
        self.empty_section = b""
        self.has_expiration = False
        self.expires_after_invoke = False

    @property
    def specs(self) -> tuple[StateSpec, ...]:
        """All specs learnt so far."""
        return tuple(self._specs.values())

    def __len__(self) -> int:
        return len(self._specs)

    def register(self, spec: StateSpec) -> None:
        """Learn a spec. A known name keeps its first expiration; raise StateError if its type changes."""
        known = self._specs.get(spec.name)
        if known is not None:
            if known.typename != spec.typename:
                raise StateError(
                    f"state {spec.name!r} was of type {known.typename!r} and is now declared as {spec.typename!r}"
                )
            return
        if spec.mode is not ExpireMode.NONE and spec.expire_after_ms <= 0:
            raise StateError(
                f"state {spec.name!r} expires after {spec.expire_after_ms} ms; it must be more than 0"
            )
        name = field(b"\x0a", spec.name.encode())
        self._specs[spec.name] = spec
        self._prefixes[spec.name] = name
        self._fronts[spec.name] = {}
        head = field(b"\x0a", spec.typename.encode()) + _HAS_VALUE
        self._heads[spec.name] = head
        front = name + b"\x12"
        # Behind a tag and its length of one byte, and before the value's own length of one.
        self._beginnings.append((spec.name, front, head, 2 + len(front) + 1))
        self._names[spec.name] = field(b"\x12", name)
        self.empty_section = b"".join(self._names.values())
        self.has_expiration |= spec.mode is not ExpireMode.NONE
        self.expires_after_invoke |= spec.mode is ExpireMode.AFTER_INVOKE

    def section(self, values: Values | None) -> bytes:
        """Return the `state` fields of a request: every known state, with its value where there is one."""
        if values is None or not values.fields:
            return self.empty_section
        fields = values.fields
        if len(self._names) == 1 == len(fields):
            ((name, bare),) = self._names.items()
            return fields.get(name, bare)
        return b"".join([fields.get(name, bare) for name, bare in self._names.items()])

    def encode(self, name: str, value: bytes) -> bytes:
        """Return the stored field of a typed value."""
        size = len(value)
        # All bytes in front of a value depend on its length alone.
        fronts = self._fronts[name]
        front = fronts.get(size)
        if front is None:
            inner = self._prefixes[name] + b"\x12" + varint(size)
            front = b"\x12" + varint(len(inner) + size) + inner
            if len(fronts) < _FRONTS_MAX:
                fronts[size] = front
        return front + value

    def admit(self, name: str, value: bytes | None) -> bytes | None:
        """Return the typed value to store under `name` (None: delete); raise StateError if that may not be."""
        head = self._heads.get(name)
        if head is None:
            known = ", ".join(self._specs) or "none"
            raise StateError(f"state {name!r} is not declared by the function (declared: {known})")
        if value is None or value.startswith(head):
            return value
        try:
            typename, has_value = _read_typed_value(value, 0)
        except ValueError as error:
            raise StateError(
                f"the value of state {name!r} is not a typed value: {error}"
            ) from error
        if self._specs[name].typename != typename:
            raise StateError(
                f"state {name!r} is of type {self._specs[name].typename!r}, the reply has {typename!r}"
            )
        # StateFun stores the bytes even of a value that says it has none.
        return value if has_value else value + _HAS_VALUE

    def read(self, row: bytes) -> Values:
        """Read a stored row; raise ValueError if it is damaged, StateError if a value is not of its state's type."""
        fields = self._read_short(row)
        if fields is not None:
            return Values(fields)
        values = decode_row(row)
        self._check_stored(values)
        return values

    def _read_short(self, row: bytes) -> dict[str, bytes] | None:
        """Return the fields of a row of short values of known states, in their order, by how they begin; None of others."""
        if row[:1] != _PLAIN:
            return None
        fields, at, end = {}, 1, len(row)
        for name, front, head, head_at in self._beginnings:
            if at < end and row.startswith(front, at + 2) and row.startswith(head, at + head_at):
                # A length of one byte, and so is the one of the value within.
                size = row[at + 1]
                if size > _SHORT_MAX or at + 2 + size > end:
                    return None
                fields[name] = row[at : at + 2 + size]
                at += 2 + size
        return fields if at == end else None

    def _check_stored(self, values: Values) -> None:
        for name, stored in values.fields.items():
            spec = self._specs.get(name)
            if spec is None:
                continue
            typename = _stored_typename(stored)
            if typename != spec.typename:
                raise StateError(
                    f"state {name!r} is declared as {spec.typename!r}, but the stored value is of type "
                    f"{typename!r}; a new type needs a new state name"
                )

    def drop_expired(self, values: Values, now_ms: int) -> bool:
        """Remove the values that have expired; return whether the row has changed.

        The clock of a value that was written before its state had an expiration starts now.
        """
        stamped = self._stamp(values, now_ms)
        expired = [name for name in values.fields if self._is_expired(name, values, now_ms)]
        for name in expired:
            del values.fields[name]
            if values.written_ms is not None:
                values.written_ms.pop(name, None)
        return stamped or bool(expired)

    def _stamp(self, values: Values, now_ms: int) -> bool:
        written = values.written_ms or {}
        bare = [
            name
            for name in values.fields
            if name not in written
            and (spec := self._specs.get(name)) is not None
            and spec.mode is not ExpireMode.NONE
        ]
        if bare:
            values.written_ms = written | dict.fromkeys(bare, now_ms)
        return bool(bare)

    def _is_expired(self, name: str, values: Values, now_ms: int) -> bool:
        spec = self._specs.get(name)
        if spec is None or spec.mode is ExpireMode.NONE:
            return False
        since = (values.written_ms or {}).get(name, 0)
        if spec.mode is ExpireMode.AFTER_INVOKE:
            since = max(since, values.invoked_ms)
        return now_ms - since >= spec.expire_after_ms


def state_field(name: str, value: bytes) -> bytes:
    """Return the stored field of a typed value whose state's spec is not known yet."""
    return field(b"\x12", field(b"\x0a", name.encode()) + field(b"\x12", value))


def read_state_field(stored: bytes) -> tuple[str, bytes]:
    """Return typename and value of a stored field."""
    typed = dict(read_fields(stored[_typed_value_at(stored) :]))
    return typed.get(1, b"").decode(), typed.get(3, b"")


def _typed_value_at(stored: bytes) -> int:
    _, offset = read_varint(stored, 1)
    size, offset = read_varint(stored, offset + 1)
    return read_varint(stored, offset + size + 1)[1]


def _stored_typename(stored: bytes) -> str:
    return _read_typed_value(stored, _typed_value_at(stored))[0]


def _read_typed_value(data: bytes, offset: int) -> tuple[str, bool]:
    """Return the typename and has_value of a typed value; its fields may come in any order."""
    typename, has_value = UNSET_TYPENAME, False
    while offset < len(data):
        tag, offset = read_varint(data, offset)
        kind = tag & 7
        if kind == 0:
            number, offset = read_varint(data, offset)
            has_value = bool(number) if tag >> 3 == 2 else has_value
        elif kind == 2:
            size, offset = read_varint(data, offset)
            if tag >> 3 == 1:
                typename = data[offset : offset + size].decode()
            offset += size
        else:
            offset += 8 if kind == 1 else 4
    return typename, has_value


def encode_row(values: Values) -> bytes:
    """Return the stored form of an address's values."""
    written = values.written_ms
    if not written and not values.invoked_ms:
        return b"".join((_PLAIN, *values.fields.values()))
    parts = [_STAMPED, values.invoked_ms.to_bytes(_STAMP_BYTES, "big")]
    for name, stored in values.fields.items():
        stamp = written.get(name, 0) if written else 0
        parts.append(stamp.to_bytes(_STAMP_BYTES, "big"))
        parts.append(stored)
    return b"".join(parts)


def decode_row(row: bytes) -> Values:
    """Read a stored row; raise ValueError if it is damaged."""
    values = Values({})
    is_stamped = row[:1] == _STAMPED
    if not is_stamped and row[:1] != _PLAIN:
        raise ValueError("row begins with an unknown byte")
    offset = 1
    if is_stamped:
        values.invoked_ms, offset = _read_stamp(row, offset)
    while offset < len(row):
        stamp = 0
        if is_stamped:
            stamp, offset = _read_stamp(row, offset)
        start = offset
        name, offset = _read_entry(row, start)
        values.fields[name] = row[start:offset]
        if stamp:
            values.written_ms = values.written_ms or {}
            values.written_ms[name] = stamp
    return values


def _read_stamp(row: bytes, offset: int) -> tuple[int, int]:
    end = offset + _STAMP_BYTES
    if end > len(row):
        raise ValueError("row is cut off")
    return int.from_bytes(row[offset:end], "big"), end


def _read_entry(row: bytes, offset: int) -> tuple[str, int]:
    """Return the state name of the field at `offset`, and the offset behind the field."""
    size, inner = read_varint(row, offset + 1)
    name_size, name_start = read_varint(row, inner + 1)
    end = inner + size
    if end > len(row) or name_start + name_size > end:
        raise ValueError("row is cut off")
    return row[name_start : name_start + name_size].decode(), end
