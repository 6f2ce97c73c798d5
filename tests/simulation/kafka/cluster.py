"""A Kafka cluster with honest transactions: what brokers and the transaction coordinator do, without a network.

    init ─▶ begin (by the first record) ─▶ commit or abort decided by the coordinator ─▶ markers, later, per partition

A higher epoch fences all lower ones of a transactional id. An open transaction hides what follows in its partitions
from `read_committed`; one that is open too long is aborted by the coordinator, which fences its producer. Produce
requests are checked with the coordinator and repeated ones are told by their sequence; a late request of one
transaction cannot meet the next of the same producer (KIP-890, both parts). Older brokers can tear a transaction so.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from random import Random

from aiokafka.errors import (
    ConcurrentTransactions,
    InvalidTxnState,
    KafkaError,
    OutOfOrderSequenceNumber,
    ProducerFenced,
    UnknownTopicOrPartitionError,
)

from tests.simulation.machine.loop import Process

Place = tuple[str, int]
Pair = tuple[bytes | None, bytes | None]


class Fate(Enum):
    """Where a transaction stands."""

    OPEN = "open"
    COMMITTING = "committing"
    ABORTING = "aborting"
    COMMITTED = "committed"
    ABORTED = "aborted"


@dataclass(eq=False)
class Transaction:
    """A transaction of one epoch of a transactional id; `places` are partitions without a marker yet."""

    epoch: int
    number: int
    fate: Fate = Fate.OPEN
    places: dict[Place, int] = field(default_factory=dict)

    @property
    def is_over(self) -> bool:
        return self.fate in (Fate.COMMITTED, Fate.ABORTED)


@dataclass(eq=False)
class Record:
    """One offset of a partition; a control record has no transaction and no value."""

    key: bytes | None
    value: bytes | None
    transaction: Transaction | None = None
    is_control: bool = False


class Partition:
    """A log. Open transactions are known by the offset of their first record here."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.open: dict[Transaction, int] = {}
        self.sequences: dict[tuple[str, int], int] = {}
        self.waiters: list[asyncio.Future[None]] = []

    @property
    def stable(self) -> int:
        """The last stable offset."""
        return min(self.open.values(), default=len(self.records))

    def append(self, record: Record) -> None:
        if record.transaction is not None:
            self.open.setdefault(record.transaction, len(self.records))
        self.records.append(record)
        self.wake()

    def end(self, transaction: Transaction) -> None:
        """The marker of a transaction that is decided."""
        self.records.append(Record(None, None, is_control=True))
        self.open.pop(transaction, None)
        self.wake()

    def wake(self) -> None:
        waiters, self.waiters = self.waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    def visible(self, start: int, *, committed: bool) -> list[tuple[int, Record]]:
        """Return records with their offsets, as a consumer sees them."""
        end = self.stable if committed else len(self.records)
        return [
            (offset, record)
            for offset, record in enumerate(self.records[start:end], start)
            if not record.is_control
            and not (
                committed
                and record.transaction is not None
                and record.transaction.fate in (Fate.ABORTED, Fate.ABORTING)
            )
        ]


@dataclass(eq=False)
class Producer:
    """What the coordinator knows of a transactional id."""

    timeout_s: float
    epoch: int = -1
    transaction: Transaction | None = None

    @property
    def is_writing(self) -> bool:
        return self.transaction is not None and self.transaction.fate is Fate.OPEN


class Cluster:
    """Topics and transactional ids."""

    def __init__(self, rng: Random, log: Callable[[str], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._rng = rng
        self._log = log
        self.topics: dict[str, list[Partition]] = {}
        self.ids: dict[str, str] = {}
        self._made = 0
        self.producers: dict[str, Producer] = {}
        self.groups: dict[tuple[str, Place], int] = {}
        self.is_away = False
        # So many commits of whoever leads a cluster are of an outcome that it does not hear of.
        self.unclear_commits = 0
        # How long, at most, what workers send each other is on its way to a broker.
        self.inbox_slowness_s = 0.0
        # Is told of a process that is about to send what came over HTTP; returns whether it is to die before that.
        self.before_put: Callable[[Process], bool] = lambda process: False
        self.timed_out = 0
        self.plain_count = 0

    def make_topic(self, topic: str, partitions: int) -> None:
        """Each topic that is made has an id of its own."""
        if topic not in self.topics:
            self._made += 1
            self.topics[topic] = [Partition() for _ in range(partitions)]
            self.ids[topic] = f"id-{self._made}"

    def delete_topic(self, topic: str) -> None:
        """A consumer that waits for records of it hears of that."""
        for partition in self.topics.pop(topic):
            partition.wake()
        del self.ids[topic]

    def partition(self, place: Place) -> Partition:
        try:
            return self.topics[place[0]][place[1]]
        except (KeyError, IndexError):
            raise UnknownTopicOrPartitionError(place[0]) from None

    # ── producers ──

    def init(self, transactional_id: str, timeout_s: float) -> int:
        """Fence whoever had the id; raise ConcurrentTransactions until what was open is over."""
        producer = self.producers.setdefault(transactional_id, Producer(timeout_s))
        producer.timeout_s = timeout_s
        transaction = producer.transaction
        if transaction is not None and not transaction.is_over:
            if transaction.fate is Fate.OPEN:
                producer.epoch += 1
                self._decide(transactional_id, producer, Fate.ABORTING)
            raise ConcurrentTransactions
        producer.epoch += 1
        producer.transaction = None
        self._log(f"kafka: {transactional_id[-12:]} has epoch {producer.epoch}")
        return producer.epoch

    def produce(
        self,
        who: str,
        epoch: int | None,
        place: Place,
        sequence: int,
        pairs: list[Pair],
        *,
        number: int,
    ) -> None:
        """Append a batch; `epoch` is None for one without transactions."""
        partition = self.partition(place)
        transaction = None if epoch is None else self._begun(who, epoch, number, place)
        last = partition.sequences.get((who, epoch or 0), -1)
        if sequence <= last:
            return
        if sequence != last + 1:
            raise OutOfOrderSequenceNumber
        partition.sequences[who, epoch or 0] = sequence
        for key, value in pairs:
            partition.append(Record(key, value, transaction))

    def _begun(self, who: str, epoch: int, number: int, place: Place) -> Transaction:
        producer = self._current(who, epoch)
        transaction = producer.transaction
        if transaction is not None and transaction.is_over and number <= transaction.number:
            raise InvalidTxnState
        if transaction is None or transaction.is_over:
            transaction = producer.transaction = Transaction(epoch, number)
            self._loop.call_later(producer.timeout_s, self._time_out, who, transaction)
        if transaction.fate is not Fate.OPEN or number != transaction.number:
            raise ConcurrentTransactions
        transaction.places.setdefault(place, 0)
        return transaction

    def _current(self, who: str, epoch: int) -> Producer:
        producer = self.producers[who]
        if producer.epoch != epoch:
            raise ProducerFenced
        return producer

    def commit(self, who: str, epoch: int, number: int) -> None:
        """Decide that the open transaction is committed; a repeated request is answered like the first."""
        producer = self._current(who, epoch)
        transaction = producer.transaction
        if transaction is not None and number < transaction.number:
            return
        if transaction is None or transaction.fate in (Fate.ABORTED, Fate.ABORTING):
            raise InvalidTxnState
        if transaction.fate is Fate.OPEN:
            self._decide(who, producer, Fate.COMMITTING)

    def _decide(self, who: str, producer: Producer, fate: Fate) -> None:
        transaction = producer.transaction
        assert transaction is not None
        transaction.fate = fate
        self._log(f"kafka: {who[-12:]} {fate.value}, epoch {transaction.epoch}")
        for place in list(transaction.places):
            delay_s = self._rng.random() * (1.5 if self._rng.random() < 0.1 else 0.003)
            self._loop.call_later(delay_s, self._mark, transaction, place)
        if not transaction.places:
            self._over(transaction)

    def _mark(self, transaction: Transaction, place: Place) -> None:
        if self.is_away:
            self._loop.call_later(0.2, self._mark, transaction, place)
            return
        self.partition(place).end(transaction)
        del transaction.places[place]
        if not transaction.places:
            self._over(transaction)

    @staticmethod
    def _over(transaction: Transaction) -> None:
        is_commit = transaction.fate is Fate.COMMITTING
        transaction.fate = Fate.COMMITTED if is_commit else Fate.ABORTED

    def _time_out(self, who: str, transaction: Transaction) -> None:
        producer = self.producers[who]
        if producer.transaction is transaction and transaction.fate is Fate.OPEN:
            self._log(f"kafka: {who[-12:]} timed out, epoch {transaction.epoch}")
            self.timed_out += 1
            producer.epoch += 1
            self._decide(who, producer, Fate.ABORTING)

    # ── for the checker ──

    def committed(self, topic: str) -> list[list[Record]]:
        """Return what a read_committed reader sees, per partition."""
        return [
            [record for _, record in partition.visible(0, committed=True)]
            for partition in self.topics.get(topic, [])
        ]


RETRIABLE: tuple[type[KafkaError], ...] = (ConcurrentTransactions,)
