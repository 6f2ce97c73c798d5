"""`io.statefun.kafka.v1/egress` with exactly-once: outbox and marker.

    complete epochs (core/outboxes/epoch_outbox.py) ─▶ begin · records · marker · commit ─▶ forgotten

    recovery, and after any error of the producer: a new producer initialises the transactional id (that fences whoever
    had it and ends what was open), writes a claim, reads the progress topic until the claim has come back, and goes on
    behind the last marker of this worker's ancestry.

Invariants: a record leaves only after the checkpoint of its epoch is complete; a transaction is open no longer than
it takes to write its records; the outcome of a commit is never guessed, but read from the marker.
"""

import asyncio
import logging
from collections.abc import Awaitable, Iterator

from aiokafka.errors import IllegalOperation, KafkaError

from statefun_runtime.connectors.complaint import Complaint
from statefun_runtime.connectors.kafka.client.arguments import producer_arguments
from statefun_runtime.connectors.kafka.client.clients import AIOKAFKA, KafkaClients
from statefun_runtime.connectors.kafka.client.inside import leave, why_it_failed
from statefun_runtime.connectors.kafka.client.protocols import Producer
from statefun_runtime.connectors.kafka.client.troubles import DENIED, explain
from statefun_runtime.connectors.kafka.egress import progress as kafka_progress
from statefun_runtime.connectors.kafka.egress.limits import LIMITS, PortionSize, PublisherLimits
from statefun_runtime.connectors.kafka.egress.memory import Memory
from statefun_runtime.connectors.kafka.egress.partitioner import Partitioner
from statefun_runtime.connectors.kafka.egress.records import (
    FORM,
    RECORD_OVERHEAD_BYTES,
    Record,
    prepare_record,
)
from statefun_runtime.connectors.kafka.egress.sending import (
    HeldUp,
    RecordRefused,
    Sending,
    bytes_of,
    no_note_taken,
)
from statefun_runtime.connectors.kafka.settings.values import KafkaEgressSettings
from statefun_runtime.connectors.kafka.topics import EgressTopics
from statefun_runtime.connectors.reach import Reach
from statefun_runtime.core.checkpoints.commits import (
    Claim,
    Covered,
    History,
    Marker,
    Started,
    Superseded,
    decide_published,
)
from statefun_runtime.core.checkpoints.manifest import Progress
from statefun_runtime.core.model.metrics import Histogram, Metric, MetricKind
from statefun_runtime.core.outboxes.epoch_outbox import Outboxes
from statefun_runtime.errors import FencedError, UnavailableError
from statefun_runtime.ports.contexts import ReadOutbox
from statefun_runtime.ports.egress import Refused, TellRefused, nobody_is_told

log = logging.getLogger("statefun.egress")

_RETRY_S = 0.5
_RETRY_MAX_S = 5.0
_TIMEOUT_SHARE = 0.75
_DENIED_RETRY_S = 2.0
_TRANSACTION_TIMEOUT_MS_MAX = 60_000
_RECORDS_MAX = 1_000_000


class KafkaPublisher:
    """An EgressSink that publishes each epoch's outbox once; `owner` is who of the application's workers this is."""

    def __init__(
        self,
        spec: KafkaEgressSettings,
        started: Started,
        history: History,
        *,
        owner: str,
        read: ReadOutbox,
        tell_refused: TellRefused = nobody_is_told,
        known: Progress | None = None,
        may_republish: bool = False,
        clients: KafkaClients = AIOKAFKA,
        limits: PublisherLimits = LIMITS,
    ) -> None:
        name = f"{started.application}-{owner}-{spec.id.namespace}.{spec.id.name}"
        self._spec = spec
        self._limits = limits
        self._clients = clients
        self._read = read
        self._tell_refused = tell_refused
        self._started = started
        self._history = history
        self._attempts = 0
        self._size = PortionSize(limits.transaction_bytes_max)
        self._setbacks = 0
        self._progress_topic = f"statefun-progress-{name}"
        self._arguments = producer_arguments(spec) | {
            "transactional_id": f"statefun-{name}",
            "transaction_timeout_ms": min(
                spec.transaction_timeout_ms or _TRANSACTION_TIMEOUT_MS_MAX,
                _TRANSACTION_TIMEOUT_MS_MAX,
            ),
        }
        self._record_bytes_max = self._arguments["max_request_size"] - RECORD_OVERHEAD_BYTES
        self._partitioner = Partitioner()
        self._complaint = Complaint(log, f"egress {spec.id}")
        self._topics = EgressTopics(clients, self._partitioner, self._complaint, self._arguments)
        self._sending = Sending(
            self._topics,
            self._partitioner,
            self._complaint,
            self._arguments,
            self._size,
            limit_s=self._limit_s,
        )
        self._has_work = asyncio.Event()
        self.outbox: Outboxes[Record] = Outboxes(
            FORM,
            records_max=_RECORDS_MAX,
            memory_max_bytes=limits.memory_bytes_max,
            on_ready=self._has_work.set,
        )
        self._reach = Reach(
            log, f"egress {spec.id}", lambda: f"{self.outbox.count} records wait to leave"
        )
        self._memory = Memory(spec.id, known, may_republish=may_republish)
        self._producer: Producer | None = None
        self._published = self._refused = self._recoveries = 0
        self._transaction_ms = Histogram()

    def prepare(self, typename: str, value: bytes) -> Record:
        """Check a KafkaProducerRecord; raise RecordRefused."""
        return prepare_record(
            typename,
            value,
            record_bytes_max=self._record_bytes_max,
            partitions=self._partitioner.count,
            topic_suffix=self._spec.topic_suffix,
        )

    @property
    def _limit_s(self) -> float:
        """The coordinator aborts what takes longer: this has to be found out before."""
        timeout_s: float = self._arguments["transaction_timeout_ms"] / 1000
        return timeout_s * _TIMEOUT_SHARE

    def progress(self) -> Progress | None:
        """Return how far this egress is known to have published, and where."""
        return self._memory.progress(self.outbox.confirmed_epoch)

    async def _silent_brokers(self) -> list[str]:
        if self._producer is None:
            return [self._spec.bootstrap_servers]
        return await self._clients.silent_brokers(self._producer)

    async def run(self) -> None:
        """Publish complete outboxes until cancelled; raise FencedError if somebody newer does."""
        async with asyncio.TaskGroup() as tasks:
            looking = tasks.create_task(self._reach.run(self._silent_brokers))
            try:
                await self._publish_always()
            finally:
                looking.cancel()

    async def _publish_always(self) -> None:
        try:
            while True:
                try:
                    await self._recover()
                    while True:
                        await self._has_work.wait()
                        self._has_work.clear()
                        await self._publish()
                except RecordRefused as error:
                    await self._throw_away()
                    self._narrow_down(error)
                except (KafkaError, IllegalOperation, UnavailableError, OSError) as error:
                    what, cause = "", error
                    if isinstance(error, HeldUp):
                        what, cause = error.what, error.error
                    cause = why_it_failed(self._producer, cause)
                    await self._throw_away()
                    await self._setback(cause, what)
        finally:
            await self._throw_away()

    async def _setback(self, error: Exception, what: str) -> None:
        """Wait a little before the next producer; `what` is held up by the error, if that is known."""
        self._recoveries += 1
        why = await explain(error, self._clients, self._arguments)
        told = f"{what}: {why}" if what else why
        self._complaint.say(f"waits, records are kept: {told}", about=why)
        pause_s = min(_RETRY_MAX_S, _RETRY_S * 2.0**self._setbacks)
        self._setbacks += 1
        await asyncio.sleep(_DENIED_RETRY_S if isinstance(error, DENIED) else pause_s)

    def _narrow_down(self, error: RecordRefused) -> None:
        """Try smaller transactions until the one record is found that is to be given up."""
        portion = self.outbox.portion(self._size.bytes)
        record = self.outbox.narrow_down(portion) if portion.records else None
        if record is None:
            return
        self._refused += 1
        has_letter = self._tell_refused(Refused(*record[:3]), str(error))
        self.outbox.give_up(portion, has_letter=has_letter)
        if has_letter:
            return
        log.error(
            "egress %s: a record of %d bytes for topic %s is dropped, the broker refuses it for good: %s",
            self._spec.id,
            len(record[2]),
            record[0],
            error,
        )

    async def _throw_away(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            await leave(producer)

    @property
    def _open_producer(self) -> Producer:
        assert self._producer is not None, "nothing is published before recovery"
        return self._producer

    # ── recovery ──

    async def _recover(self) -> None:
        """Become the one publisher, and forget what is published already."""
        cluster = await kafka_progress.make_topic(
            self._clients,
            self._progress_topic,
            self._arguments,
            self._memory,
            self.outbox,
            lambda lacking: self._complaint.say(lacking, about="replicas"),
        )
        producer = self._producer = self._clients.make_producer(self._arguments)
        await producer.start()
        await producer.begin_transaction()
        self._attempts += 1
        own = Claim(self._started.incarnation, self._started.nonce, self._attempts)
        key, value = kafka_progress.encode(own)
        await self._taken(producer.send_and_wait(self._progress_topic, value, key, partition=0))
        await self._commit()
        seen = await kafka_progress.read_until(
            self._clients, self._progress_topic, own, self._arguments
        )
        match decide_published(seen, self._history, own):
            case Superseded(claim):
                raise FencedError(
                    f"egress '{self._spec.id}': incarnation {claim.incarnation} publishes in place of this worker",
                    code="SF4002",
                )
            case Covered(epoch, count):
                self.outbox.published(epoch, count)
        self._memory.begun(cluster)
        self._has_work.set()
        log.info("egress %s publishes to %s", self._spec.id, self._spec.bootstrap_servers)

    # ── publishing ──

    async def _publish(self) -> None:
        """Publish everything that is queued, a portion at a time."""
        loop = asyncio.get_running_loop()
        while self.outbox.has_queued:
            began_s = loop.time()
            while (batch := self.outbox.next_unloaded(self._size.bytes)) is not None:
                assert batch.object is not None
                records = await self._read(batch.object)
                self.outbox.loaded(batch, list(map(FORM.decode, records)))
            portion = self.outbox.portion(self._size.bytes)
            if not portion.is_progress:
                # The next checkpoint will have the dead letter that this waits for.
                return
            # A topic may be waited for, and no transaction may be open that long.
            by_place = await self._topics.places(lambda: self._open_producer, portion.records)
            opened_s = loop.time()
            await self._open_producer.begin_transaction()
            marker = Marker(
                self._started.incarnation,
                self._started.nonce,
                self._started.lineage,
                portion.epoch,
                portion.count,
            )
            note = (self._progress_topic, *kafka_progress.encode(marker))
            noted = await self._sending.send(self._open_producer, by_place, note)
            try:
                await self._taken(noted)
                await self._commit()
            except (KafkaError, UnavailableError):
                # A quota lets records in, and has their sender wait with all that comes behind them.
                if loop.time() - opened_s >= self._limit_s:
                    self._size.took_too_long(bytes_of(by_place))
                raise
            self._complaint.over()
            self._setbacks = 0
            self._size.went_well()
            self.outbox.published(marker.epoch, marker.count)
            self._published += len(portion.records)
            self._transaction_ms.add((loop.time() - began_s) * 1000)

    async def _taken(self, noted: Awaitable[object]) -> None:
        """Wait for a claim or marker, in the transaction that is open."""
        try:
            async with asyncio.timeout(self._limits.commit_s):
                await noted
        except TimeoutError:
            raise no_note_taken(self._progress_topic) from None

    async def _commit(self) -> None:
        """Commit, or raise with the outcome unclear; the producer is thrown away then, and the marker read."""
        try:
            async with asyncio.timeout(self._limits.commit_s):
                await self._open_producer.commit_transaction()
        except TimeoutError:
            raise UnavailableError("a commit got no answer", code="SF3006") from None
        except AssertionError as error:
            # How aiokafka says that its sender has died meanwhile.
            raise KafkaError("the producer failed before its commit") from error

    def metrics(self) -> Iterator[Metric]:
        """Return what is published, what waits, and how transactions went."""
        yield Metric(
            "statefun_egress_records", MetricKind.COUNTER, "records that left", self._published
        )
        waiting = self.outbox.count
        yield Metric(
            "statefun_egress_waiting", MetricKind.GAUGE, "records that have not left", waiting
        )
        yield Metric(
            "statefun_egress_dropped", MetricKind.COUNTER, "records dropped", self._refused
        )
        yield Metric(
            "statefun_egress_recoveries",
            MetricKind.COUNTER,
            "producers thrown away",
            self._recoveries,
        )
        yield Metric(
            "statefun_egress_transaction_ms",
            MetricKind.HISTOGRAM,
            "milliseconds per transaction",
            self._transaction_ms,
        )

        yield from self._topics.metrics()
        yield from self._reach.metrics("egress")

    async def close(self) -> None:
        """The producer leaves with `run`."""
