"""`io.statefun.kafka.v1/egress`: records leave in batches, at least once or without a promise.

Each topic partition is a place of the outbox (core/outboxes/direct_outbox.py); a topic that nobody knows yet is one, too,
and its records are placed anew when the broker has said how many partitions it has.
"""

import asyncio
import logging
from collections.abc import Iterator
from itertools import islice

from aiokafka.errors import KafkaError

from statefun_runtime.connectors.complaint import Complaint
from statefun_runtime.connectors.kafka.client.arguments import producer_arguments
from statefun_runtime.connectors.kafka.client.clients import AIOKAFKA, KafkaClients
from statefun_runtime.connectors.kafka.client.codes import REFUSED
from statefun_runtime.connectors.kafka.client.inside import leave
from statefun_runtime.connectors.kafka.client.protocols import Batch, Producer
from statefun_runtime.connectors.kafka.client.troubles import (
    DENIED,
    explain,
    words,
)
from statefun_runtime.connectors.kafka.egress.partitioner import Partitioner
from statefun_runtime.connectors.kafka.egress.records import (
    FORM,
    RECORD_OVERHEAD_BYTES,
    Record,
    append_with_options,
    prepare_record,
)
from statefun_runtime.connectors.kafka.egress.sending import what_waits, why_not_taken
from statefun_runtime.connectors.kafka.settings.values import DeliverySemantic, KafkaEgressSettings
from statefun_runtime.connectors.kafka.topics import EgressTopics
from statefun_runtime.connectors.reach import Reach
from statefun_runtime.core.model.metrics import Metric, MetricKind
from statefun_runtime.core.outboxes.direct_outbox import DirectOutbox, Queue
from statefun_runtime.ports.egress import Refused, TellRefused, nobody_is_told

log = logging.getLogger("statefun.egress")

_RETRY_S = 0.5
_DENIED_RETRY_S = 2.0
_LOOK_S = 2.0
_FAILURES_FOR_NEW_PRODUCER = 3


# A topic and one of its partitions; None while nobody knows how many there are.
Place = tuple[str, int | None]


class KafkaEgress:
    """An EgressSink with semantic `none` or `at-least-once`."""

    def __init__(
        self,
        spec: KafkaEgressSettings,
        *,
        tell_refused: TellRefused = nobody_is_told,
        clients: KafkaClients = AIOKAFKA,
    ) -> None:
        self._spec = spec
        self._clients = clients
        self._arguments = producer_arguments(spec)
        self._record_bytes_max = self._arguments["max_request_size"] - RECORD_OVERHEAD_BYTES
        self._producer: Producer
        self._partitioner = Partitioner()
        self._complaint = Complaint(log, f"egress {spec.id}")
        self._topics = EgressTopics(clients, self._partitioner, self._complaint, self._arguments)
        self._is_wanted = asyncio.Event()
        self.outbox: DirectOutbox[Place, Record] = DirectOutbox(
            FORM,
            self._place_of,
            on_ready=self._is_wanted.set,
            is_kept=spec.delivery is not DeliverySemantic.NONE,
        )
        self._reach = Reach(
            log, f"egress {spec.id}", lambda: f"{self.outbox.count} records wait to leave"
        )
        self._failures_in_a_row = 0
        self._tell_refused = tell_refused
        self._published = 0
        self._refused = 0

    def prepare(self, typename: str, value: bytes) -> Record:
        """Check a KafkaProducerRecord; raise RecordRefused."""
        return prepare_record(
            typename,
            value,
            record_bytes_max=self._record_bytes_max,
            partitions=self._partitioner.count,
            topic_suffix=self._spec.topic_suffix,
        )

    def _place_of(self, record: Record) -> Place:
        topic, key, _, _, options = record
        if options is None:
            return topic, self._partitioner.partition(topic, key)
        return topic, self._partitioner.place(topic, key, options.partition)

    async def run(self) -> None:
        """Connect, then carry records out until cancelled; waits for the broker, and says so."""
        self._producer = await self._connect()
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._look_at_topics())
                tasks.create_task(
                    self._reach.run(lambda: self._clients.silent_brokers(self._producer))
                )
                while True:
                    await self._is_wanted.wait()
                    self._is_wanted.clear()
                    if self._failures_in_a_row >= _FAILURES_FOR_NEW_PRODUCER:
                        await self._replace_producer()
                    for queue in self.outbox.take():
                        topic, partition = queue.place
                        if partition is None:
                            tasks.create_task(self._learn_topic(topic, queue))
                        else:
                            tasks.create_task(self._send(topic, partition, queue))
        finally:
            await leave(self._producer)

    async def _connect(self) -> Producer:
        while True:
            producer = self._clients.make_producer(self._arguments)
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

    async def _learn_topic(self, topic: str, queue: Queue[Place, Record]) -> None:
        """Ask the broker how many partitions a topic has, until it says; then let its records go."""
        await self._topics.learn(lambda: self._producer, topic)
        self.outbox.place_anew(queue)

    async def _send(self, topic: str, partition: int, queue: Queue[Place, Record]) -> None:
        """Send what waits for a topic partition, a batch at a time, until nothing does."""
        records_max: int | None = None
        while queue.waiting:
            if not self._partitioner.has(topic, partition):
                self.outbox.place_anew(queue)
                return
            batch, count = self._build(queue, records_max)
            try:
                sent = await self._producer.send_batch(batch, topic, partition=partition)
                if not await self._is_done(sent, topic, partition, queue.waiting[0]):
                    # What is on its way there never arrives, and a producer does not give it up.
                    self._failures_in_a_row = _FAILURES_FOR_NEW_PRODUCER
                    self.outbox.place_anew(queue)
                    self._is_wanted.set()
                    return
                await sent
            except AssertionError:
                # How aiokafka says that a topic has less partitions now.
                self._partitioner.forget(topic)
            except REFUSED as error:
                # One of them is refused: smaller batches find it.
                records_max = count // 2 if count > 1 else None
                if records_max is None:
                    self._refuse(queue, error)
            except KafkaError as error:
                if self._spec.delivery is DeliverySemantic.NONE:
                    self.outbox.acknowledged(queue, count)
                    continue
                await self._setback((topic, partition), queue.waiting[0], error)
            else:
                self.outbox.acknowledged(queue, count)
                self._published += count
                if self._failures_in_a_row:
                    self._failures_in_a_row = 0
                    self._complaint.over()
        self.outbox.emptied(queue)

    async def _is_done(
        self, sent: asyncio.Future[object], topic: str, partition: int, first: Record
    ) -> bool:
        """Return when a batch is taken or refused; False if its topic partition is gone before.

        The client sends some again and again by itself: what the broker says to that is told.
        """
        place, about = (topic, partition), f"{topic} {partition}"
        while not sent.done():
            await asyncio.wait([sent], timeout=_LOOK_S)
            if not sent.done() and not self._partitioner.has(topic, partition):
                return False
            why = None if sent.done() else why_not_taken(self._producer, place, self._arguments)
            if why is not None:
                self._complaint.say(f"keeps trying {what_waits(place, first)}: {why}", about=about)
        self._complaint.over(about=about)
        return True

    async def _setback(self, place: tuple[str, int], first: Record, error: KafkaError) -> None:
        """Wait a little before the same batch is sent again; other topic partitions go on."""
        if isinstance(error, DENIED):
            self._complaint.say(f"keeps records: {words(error, self._arguments)}")
            await asyncio.sleep(_DENIED_RETRY_S)
            return
        why = words(error, self._arguments)
        about = f"{place[0]} {place[1]} {why}"
        self._complaint.say(f"keeps trying {what_waits(place, first)}: {why}", about=about)
        self._failures_in_a_row += 1
        self._is_wanted.set()
        await asyncio.sleep(_RETRY_S)

    def _build(self, queue: Queue[Place, Record], records_max: int | None) -> tuple[Batch, int]:
        batch = self._producer.create_batch()
        append, count = batch.append, 0
        for record in islice(queue.waiting, records_max):
            _, key, value, _, options = record
            if options is None:
                is_in = append(timestamp=None, key=key, value=value) is not None
            else:
                is_in = append_with_options(batch, record, options)
            if not is_in:
                break
            count += 1
        batch.close()
        return batch, count

    def _refuse(self, queue: Queue[Place, Record], error: Exception) -> None:
        """The broker will never take the first record: it is given up, the others go on."""
        self._refused += 1
        record, (topic, partition) = queue.waiting[0], queue.place
        assert partition is not None
        said = why_not_taken(self._producer, (topic, partition), self._arguments)
        why = said or str(error) or type(error).__name__
        if not self._tell_refused(Refused(*record[:3]), why):
            log.error(
                "egress %s: a record of %d bytes for topic %s is dropped, the broker refuses it for good: %s",
                self._spec.id,
                len(record.value),
                record.topic,
                why,
            )
        self.outbox.acknowledged(queue, 1)

    def metrics(self) -> Iterator[Metric]:
        """Return what was acknowledged, what the broker refused, and what waits."""
        yield Metric(
            "statefun_egress_records", MetricKind.COUNTER, "records that left", self._published
        )
        yield Metric(
            "statefun_egress_dropped", MetricKind.COUNTER, "records dropped", self._refused
        )
        waiting = self.outbox.count
        yield Metric(
            "statefun_egress_waiting", MetricKind.GAUGE, "records that have not left", waiting
        )
        yield from self._topics.metrics()
        yield from self._reach.metrics("egress")

    async def close(self) -> None:
        """The producer leaves with `run`."""
