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


def decode_rows(data: bytes) -> Iterator[Row]:
    """Yield the rows of a file; raise ValueError if it is none."""
    if data[: len(MAGIC)] != MAGIC:
        raise ValueError("it does not begin like a delta")
    offset = len(MAGIC)
    while offset < len(data):
        size, offset = read_varint(data, offset)
        key, offset = data[offset : offset + size], offset + size
        size, offset = read_varint(data, offset)
        if not size:
            yield key, None
            continue
        end = offset + size - 1
        if end > len(data):
            raise ValueError("it is cut off")
        yield key, data[offset:end]
        offset = end
