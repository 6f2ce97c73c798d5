"""Records that the Kinesis producer library packed into one: found by their frame, and taken apart.

F3 89 9A C2 │ AggregatedRecord (protobuf) │ MD5 of it, 16 bytes
"""

from collections.abc import Iterator
from hashlib import md5

from statefun_runtime.adapters.wire import Message, decode_aggregated

_MAGIC = b"\xf3\x89\x9a\xc2"
_DIGEST_BYTES = 16


def unpack(
    partition_key: str, data: bytes, *, first_hash: int, last_hash: int
) -> Iterator[tuple[str, bytes]]:
    """Yield partition key and data of each record within a record; a plain one is yielded as it is.

    The range of hash keys is that of the shard: the producer library puts a record that came into a shard it does
    not belong to, because that was just split or merged, a second time.
    """
    aggregated = _aggregated(data)
    if aggregated is None:
        yield _as_text(partition_key), data
        return
    keys, hashes = aggregated.partition_keys, aggregated.hash_keys
    for record in aggregated.records:
        key = keys[record.key_index]
        hash_key = int(hashes[record.hash_index[-1]]) if record.hash_index else hash_of(key)
        if first_hash <= hash_key <= last_hash:
            yield key, record.data


def hash_of(partition_key: str) -> int:
    """Return the hash key that a partition key leads to."""
    return int.from_bytes(md5(partition_key.encode(), usedforsecurity=False).digest())


def _as_text(partition_key: str) -> str:
    """Return a key that can be an id: what JSON can say and UTF-8 cannot, halves of characters, becomes U+FFFD."""
    if partition_key.isascii():
        return partition_key
    return partition_key.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _aggregated(data: bytes) -> Message | None:
    """Return the message in the frame; None if there is no whole frame, or its message makes no sense."""
    if not data.startswith(_MAGIC) or len(data) <= len(_MAGIC) + _DIGEST_BYTES:
        return None
    body, digest = data[len(_MAGIC) : -_DIGEST_BYTES], data[-_DIGEST_BYTES:]
    if md5(body, usedforsecurity=False).digest() != digest:
        return None
    aggregated = decode_aggregated(body)
    if aggregated is None:
        return None
    keys, hashes = len(aggregated.partition_keys), len(aggregated.hash_keys)
    if not all(text.isascii() and text.isdigit() for text in aggregated.hash_keys):
        return None
    for record in aggregated.records:
        if record.key_index >= keys or any(index >= hashes for index in record.hash_index):
            return None
    return aggregated
