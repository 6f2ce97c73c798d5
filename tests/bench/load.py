"""The messages of a benchmark round: put in, taken out, and each key's count checked."""

import random
import time
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from confluent_kafka import Consumer, KafkaException, Message, Producer, TopicPartition

VALUE_BYTES = 100
_QUIET = {"log_level": 0}


@dataclass(frozen=True, slots=True)
class Arrivals:
    """What came out of a round: (key, value) pairs and how long they took."""

    records: list[tuple[bytes, bytes]]
    first_s: float
    last_s: float
    steady_per_s: float

    def per_s(self) -> int:
        return round(len(self.records) / self.last_s) if self.last_s else 0


class CountCheck:
    """Holds every key to 1, 2, 3, … without a hole or a double, over all rounds."""

    def __init__(self) -> None:
        self._counts: dict[bytes, list[int]] = {}

    def add(self, records: Iterable[tuple[bytes, bytes]]) -> None:
        for key, value in records:
            self._counts.setdefault(key, []).append(int(value.partition(b";")[0]))

    def wrong_keys(self) -> list[bytes]:
        return [k for k, seen in self._counts.items() if sorted(seen) != [*range(1, len(seen) + 1)]]


class Feed:
    """Writes messages with random keys out of `addresses` many, from `first` on, to a topic."""

    def __init__(
        self,
        bootstrap: str,
        topic: str,
        *,
        addresses: int,
        seed: int = 1,
        first: int = 0,
        size_bytes: int = VALUE_BYTES,
    ) -> None:
        self._topic = topic
        self._keys = range(first, first + addresses)
        self._size_bytes = size_bytes
        self._random = random.Random(seed)
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap,
                "linger.ms": 20,
                "batch.size": 262_144,
                "queue.buffering.max.messages": 1_000_000,
                "message.max.bytes": max(1_000_000, 2 * size_bytes),
                **_QUIET,
            }
        )

    def preload(self, messages: int) -> None:
        """Return when all the messages are in the topic."""
        for number in range(messages):
            key = b"%08d" % self._random.choice(self._keys)
            self._produce(key, (b"%019d;" % number).ljust(self._size_bytes, b"v"))
            if not number & 4095:
                self._producer.poll(0)
        left = self._producer.flush(120)
        assert not left, f"{left} messages could not be preloaded"

    def _produce(self, key: bytes, value: bytes) -> None:
        while True:
            try:
                self._producer.produce(self._topic, value, key)
                return
            except BufferError:
                self._producer.poll(0.05)


class Collector:
    """Reads a topic from its end as it is now."""

    def __init__(self, bootstrap: str, topic: str, *, is_committed: bool) -> None:
        isolation = "read_committed" if is_committed else "read_uncommitted"
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": uuid.uuid4().hex,
                "enable.auto.commit": False,
                "fetch.wait.max.ms": 100,
                "queued.min.messages": 1_000_000,
                "queued.max.messages.kbytes": 1 << 20,
                "isolation.level": isolation,
                **_QUIET,
            }
        )
        found = self._consumer.list_topics(topic, timeout=10).topics[topic]
        parts = [TopicPartition(topic, number) for number in found.partitions]
        for part in parts:
            part.offset = self._consumer.get_watermark_offsets(part, timeout=10)[1]
        self._consumer.assign(parts)

    def collect(
        self, count: int, *, timeout_s: float, is_alive: Callable[[], bool] = lambda: True
    ) -> Arrivals:
        """Return when `count` records came, or time or the worker ended."""
        start_s = time.perf_counter()
        batches: list[list[Message]] = []
        marks: list[tuple[float, int]] = []
        received = 0
        while received < count and time.perf_counter() - start_s < timeout_s and is_alive():
            if batch := self._consumer.consume(20_000, 0.05):
                batches.append(batch)
                received += len(batch)
                marks.append((time.perf_counter() - start_s, received))
        # Taken apart only now, so that the driver costs little while it is measured.
        records = [_pair(message) for batch in batches for message in batch]
        first_s, last_s = (marks[0][0], marks[-1][0]) if marks else (0.0, 0.0)
        return Arrivals(records, first_s, last_s, steady_per_s(marks))

    def surplus(self, settle_s: float = 0.5) -> list[tuple[bytes, bytes]]:
        """Return what still comes when nothing more should."""
        return self.collect(1, timeout_s=settle_s).records

    def close(self) -> None:
        self._consumer.close()


def steady_per_s(marks: list[tuple[float, int]]) -> float:
    """Return the rate from the end of the first tenth to the last record."""
    if not marks:
        return 0.0
    last_s, total = marks[-1]
    from_s, before = next((s, n) for s, n in marks if n >= total / 10)
    return round((total - before) / (last_s - from_s)) if last_s > from_s else 0.0


def _pair(message: Message) -> tuple[bytes, bytes]:
    if message.error():
        raise KafkaException(message.error())
    return message.key() or b"", message.value() or b""
