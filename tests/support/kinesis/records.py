"""Records as the Kinesis producer library packs them, made by hand after its published format."""

from collections.abc import Sequence
from hashlib import md5

MAGIC = bytes.fromhex("f3899ac2")


def packed(records: Sequence[tuple[str, bytes]]) -> bytes:
    """Return one record that holds all these, under their own partition keys."""
    keys = list(dict.fromkeys(key for key, _ in records))
    return framed(
        *(field(1, key.encode()) for key in keys),
        *(item(keys.index(key), data) for key, data in records),
    )


def framed(*fields: bytes) -> bytes:
    body = b"".join(fields)
    return MAGIC + body + md5(body).digest()


def field(number: int, content: bytes) -> bytes:
    assert len(content) < 128
    return bytes([number << 3 | 2, len(content)]) + content


def item(key: int, data: bytes, hash_key: int | None = None) -> bytes:
    """Return a record whose keys are indexes into the tables before it."""
    index = b"" if hash_key is None else bytes([2 << 3, hash_key])
    return field(3, bytes([1 << 3, key]) + index + field(3, data))
