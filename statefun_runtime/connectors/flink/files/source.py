"""Reads what Java wrote: big-endian numbers, modified UTF-8, and Flink's own form of a string.

A source is given in pieces of any size and keeps one of them at a time. Whatever does not fit is a ValueError, never
a wait and never another exception: what is read may be damaged.
"""

from collections.abc import Iterable, Iterator
from struct import Struct

_INT = Struct(">i")
_LONG = Struct(">q")
_MUTF8_NUL = b"\xc0\x80"


class Source:
    """A stream of bytes; `offset` is that of the next one, `size_max` how many there can be at most."""

    def __init__(self, pieces: Iterable[bytes], *, begin: int = 0, size_max: int = 1 << 62) -> None:
        self._pieces: Iterator[bytes] = iter(pieces)
        self._data = b""
        self._at = 0
        self._data_begin = begin
        self._end = begin + size_max

    @classmethod
    def of(cls, data: bytes) -> "Source":
        """Return a source of bytes that are all there."""
        source = cls((), size_max=len(data))
        source._data = data
        return source

    @property
    def offset(self) -> int:
        """Where the next byte lies."""
        return self._data_begin + self._at

    @property
    def left(self) -> int:
        """How many bytes there can be yet."""
        return self._end - self.offset

    def take(self, size: int) -> bytes:
        """Return so many bytes."""
        begin = self._at
        end = begin + size
        if size < 0 or end > len(self._data):
            self._fill(size)
            begin, end = self._at, self._at + size
        self._at = end
        return self._data[begin:end]

    def _fill(self, size: int) -> None:
        """Have so many bytes in hand; what is not there is not waited for, nor is room made for it."""
        if size < 0 or size > self.left:
            raise ValueError(f"{size} bytes are wanted where there are {max(self.left, 0)}")
        parts, have = [self._data[self._at :]], len(self._data) - self._at
        while have < size:
            piece = next(self._pieces, None)
            if piece is None:
                raise ValueError(f"{size} bytes are wanted where there are {have}")
            parts.append(piece)
            have += len(piece)
        self._data_begin += self._at
        self._data, self._at = b"".join(parts), 0

    def u8(self) -> int:
        return self.take(1)[0]

    def u16(self) -> int:
        return int.from_bytes(self.take(2), "big")

    def i16(self) -> int:
        return int.from_bytes(self.take(2), "big", signed=True)

    def i32(self) -> int:
        number: int = _INT.unpack(self.take(4))[0]
        return number

    def i64(self) -> int:
        number: int = _LONG.unpack(self.take(8))[0]
        return number

    def truth(self) -> bool:
        """Return a boolean; any byte but 0 and 1 is damage."""
        value = self.u8()
        if value > 1:
            raise ValueError(f"{value} is neither true nor false")
        return value == 1

    def count(self, size_min: int = 1) -> int:
        """Return how many things follow, each of which takes so many bytes at least."""
        number = self.i32()
        if number < 0 or number * size_min > self.left:
            raise ValueError(f"{number} things cannot follow")
        return number

    def longs(self, count: int) -> tuple[int, ...]:
        """Return so many long numbers."""
        return Struct(f">{count}q").unpack(self.take(8 * count))

    def blob(self) -> bytes:
        """Return bytes with their length in front."""
        begin = self._at + 4
        end = begin + int.from_bytes(self._data[self._at : begin], "big")
        if begin <= end <= len(self._data):
            self._at = end
            return self._data[begin:end]
        return self.take(self.i32())

    def utf(self) -> str:
        """Return a string in modified UTF-8."""
        return modified_utf8(self.take(self.u16()))

    def varint(self) -> int:
        """Return a number in groups of seven bits, the low ones first."""
        number = shift = 0
        while True:
            byte = self.u8()
            number |= (byte & 0x7F) << shift
            if byte < 0x80:
                return number
            shift += 7
            if shift > 63:
                raise ValueError("a number is too long")


def modified_utf8(data: bytes) -> str:
    """Decode Java's UTF-8: NUL is two bytes, and what is beyond the first plane two surrogates."""
    if _MUTF8_NUL not in data:
        try:
            return data.decode()
        except UnicodeDecodeError:
            pass
    return _paired(data.replace(_MUTF8_NUL, b"\x00").decode("utf-8", "surrogatepass"))


def _paired(text: str) -> str:
    """Join pairs of surrogates; one that is alone stays."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


def read_string(data: bytes, at: int) -> tuple[str, int]:
    """Return a string as Flink's StringSerializer writes it, and where it ends; null is a ValueError.

    First the number of UTF-16 units, one more than there are; then each in groups of seven bits.
    """
    size, at = _varint_at(data, at)
    if size == 0:
        raise ValueError("a string is null")
    units = data[at : at + size - 1]
    if len(units) == size - 1 and units.isascii():
        return units.decode("ascii"), at + size - 1
    return _wide_string(data, at, size - 1)


def _wide_string(data: bytes, at: int, size: int) -> tuple[str, int]:
    if size > len(data) - at:
        raise ValueError("a string is cut off")
    units = []
    for _ in range(size):
        unit, at = _varint_at(data, at)
        if unit > 0xFFFF:
            raise ValueError("a character is none")
        units.append(chr(unit))
    return _paired("".join(units)), at


def _varint_at(data: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        if at >= len(data) or shift > 35:
            raise ValueError("a string is cut off")
        byte = data[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, at
        shift += 7
