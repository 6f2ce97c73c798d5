"""Messages as bytes: each is encoded once, at its source, and spliced from then on.

An *invocation* here is always the complete field `invocations` (number 3) of StateFun's InvocationBatchRequest:

    1a <length> [ 0a <length> caller address ]  12 <length> typed value

so that a request is the concatenation of parts that exist already, and a stored backlog can be cut into its
invocations again. Typed values are opaque: what a function sent is forwarded bit for bit.
"""

from collections.abc import Iterable, Iterator

from statefun_runtime.core.model.address import TypeName

TO_FUNCTION_INVOCATION = b"\xa2\x06"
_ENCODERS_MAX = 4096
_FIXED_SIZES = {1: 8, 5: 4}


def _encode_varint(number: int) -> bytes:
    assert number >= 0
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


# Nearly every length on the hot path is below this; two bytes each.
_SMALL_VARINTS = tuple(_encode_varint(number) for number in range(1 << 14))


def varint(number: int) -> bytes:
    """Encode a non-negative number as a protobuf varint."""
    return _SMALL_VARINTS[number] if number < 16384 else _encode_varint(number)


def read_varint(data: bytes, offset: int) -> tuple[int, int]:
    """Return the varint at `offset` and the offset behind it; raise ValueError if the data ends inside it."""
    if offset < len(data) and (byte := data[offset]) < 0x80:
        return byte, offset + 1
    number = shift = 0
    while True:
        if offset >= len(data) or shift > 63:
            raise ValueError("varint is cut off or too long")
        byte = data[offset]
        offset += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, offset
        shift += 7


def field(tag: bytes, content: bytes) -> bytes:
    """Encode one length-delimited field; `tag` is the encoded tag."""
    return tag + varint(len(content)) + content


def address_field(function_type: TypeName, function_id: str) -> bytes:
    """Encode an address as field 1, which is both a request's target and an invocation's caller."""
    return field(
        b"\x0a",
        _text(b"\x0a", function_type.namespace)
        + _text(b"\x12", function_type.name)
        + _text(b"\x1a", function_id),
    )


def _text(tag: bytes, text: str) -> bytes:
    return field(tag, text.encode()) if text else b""


class IngressEncoder:
    """Encodes the values of one type that come from an ingress: has a value, has no caller."""

    def __init__(self, value_type: str) -> None:
        self._typename = _text(b"\x0a", value_type) + b"\x10\x01"
        # All bytes in front of a value depend on its length alone.
        self._prefixes: dict[int, bytes] = {}

    def encode(self, value: bytes) -> bytes:
        """Return the invocation that carries `value`."""
        size = len(value)
        prefix = self._prefixes.get(size)
        return (self._prefix(size) if prefix is None else prefix) + value

    def encode_with(self, value: bytes, extension: bytes) -> bytes:
        """Return the same with a field more of the invocation, which the contract does not have."""
        return field(b"\x1a", self._argument(len(value)) + value + extension)

    def _argument(self, size: int) -> bytes:
        value_head = b"\x1a" + varint(size)
        typed = b"\x12" + varint(len(self._typename) + len(value_head) + size)
        return typed + self._typename + value_head

    def _prefix(self, size: int) -> bytes:
        inner = self._argument(size)
        prefix = b"\x1a" + varint(len(inner) + size) + inner
        if len(self._prefixes) < _ENCODERS_MAX:
            self._prefixes[size] = prefix
        return prefix


def invocation(caller: bytes, argument: bytes) -> bytes:
    """Return the invocation for a typed value sent by a function; `caller` is its `address_field`."""
    return field(b"\x1a", caller + b"\x12" + varint(len(argument)) + argument)


def is_invocation(data: bytes) -> bool:
    """Return whether these bytes are exactly one invocation, as far as a backlog depends on it."""
    try:
        return data[:1] == b"\x1a" and list(split_fields(data)) == [data]
    except ValueError:
        return False


def typed_value(typename: str, value: bytes) -> bytes:
    """Encode a TypedValue that has a value."""
    return _text(b"\x0a", typename) + b"\x10\x01" + (field(b"\x1a", value) if value else b"")


def request(target: bytes, state: bytes, invocations: list[bytes]) -> bytes:
    """Splice a ToFunction from its parts, all encoded."""
    batch = b"".join(invocations) if len(invocations) > 1 else invocations[0]
    return b"".join(
        (
            TO_FUNCTION_INVOCATION,
            varint(len(target) + len(state) + len(batch)),
            target,
            state,
            batch,
        )
    )


def join_parts(parts: Iterable[bytes], rest: bytes) -> bytes:
    """Encode some parts, each with its length in front, and behind them what needs none."""
    pieces: list[bytes] = []
    for part in parts:
        pieces += (varint(len(part)), part)
    pieces.append(rest)
    return b"".join(pieces)


def split_parts(data: bytes, count: int) -> tuple[list[bytes], bytes]:
    """Return so many parts, and the rest, of what `join_parts` made."""
    parts, offset = [], 0
    for _ in range(count):
        size, offset = read_varint(data, offset)
        parts.append(data[offset : offset + size])
        offset += size
    return parts, data[offset:]


def split_fields(data: bytes) -> Iterator[bytes]:
    """Cut a concatenation of length-delimited fields with one-byte tags; raise ValueError if it is damaged."""
    offset = 0
    while offset < len(data):
        size, start = read_varint(data, offset + 1)
        end = start + size
        if end > len(data):
            raise ValueError("field is cut off")
        yield data[offset:end]
        offset = end


def read_fields(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield number and content of every length-delimited field of a message; raise ValueError if it is damaged."""
    offset = 0
    while offset < len(data):
        tag, offset = read_varint(data, offset)
        number, wire_type = tag >> 3, tag & 7
        if wire_type == 0:
            _, offset = read_varint(data, offset)
            continue
        size = _FIXED_SIZES.get(wire_type)
        if size is None:
            if wire_type != 2:
                raise ValueError(f"field {number} has the unknown wire type {wire_type}")
            size, offset = read_varint(data, offset)
        if offset + size > len(data):
            raise ValueError("field is cut off")
        if wire_type == 2:
            yield number, data[offset : offset + size]
        offset += size


def total_size(parts: Iterable[bytes]) -> int:
    """Return the number of bytes in all parts."""
    return sum(map(len, parts))
