"""Which topic partition a record goes to: by its key, as the Java client does; without one, in turn."""

from collections import defaultdict
from collections.abc import Mapping
from itertools import count
from struct import Struct

_KEYS_MAX = 200_000
# All whole words of a key, read at once; longer keys are rare.
_WORDS = tuple(Struct(f"<{count}I").unpack_from for count in range(64))


def murmur2(data: bytes) -> int:
    """Return Kafka's murmur2 hash as an unsigned 32-bit number."""
    mix, mask = 0x5BD1E995, 0xFFFFFFFF
    size = len(data)
    count = size >> 2
    hashed = 0x9747B28C ^ size
    read = _WORDS[count] if count < len(_WORDS) else Struct(f"<{count}I").unpack_from
    for word in read(data):
        block = word * mix & mask
        hashed = (hashed * mix ^ (block ^ block >> 24) * mix) & mask
    if size & 3:
        hashed = (hashed ^ int.from_bytes(data[size & ~3 :], "little")) * mix & mask
    hashed = (hashed ^ hashed >> 13) * mix & mask
    return hashed ^ hashed >> 15


class Partitioner:
    """Knows how many partitions each topic has, and remembers where keys went."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        # By topic; who sends many records looks keys up in there, so that they are only ever emptied.
        self._of_key: defaultdict[str, dict[bytes | None, int]] = defaultdict(dict)
        self._remembered = 0
        self._turn = count()

    def learn(self, topic: str, partition_count: int) -> None:
        """A topic has so many partitions: as with the Java client, keys may go elsewhere when they become more."""
        if self._counts.get(topic, partition_count) != partition_count:
            self._forget_keys()
        self._counts[topic] = partition_count

    def forget(self, topic: str) -> None:
        """A topic is not there any more: it is asked for again by who has records for it."""
        if self._counts.pop(topic, None) is not None:
            self._forget_keys()

    def _forget_keys(self) -> None:
        self._remembered = 0
        for known in self._of_key.values():
            known.clear()

    def known(self, topic: str) -> Mapping[bytes | None, int]:
        """Return where keys of a topic are known to go, as it is at any time."""
        return self._of_key[topic]

    def has(self, topic: str, partition: int) -> bool:
        """Return whether a topic has such a partition, as far as is known."""
        return partition < self._counts.get(topic, 0)

    def topics(self) -> list[str]:
        """Return the topics that are known."""
        return list(self._counts)

    def count(self, topic: str) -> int | None:
        """Return how many partitions a topic has, if that is known."""
        return self._counts.get(topic)

    def place(self, topic: str, key: bytes | None, chosen: int | None) -> int | None:
        """Return the topic partition that a function chose, if there is such a one; else as `partition` does."""
        partition_count = self._counts.get(topic)
        if chosen is not None and partition_count is not None and chosen < partition_count:
            return chosen
        return self.partition(topic, key)

    def partition(self, topic: str, key: bytes | None) -> int | None:
        """Return the topic partition for a key, or None if the topic is not known yet."""
        if key is None:
            partition_count = self._counts.get(topic)
            return None if partition_count is None else next(self._turn) % partition_count
        known = self._of_key[topic]
        found = known.get(key)
        if found is None:
            partition_count = self._counts.get(topic)
            if partition_count is None:
                return None
            found = (murmur2(key) & 0x7FFFFFFF) % partition_count
            if self._remembered >= _KEYS_MAX:
                self._forget_keys()
            known[key] = found
            self._remembered += 1
        return found
