"""`io.statefun.kafka.v1/egress`: records leave in batches, at least once or without a promise.

    emit ─▶ queue of one topic partition ─▶ one batch at a time ══▶ broker ─▶ acknowledged: forgotten
                        ▲                                └─ failed: the same records again, in order
                        └─ records that come meanwhile make the next batch

What is not acknowledged stays here, and is handed to the checkpoint at a clean stop.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiokafka.errors import (
    InvalidTopicError,
    KafkaError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
)

from statefun_runtime.connectors.kafka.client.arguments import producer_arguments
from statefun_runtime.connectors.kafka.client.clients import AIOKAFKA, KafkaClients
from statefun_runtime.connectors.kafka.client.troubles import DENIED, Complaint, explain, words
from statefun_runtime.connectors.kafka.egress.partitioner import Partitioner
from statefun_runtime.connectors.kafka.egress.records import (
    RECORD_OVERHEAD_BYTES,
    Record,
    TellRefused,
    append_with_options,
    leave,
    nobody_is_told,
    prepare_record,
    read_record,
)
from statefun_runtime.connectors.kafka.topics import EgressTopics
from statefun_runtime.core.checkpoints.manifest import Outbox
from statefun_runtime.core.model.metrics import Kind, Metric
from statefun_runtime.core.module.specs import DeliverySemantic, KafkaEgressSpec

log = logging.getLogger("statefun.egress")

_RETRY_S = 0.5
_DENIED_RETRY_S = 2.0
_FAILURES_FOR_NEW_PRODUCER = 3


@dataclass(slots=True)
class _Queue:
    """What waits for one topic partition; at most one batch of it is on its way."""

    topic: str
    partition: int
    waiting: deque[Record] = field(default_factory=deque)
    is_sending: bool = False


class KafkaEgress:
    """An EgressSink with semantic `none` or `at-least-once`."""

    def __init__(
        self,
        spec: KafkaEgressSpec,
        *,
        tell_refused: TellRefused = nobody_is_told,
        clients: KafkaClients = AIOKAFKA,
    ) -> None:
        self._spec = spec
        self._clients = clients
        self._arguments = producer_arguments(spec)
        self._record_bytes_max = self._arguments["max_request_size"] - RECORD_OVERHEAD_BYTES
        self._producer: Any = None
        self._partitioner = Partitioner()
        self._complaint = Complaint(log, f"egress {spec.id}")
        self._topics = EgressTopics(clients, self._partitioner, self._complaint, self._arguments)
        self._queues: dict[tuple[str, int], _Queue] = {}
        self._ready: list[_Queue] = []
        self._unknown: dict[str, deque[Record]] = {}
        self._bytes = 0
        self._is_wanted = asyncio.Event()
        self._is_empty = asyncio.Event()
        self._failures_in_a_row = 0
        self._is_changed = False
        self._tell_refused = tell_refused
        self._published = 0
        self._refused = 0

    async def start(self) -> None:
        """There is nothing to listen on; the broker is waited for in `run`."""

    def prepare(self, typename: str, value: bytes) -> Record:
        """Check a KafkaProducerRecord; raise RecordRefused."""
        return prepare_record(
            typename,
            value,
            record_bytes_max=self._record_bytes_max,
            partitions=self._partitioner.count,
        )

    def emit(self, record: Record) -> None:
        """Put a record into the queue of its topic partition."""
        topic, key, content, _, options = record
        self._bytes += len(content) + RECORD_OVERHEAD_BYTES
        self._is_changed = True
        if options is None:
            partition = self._partitioner.partition(topic, key)
        else:
            partition = self._partitioner.place(topic, key, options.partition)
        if partition is None:
            self._unknown.setdefault(topic, deque()).append(record)
            self._is_wanted.set()
            return
        queue = self._queues.get((topic, partition))
        if queue is None:
            queue = self._queues[topic, partition] = _Queue(topic, partition)
        queue.waiting.append(record)
        if not queue.is_sending:
            queue.is_sending = True
            self._ready.append(queue)
            self._is_wanted.set()

    def backlog_bytes(self) -> int:
        """Return the size of what is not acknowledged; a record without a value counts too."""
        return self._bytes

    def stored_bytes(self) -> int:
        """All that has not left is in memory."""
        return 0

    def refused(self) -> tuple[tuple[int, int], ...]:
        """What is refused is gone at once."""
        return ()

    async def run(self) -> None:
        """Connect, then carry records out until cancelled; waits for the broker, and says so."""
        self._producer = await self._connect()
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._look_at_topics())
                while True:
                    await self._is_wanted.wait()
                    self._is_wanted.clear()
                    if self._failures_in_a_row >= _FAILURES_FOR_NEW_PRODUCER:
                        await self._replace_producer()
                    for topic in [t for t in self._unknown if not self._partitioner.is_asked(t)]:
                        self._partitioner.ask(topic)
                        tasks.create_task(self._learn_topic(topic))
                    ready, self._ready = self._ready, []
                    for queue in ready:
                        tasks.create_task(self._send(queue))
        finally:
            await leave(self._producer)

    async def _connect(self) -> Any:
        while True:
            producer = self._clients.make_producer(**self._arguments)
            try:
                await producer.start()
            except (KafkaError, OSError) as error:
                await leave(producer)
                why = await explain(error, self._clients, self._arguments)
                self._complaint.say(f"waits: {why}")
                await asyncio.sleep(_RETRY_S)
            except asyncio.CancelledError:
                await leave(producer)
                raise
            else:
                self._complaint.over()
                log.info(
                    "egress %s is connected to %s", self._spec.id, self._spec.bootstrap_servers
                )
                return producer

    async def _replace_producer(self) -> None:
        """Some errors end a producer for good without saying so; what is not acknowledged is sent by a new one."""
        log.warning("egress %s makes a new producer", self._spec.id)
        await leave(self._producer)
        self._producer = await self._connect()
        self._failures_in_a_row = 0

    async def _look_at_topics(self) -> None:
        """The producer may be another one by the next look."""
        while True:
            await asyncio.sleep(self._topics.refresh_s)
            await self._topics.refresh(self._producer)

    async def _learn_topic(self, topic: str) -> None:
        """Ask the broker how many partitions a topic has, until it says; then let its records go."""
        await self._topics.learn(lambda: self._producer, topic)
        for record in self._unknown.pop(topic):
            self._bytes -= len(record[2]) + RECORD_OVERHEAD_BYTES
            self.emit(record)

    async def _send(self, queue: _Queue) -> None:
        """Send what waits for a topic partition, a batch at a time, until nothing does."""
        while queue.waiting:
            batch, count = self._build(queue)
            try:
                sent = await self._producer.send_batch(
                    batch, queue.topic, partition=queue.partition
                )
                await sent
            except (MessageSizeTooLargeError, RecordListTooLargeError, InvalidTopicError) as error:
                self._refuse(queue, count, error)
            except KafkaError as error:
                if self._spec.delivery is DeliverySemantic.NONE:
                    self._take_off(queue, count)
                    continue
                await self._setback(queue, error)
            else:
                self._take_off(queue, count)
                self._published += count
                if self._failures_in_a_row:
                    self._failures_in_a_row = 0
                    self._complaint.over()
        queue.is_sending = False

    async def _setback(self, queue: _Queue, error: KafkaError) -> None:
        """Wait a little before the same batch is sent again; other topic partitions go on."""
        if isinstance(error, DENIED):
            self._complaint.say(f"keeps records: {words(error, self._arguments)}")
            await asyncio.sleep(_DENIED_RETRY_S)
            return
        self._complaint.say(
            f"tries topic {queue.topic}, partition {queue.partition} again and again: "
            f"{words(error, self._arguments)}"
        )
        self._failures_in_a_row += 1
        self._is_wanted.set()
        await asyncio.sleep(_RETRY_S)

    def _build(self, queue: _Queue) -> tuple[Any, int]:
        batch = self._producer.create_batch()
        append, count = batch.append, 0
        for record in queue.waiting:
            if record[4] is None:
                is_in = append(timestamp=None, key=record[1], value=record[2]) is not None
            else:
                is_in = append_with_options(batch, record, record[4])
            if not is_in:
                break
            count += 1
        batch.close()
        return batch, count

    def _take_off(self, queue: _Queue, count: int) -> None:
        waiting = queue.waiting
        for _ in range(count):
            self._bytes -= len(waiting.popleft()[2]) + RECORD_OVERHEAD_BYTES
        self._is_changed = True
        if not self._bytes:
            self._is_empty.set()

    def _refuse(self, queue: _Queue, count: int, error: Exception) -> None:
        """The broker will never take this batch: only its first record is given up, for it to be told apart."""
        self._refused += 1
        if self._tell_refused(queue.waiting[0], str(error) or type(error).__name__):
            self._take_off(queue, 1)
            return
        log.error(
            "egress %s: the broker refuses a batch of %d records for topic %s for good (%s); the first is dropped",
            self._spec.id,
            count,
            queue.topic,
            str(error) or type(error).__name__,
        )
        self._take_off(queue, 1)

    async def flush(self, timeout_s: float) -> None:
        """Wait until everything is acknowledged, at most so long."""
        try:
            async with asyncio.timeout(timeout_s):
                while self._bytes:
                    self._is_empty.clear()
                    await self._is_empty.wait()
        except TimeoutError:
            log.warning(
                "egress %s: %d bytes have not left; they are kept for the next start",
                self._spec.id,
                self._bytes,
            )

    @property
    def is_transactional(self) -> bool:
        """Records leave at once."""
        return False

    @property
    def is_changed(self) -> bool:
        """Whether anything came or was acknowledged since the last cut."""
        return self._is_changed

    def cut(self, epoch: int) -> Sequence[Record] | None:
        """Return what is not acknowledged, by topic partition, in order."""
        if not self._is_changed:
            return None
        self._is_changed = False
        if self._spec.delivery is DeliverySemantic.NONE:
            return []
        queues = [*(queue.waiting for queue in self._queues.values()), *self._unknown.values()]
        return [record for waiting in queues for record in waiting]

    def encode(self, records: Sequence[Record]) -> list[bytes]:
        """Return records as bytes."""
        return [record[3] for record in records]

    def completed(self, epoch: int, outbox: Outbox | None = None) -> None:
        """Nothing waits for a checkpoint."""

    def failed(self, epoch: int) -> None:
        """The next cut has it all again."""
        self._is_changed = True

    def confirmed_epoch(self) -> int:
        """Nothing is published by epoch."""
        return 0

    def restore(
        self, outbox: Outbox, read: Callable[[], list[bytes]], refused: Iterable[int] = ()
    ) -> None:
        """Send what an earlier life could not."""
        for record in read():
            self.emit(read_record(record))

    def metrics(self) -> Iterator[Metric]:
        """Return what was acknowledged, what the broker refused, and what waits."""
        yield Metric("statefun_egress_records", Kind.COUNTER, "records that left", self._published)
        yield Metric("statefun_egress_dropped", Kind.COUNTER, "records dropped", self._refused)
        waiting = sum(len(queue.waiting) for queue in self._queues.values())
        waiting += sum(map(len, self._unknown.values()))
        yield Metric("statefun_egress_waiting", Kind.GAUGE, "records that have not left", waiting)
        yield from self._topics.metrics()

    async def close(self) -> None:
        """The producer leaves with `run`."""
