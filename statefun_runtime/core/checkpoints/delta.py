"""The file of a delta: what changed between two cuts, as rows in the order in which they are to be applied.

"SFD1", then per row: <key length> key  <0: deleted, else value length + 1> value
"""

from collections.abc import Iterable, Iterator

from statefun_runtime.core.checkpoints.overlay import Row
from statefun_runtime.core.model.messages import read_varint, varint

MAGIC = b"SFD1"


def encode_rows(rows: Iterable[Row]) -> bytes:
    """Return the bytes of some rows; a file is the magic and any number of such pieces."""
    parts = []
    for key, value in rows:
        parts.append(varint(len(key)))
        parts.append(key)
        if value is None:
            parts.append(b"\x00")
        else:
            parts.append(varint(len(value) + 1))
            parts.append(value)
    return b"".join(parts)


class DeltaReader:
    """Reads a file that is given in pieces of any size; raises ValueError if it is none."""

    def __init__(self) -> None:
        self._data = b""
        self._is_begun = False

    def rows(self, piece: bytes) -> Iterator[Row]:
        """Yield the rows that one more piece makes whole; all of them are to be taken before the next piece."""
        data, offset = self._data + piece, 0
        if not self._is_begun and len(data) >= len(MAGIC):
            self._begin(data)
            offset = len(MAGIC)
        while self._is_begun and (row := _row_at(data, offset)) is not None:
            key, value, offset = row
            yield key, value
        self._data = data[offset:]

    def end(self) -> None:
        """There are no more pieces."""
        if not self._is_begun:
            self._begin(self._data)
        if self._data:
            raise ValueError("it is cut off")

    def _begin(self, data: bytes) -> None:
        if data[: len(MAGIC)] != MAGIC:
            raise ValueError("it does not begin like a delta")
        self._is_begun = True


def decode_rows(pieces: Iterable[bytes]) -> Iterator[Row]:
    """Yield the rows of a file of which all pieces are at hand; raise ValueError if it is none."""
    reader = DeltaReader()
    for piece in pieces:
        yield from reader.rows(piece)
    reader.end()


def _row_at(data: bytes, offset: int) -> tuple[bytes, bytes | None, int] | None:
    """Return the row at an offset and what is behind it, or None if the row is not wholly there."""
    try:
        size, begin = read_varint(data, offset)
        key_end = begin + size
        size, value = read_varint(data, key_end)
    except ValueError:
        return None
    if not size:
        return data[begin:key_end], None, value
    end = value + size - 1
    return (data[begin:key_end], data[value:end], end) if end <= len(data) else None
