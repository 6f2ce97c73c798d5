"""The HTTP ingress of a cluster: every worker takes requests, and a topic keeps them; who reads it routes them.

    PUT ─▶ checked ─▶ topic, acknowledged by its replicas ─▶ 200
                        └─▶ whoever reads that topic partition ─▶ the target's worker, where its key is looked up

200 means what it means with one worker, with the brokers in place of the disk. Records of one id are in one topic
partition, in the order in which they were answered.
"""

import asyncio
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from zlib import crc32

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from statefun_runtime.adapters.http.server import (
    Deferred,
    HttpResponse,
    HttpServer,
    ServerFactory,
)
from statefun_runtime.adapters.invalid_records import InvalidRecordDesk
from statefun_runtime.app.cluster.shown import ShownEgressSpec
from statefun_runtime.config.cluster import ClusterSettings
from statefun_runtime.connectors.complaint import Complaint
from statefun_runtime.connectors.kafka.client.clients import AIOKAFKA, KafkaClients
from statefun_runtime.connectors.kafka.client.inside import leave
from statefun_runtime.connectors.kafka.client.protocols import Fetched, Offsets, Producer
from statefun_runtime.connectors.kafka.client.troubles import explain
from statefun_runtime.connectors.kafka.cluster.topics import (
    HTTP_BYTES_MAX,
    HTTP_PARTITIONS,
    Brokers,
    brokers_of,
)
from statefun_runtime.connectors.kafka.ingress.reader import KafkaIngress
from statefun_runtime.connectors.kafka.ingress.routes import Route
from statefun_runtime.connectors.kafka.ingress.routing import Routing
from statefun_runtime.connectors.kafka.settings.values import KafkaIngressSettings, TopicRoute
from statefun_runtime.connectors.playground.front import HttpFront, route_record
from statefun_runtime.connectors.playground.specs import PlaygroundEgressSpec, PlaygroundIngressSpec
from statefun_runtime.core.model.address import TypeName
from statefun_runtime.core.model.idempotency import Repeat
from statefun_runtime.core.model.metrics import Metric
from statefun_runtime.core.model.position import Position
from statefun_runtime.core.module.checks import Attempt
from statefun_runtime.core.module.specs import DeadLetterRoute, Earliest
from statefun_runtime.errors import UnavailableError
from statefun_runtime.ports.contexts import IngressBuildContext
from statefun_runtime.ports.ingress import IngressContext
from statefun_runtime.ports.module import ModuleSpec

log = logging.getLogger("statefun.ingress")

_RETRY_S = 0.5
_SENT_S = 10.0
_VALUE_TYPE = "io.statefun.http/record"


def with_carried_http(module: ModuleSpec, cluster: ClusterSettings) -> ModuleSpec:
    """Return a module whose HTTP ingress and egress are such that several machines share them."""
    brokers = brokers_of(cluster)
    ingresses = tuple(
        CarriedIngressSpec(spec, brokers) if isinstance(spec, PlaygroundIngressSpec) else spec
        for spec in module.ingresses
    )
    egresses = tuple(
        ShownEgressSpec(spec) if isinstance(spec, PlaygroundEgressSpec) else spec
        for spec in module.egresses
    )
    return replace(module, ingresses=ingresses, egresses=egresses)


@dataclass(frozen=True, slots=True)
class CarriedIngressSpec:
    """A declared HTTP ingress, in a cluster."""

    inner: PlaygroundIngressSpec
    brokers: Brokers

    @property
    def id(self) -> TypeName:
        """What the module calls it."""
        return self.inner.id

    @property
    def is_shared(self) -> bool:
        """Each worker reads topic partitions of its own."""
        return True

    @property
    def dead_letters(self) -> DeadLetterRoute | None:
        """The same as with one worker."""
        return self.inner.dead_letters

    @property
    def targets(self) -> tuple[TypeName, ...]:
        """The same as with one worker."""
        return self.inner.targets

    def describe(self, host: str) -> str:
        """Return where records are put."""
        return f"{self.inner.describe(host)}, kept in topic {self.brokers.http}"

    def checks(self) -> Iterator[tuple[str, Attempt]]:
        """The brokers are the cluster's: nothing is to be tried besides."""
        return self.inner.checks()

    def build(self, context: IngressBuildContext) -> "CarriedIngress":
        """Return the ingress."""
        server = partial(HttpServer, connections_max=context.connections_max)
        return CarriedIngress(self, context, AIOKAFKA, server)


class CarriedIngress:
    """An IngressSource whose splits are the partitions of the topic."""

    def __init__(
        self,
        spec: CarriedIngressSpec,
        context: IngressBuildContext,
        clients: KafkaClients,
        make_server: ServerFactory,
    ) -> None:
        brokers = spec.brokers
        self._clients = clients
        self._topic = brokers.http
        self._arguments = brokers.arguments() | {
            "enable_idempotence": True,
            "acks": "all",
            "max_request_size": HTTP_BYTES_MAX,
        }
        self._front = HttpFront(
            context.ingress,
            self._keep,
            host=context.host,
            port=spec.inner.port,
            body_bytes_max=HTTP_BYTES_MAX // 2,
            make_server=make_server,
        )
        self._reader = _Reader(spec, context, self._front, clients)
        self._complaint = Complaint(log, f"ingress {spec.id}")
        # Id, record, and who waits for an answer.
        self._waiting: list[tuple[bytes, bytes, Deferred]] = []
        self._has_waiting = asyncio.Event()
        # How many of them are with the producer.
        self._sent = 0

    async def listen(self) -> None:
        """Take the port, unless another worker of this machine has it already."""
        try:
            await self._front.listen("the playground ingress")
        except UnavailableError as error:
            log.warning(
                "%s: all is well if it is another worker of this cluster that has it", error.line
            )

    async def start(self) -> None:
        """Begin to read what the topic holds."""
        await self._reader.start()

    async def run(self) -> None:
        """Route what the topic holds, and keep what comes, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._reader.run())
            await self._keep_always()

    def positions(self) -> dict[str, Position]:
        """Return where each topic partition is read."""
        return self._reader.positions()

    def completed(self, positions: Mapping[str, Position]) -> None:
        """Tell the reader."""
        self._reader.completed(positions)

    def why_cut_off(self) -> str | None:
        """Return who gives no answer."""
        return self._reader.why_cut_off()

    def waits(self) -> list[str]:
        """Return what waits for a person."""
        return self._reader.waits()

    def metrics(self) -> Iterator[Metric]:
        """Return what was routed, and what was refused."""
        yield from self._reader.metrics()
        yield from self._front.metrics()

    async def close(self) -> None:
        """Stop listening, and leave."""
        await self._front.close()
        await self._reader.close()

    # ── what is kept ──

    def _keep(self, function_id: str, record: bytes, answer: Deferred) -> None:
        self._waiting.append((function_id.encode(), record, answer))
        self._has_waiting.set()

    async def _keep_always(self) -> None:
        try:
            while True:
                producer = self._clients.make_producer(self._arguments)
                try:
                    await producer.start()
                    self._front.is_taking = True
                    await self._send_always(producer)
                except (KafkaError, OSError, TimeoutError) as error:
                    why = await explain(error, self._clients, self._arguments)
                    self._complaint.say(f"takes no records: {why}")
                    self._refuse_all(why)
                finally:
                    await leave(producer)
                await asyncio.sleep(_RETRY_S)
        finally:
            self._front.is_taking = False
            sent, self._sent = self._sent, 0
            waiting, self._waiting = self._waiting, []
            for *_, answer in waiting[:sent]:
                answer.resolve(self._unclear("the worker stops"))
            for *_, answer in waiting[sent:]:
                answer.resolve(self._front.stopping())

    async def _send_always(self, producer: Producer) -> None:
        while True:
            await self._has_waiting.wait()
            self._has_waiting.clear()
            waiting = list(self._waiting)
            self._sent = len(waiting)
            async with asyncio.timeout(_SENT_S):
                sent = [await self._send(producer, at, record) for at, record, _ in waiting]
                for one in sent:
                    await one
            del self._waiting[: len(waiting)]
            self._sent = 0
            self._complaint.over()
            for *_, answer in waiting:
                answer.resolve(self._front.answer(Repeat.NEW))

    async def _send(
        self, producer: Producer, function_id: bytes, record: bytes
    ) -> "asyncio.Future[object]":
        partition = crc32(function_id) % HTTP_PARTITIONS
        return await producer.send(self._topic, record, function_id, partition=partition)

    def _refuse_all(self, why: str) -> None:
        self._front.is_taking = False
        self._sent = 0
        waiting, self._waiting = self._waiting, []
        for *_, answer in waiting:
            answer.resolve(self._unclear(why))

    def _unclear(self, why: str) -> HttpResponse:
        """Return the answer to what may have been kept; with an Idempotency-Key it may be sent again."""
        text = f"it is not known whether the message is kept: {why}"
        return self._front.refuse(503, "brokers", text, ("Retry-After", "1"))


class _Reader(KafkaIngress):
    """Reads the topic, whose records say themselves where they go."""

    def __init__(
        self,
        spec: CarriedIngressSpec,
        context: IngressBuildContext,
        front: HttpFront,
        clients: KafkaClients,
    ) -> None:
        brokers = spec.brokers
        settings = KafkaIngressSettings(
            spec.id,
            brokers.servers,
            f"{brokers.http}-reader",
            (TopicRoute(brokers.http, _VALUE_TYPE, ()),),
            startup=Earliest(),
            properties=brokers.properties,
        )
        # A worker alone has another kind of position: in a log of its own, which it has read.
        ours = {at: one for at, one in context.restored.items() if at.startswith(brokers.http)}
        super().__init__(settings, context.ingress, ours, reads=context.reads, clients=clients)
        self._routing = _Routing(spec.id, context.ingress, self._invalid, self._positions, front)


class _Routing(Routing):
    """Routes records that say themselves where they go."""

    def __init__(
        self,
        ingress_id: TypeName,
        context: IngressContext,
        invalid: InvalidRecordDesk,
        positions: Offsets,
        front: HttpFront,
    ) -> None:
        super().__init__(ingress_id, context, invalid, positions)
        self._front = front

    def by_key(
        self, topic_partition: TopicPartition, records: Sequence[Fetched], route: Route
    ) -> None:
        """Route records; if one cannot be looked up now, it is the next to be read."""
        for record in records:
            self._positions[topic_partition] = record.offset
            repeat = route_record(self._context, record.value or b"")
            if repeat is None:
                self._front.count("unknown-function")
            elif repeat is not Repeat.NEW:
                self._front.answer(repeat)
