"""What a test does with a broker, each in one blocking call with a deadline."""

import time
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from confluent_kafka import (
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, NewPartitions, NewTopic  # type: ignore[attr-defined]

DEADLINE_S = 30.0
# librdkafka's "as the key says" and "the beginning".
ANY_PARTITION = -1
BEGINNING = -2
# librdkafka writes to stderr what it cannot connect to; a test that stops the broker knows.
_QUIET = {"log_level": 0}


@dataclass(frozen=True, slots=True)
class Record:
    """A record as it was read from a topic partition."""

    key: bytes | None
    value: bytes | None
    partition: int
    offset: int
    timestamp_ms: int
    headers: tuple[tuple[str, bytes], ...]


class KafkaClient:
    """Topics and records of one broker. Every call connects anew, so broker restarts do no harm."""

    def __init__(self, bootstrap: str, **settings: str) -> None:
        self._common: dict[str, str | int | float | bool] = {
            "bootstrap.servers": bootstrap,
            **_QUIET,
            **settings,
        }
        # How many replicas the topics get that are made here.
        self.replication = 1

    def is_ready(self) -> bool:
        try:
            return bool(self.admin().list_topics(timeout=2.0).brokers)
        except KafkaException:
            return False

    def broker_count(self) -> int:
        """Return how many brokers the cluster has that can be reached now."""
        try:
            return len(self.admin().list_topics(timeout=2.0).brokers)
        except KafkaException:
            return 0

    def replicas(self, topic: str) -> dict[str, int]:
        """Return, by name, on how many brokers the first partition is of topics whose names hold this text."""
        found = self.admin().list_topics(timeout=DEADLINE_S).topics
        return {
            name: len(one.partitions[0].replicas) for name, one in found.items() if topic in name
        }

    def in_sync(self, topic: str) -> list[int]:
        """Return how many of those replicas are in sync."""
        found = self.admin().list_topics(timeout=DEADLINE_S).topics
        return [len(one.partitions[0].isrs) for name, one in found.items() if topic in name]

    def create_topic(self, name: str, partitions: int = 1, **config: str) -> str:
        """Create the topic, wait until it has leaders, return its name; fails if it exists."""
        topic = NewTopic(
            name, num_partitions=partitions, replication_factor=self.replication, config=config
        )
        admin = self.admin()
        admin.create_topics([topic])[name].result(DEADLINE_S)
        self._wait_for_leaders(name, partitions)
        return name

    def create_topic_on(self, name: str, *brokers: int) -> str:
        """Create a topic of one partition with replicas on these brokers; wait until it has a leader."""
        topic = NewTopic(name, num_partitions=1, replica_assignment=[list(brokers)])
        admin = self.admin()
        admin.create_topics([topic])[name].result(DEADLINE_S)
        self._wait_for_leaders(name, 1)
        return name

    def add_partitions(self, name: str, partitions: int) -> None:
        """Have a topic grow to so many partitions, and wait until they have leaders."""
        admin = self.admin()
        grown = NewPartitions(name, partitions)
        admin.create_partitions([grown])[name].result(DEADLINE_S)
        self._wait_for_leaders(name, partitions)

    def delete_topic(self, name: str) -> None:
        admin = self.admin()
        admin.delete_topics([name])[name].result(DEADLINE_S)

    def topic_id(self, name: str) -> str:
        """Return what the cluster calls the topic, whatever its name."""
        admin = self.admin()
        found = admin.describe_topics(TopicCollection([name]))[name].result(DEADLINE_S)
        # Kafka's own tools print it for URLs.
        return str(found.topic_id).translate({ord("+"): "-", ord("/"): "_"})

    def unique_topic(self, stem: str, partitions: int = 1, **config: str) -> str:
        return self.create_topic(f"{stem}-{uuid.uuid4().hex[:10]}", partitions, **config)

    def produce(
        self,
        topic: str,
        records: Iterable[tuple[bytes | str | None, bytes | str | None]],
        *,
        partition: int = ANY_PARTITION,
    ) -> None:
        """Write (key, value) pairs; returns when all are acknowledged."""
        producer = Producer(self._common | {"linger.ms": 5, "acks": "all"})
        failures: list[KafkaError] = []

        def delivered(error: KafkaError | None, _: object) -> None:
            if error is not None:
                failures.append(error)

        for key, value in records:
            while True:
                try:
                    producer.produce(topic, value, key, partition, delivered)
                    break
                except BufferError:
                    producer.poll(0.05)
            producer.poll(0)
        left = producer.flush(DEADLINE_S)
        assert not left, f"{left} records to {topic} were not acknowledged in {DEADLINE_S:g} s"
        assert not failures, f"{len(failures)} records to {topic} failed, first: {failures[0]}"

    def consume(
        self, topic: str, count: int, *, timeout_s: float = DEADLINE_S, is_committed: bool = True
    ) -> list[Record]:
        """Read the topic from its beginning; return as soon as `count` records are there."""
        records: list[Record] = []
        consumer = self._consumer(topic, is_committed=is_committed)
        deadline = time.monotonic() + timeout_s
        try:
            while len(records) < count:
                if time.monotonic() > deadline:
                    raise TimeoutError(
                        f"{len(records)} of {count} records of {topic}: {records[-3:]}"
                    )
                messages = consumer.consume(count - len(records), 0.1)
                records += [_record(m) for m in messages if _is_record(m)]
        finally:
            consumer.close()
        return records

    def read_all(self, topic: str, *, is_committed: bool = True) -> list[Record]:
        """Return all that is in the topic now."""
        records: list[Record] = []
        consumer = self._consumer(topic, is_committed=is_committed)
        unfinished = {part.partition for part in consumer.assignment()}
        deadline = time.monotonic() + DEADLINE_S
        try:
            while unfinished:
                assert time.monotonic() < deadline, f"{topic} was not read in {DEADLINE_S:g} s"
                for message in consumer.consume(10_000, 0.1):
                    if _is_record(message):
                        records.append(_record(message))
                    else:
                        unfinished.discard(message.partition())
        finally:
            consumer.close()
        return records

    def end_offsets(self, topic: str) -> dict[int, int]:
        """Return the next offset of each topic partition (open transactions included)."""
        return {p: high for p, (_, high) in self._watermarks(topic).items()}

    def begin_offsets(self, topic: str) -> dict[int, int]:
        return {p: low for p, (low, _) in self._watermarks(topic).items()}

    def delete_records(self, topic: str, *, before: dict[int, int]) -> None:
        """Make every offset below `before[partition]` vanish."""
        parts = [TopicPartition(topic, p, offset) for p, offset in before.items()]
        admin = self.admin()
        for done in admin.delete_records(parts).values():
            done.result(DEADLINE_S)

    def committed_offsets(self, group: str, topic: str) -> dict[int, int]:
        """Return the committed offset of each topic partition that has one."""
        consumer = Consumer(self._common | {"group.id": group})
        try:
            parts = [TopicPartition(topic, p) for p in self._partitions(topic)]
            done = consumer.committed(parts, timeout=DEADLINE_S)
            return {part.partition: part.offset for part in done if part.offset >= 0}
        finally:
            consumer.close()

    def admin(self) -> AdminClient:
        # Its futures fail when it is collected: callers keep it until they have answers.
        return AdminClient(self._common)

    def _partitions(self, topic: str) -> list[int]:
        found = self.admin().list_topics(topic, timeout=DEADLINE_S).topics[topic]
        return sorted(found.partitions)

    def _wait_for_leaders(self, name: str, partitions: int) -> None:
        admin = self.admin()
        deadline = time.monotonic() + DEADLINE_S
        while True:
            topic = admin.list_topics(name, timeout=DEADLINE_S).topics[name]
            led = [p for p in topic.partitions.values() if p.leader >= 0 and p.error is None]
            if len(led) == partitions:
                return
            assert time.monotonic() < deadline, f"{name} has {len(led)} of {partitions} leaders"
            time.sleep(0.02)

    def _consumer(self, topic: str, *, is_committed: bool) -> Consumer:
        isolation = "read_committed" if is_committed else "read_uncommitted"
        consumer = Consumer(
            self._common
            | {
                "group.id": uuid.uuid4().hex,
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "fetch.wait.max.ms": 50,
                "isolation.level": isolation,
            }
        )
        consumer.assign([TopicPartition(topic, p, BEGINNING) for p in self._partitions(topic)])
        return consumer

    def _watermarks(self, topic: str) -> dict[int, tuple[int, int]]:
        consumer = self._consumer(topic, is_committed=False)
        try:
            return {
                p: consumer.get_watermark_offsets(TopicPartition(topic, p), timeout=DEADLINE_S)
                for p in self._partitions(topic)
            }
        finally:
            consumer.close()


def _is_record(message: Message) -> bool:
    """Tell a record from the end of a topic partition; anything else is raised."""
    error = message.error()
    if error is None:
        return True
    if error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001
        return False
    raise KafkaException(error)


def _record(message: Message) -> Record:
    partition, offset = message.partition(), message.offset()
    assert partition is not None
    assert offset is not None
    headers: Any = message.headers() or ()
    return Record(
        key=message.key(),
        value=message.value(),
        partition=partition,
        offset=offset,
        timestamp_ms=message.timestamp()[1],
        headers=tuple(headers),
    )
