"""The egress records that are rows of the state from the reply that made them until somebody has read them.

A row is in the checkpoint of its epoch by itself, so there is nothing else to keep and nothing to restore but where
the rows are. Records stand in the order in which they were made: by epoch, and within one by index.
"""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from statefun_runtime.core.model.keys import egress_key

Place = tuple[int, int]
TopicRecord = tuple[str, bytes]


@dataclass(slots=True)
class Topic:
    """Where the records of a topic are, oldest first; with `count_max` the oldest are dropped for new ones.

    The keys of its rows begin with `prefix`.
    """

    name: str
    prefix: bytes
    count_max: int | None = None
    places: deque[Place] = field(default_factory=deque)


class RowOutbox:
    """The records of some topics, read and written with `read` and `write`; `complete_epoch` is that of the start."""

    def __init__(
        self,
        topics: dict[str, Topic],
        read: Callable[[bytes], bytes | None],
        write: Callable[[bytes, bytes | None], None],
        *,
        complete_epoch: int,
    ) -> None:
        self._topics = topics
        self._read = read
        self._write = write
        self.complete_epoch = complete_epoch
        self._epoch = complete_epoch + 1
        self._next_index = 0
        self.dropped = 0

    @property
    def count(self) -> int:
        """How many records nobody has read."""
        return sum(len(topic.places) for topic in self._topics.values())

    def find(self, topic: Topic, keys: Iterator[bytes]) -> None:
        """Learn of the rows that are there at a start, by their keys, in order."""
        size = len(topic.prefix)
        for key in keys:
            place = key[size:]
            topic.places.append(
                (int.from_bytes(place[:8], "big"), int.from_bytes(place[8:], "big"))
            )

    def collect(self, record: TopicRecord) -> None:
        """Write a record as a row of the epoch that runs."""
        name, payload = record
        topic = self._topics[name]
        if topic.count_max is not None and len(topic.places) >= topic.count_max:
            self.remove_first(topic)
            self.dropped += 1
        place = (self._epoch, self._next_index)
        self._next_index += 1
        topic.places.append(place)
        self._write(egress_key(topic.prefix, *place), payload)

    def payload(self, topic: Topic, place: Place) -> bytes:
        """Return a record of a topic."""
        payload = self._read(egress_key(topic.prefix, *place))
        assert payload is not None, f"a record of topic {topic.name} has no row"
        return payload

    def remove_first(self, topic: Topic) -> None:
        """Take the oldest record of a topic away; it is not read."""
        self._write(egress_key(topic.prefix, *topic.places.popleft()), None)

    def cut(self, epoch: int) -> None:
        """Records from now on belong to the next epoch."""
        self._epoch = epoch + 1

    def completed(self, epoch: int) -> None:
        """The rows up to this epoch are in a complete checkpoint."""
        self.complete_epoch = epoch
