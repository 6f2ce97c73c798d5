"""An ingress and an egress at topics in memory: with the routing, the records and the outbox of Kafka's own."""

import asyncio
from collections.abc import Iterator, Mapping
from functools import partial

from aiokafka import TopicPartition

from statefun_runtime.adapters.invalid_records import InvalidRecordDesk
from statefun_runtime.connectors.kafka.client.protocols import Offsets
from statefun_runtime.connectors.kafka.egress.records import FORM, Record, prepare_record
from statefun_runtime.connectors.kafka.ingress.routes import make_route
from statefun_runtime.connectors.kafka.ingress.routing import Routing
from statefun_runtime.connectors.kafka.local.topics import LocalKafka
from statefun_runtime.connectors.kafka.settings.values import KafkaIngressSettings
from statefun_runtime.core.model.metrics import Metric
from statefun_runtime.core.model.position import Position
from statefun_runtime.core.outboxes.epoch_outbox import Outboxes
from statefun_runtime.ports.ingress import IngressContext

_READ_MAX = 500
_RECORD_BYTES_MAX = 1024 * 1024
_WAITING_MAX = 1 << 30
_PORTION_BYTES = 1024 * 1024


class LocalIngress:
    """An IngressSource of records that end with the process: so do its positions, and no checkpoint has any."""

    def __init__(
        self, spec: KafkaIngressSettings, context: IngressContext, kafka: LocalKafka, host: str
    ) -> None:
        self._context = context
        self._kafka = kafka
        self._host = host
        self._routes = {
            TopicPartition(route.topic, 0): make_route(route, context) for route in spec.routes
        }
        self._positions: Offsets = dict.fromkeys(self._routes, 0)
        self._has_more = asyncio.Event()
        invalid = InvalidRecordDesk(spec.id, spec.invalid_records, context)
        self._invalid = invalid
        self._routing = Routing(spec.id, context, invalid, self._positions)
        kafka.watch(self._has_more)

    async def listen(self) -> None:
        """Take the port."""
        await self._kafka.listen(self._host)

    async def start(self) -> None:
        """It begins at the beginning: whatever is there came to this process."""

    async def run(self) -> None:
        """Route what comes."""
        while True:
            self._has_more.clear()
            while self._route_some():
                await asyncio.sleep(0)
                if not self._context.is_open():
                    await self._context.opened()
            await self._has_more.wait()

    def _route_some(self) -> bool:
        """Let each topic have its turn; return whether any had records."""
        return sum(self._route(each) for each in self._routes) > 0

    def _route(self, split: TopicPartition) -> bool:
        """Route some records of a topic; return whether there were any."""
        records = self._kafka.topic(split.topic).read(self._positions[split], _READ_MAX)
        if not records:
            return False
        route = self._routes[split]
        work = self._routing.by_content if route.routers else self._routing.by_key
        work(split, records, route)
        self._positions[split] = records[-1].offset + 1
        return True

    def positions(self) -> dict[str, Position]:
        """Return none: they mean nothing to another life."""
        return {}

    def metrics(self) -> Iterator[Metric]:
        """Yield what was refused."""
        yield from self._invalid.metrics()

    def completed(self, positions: Mapping[str, Position]) -> None:
        """Nobody outside is told."""

    async def close(self) -> None:
        """Leave the port."""
        await self._kafka.close()


class LocalEgress:
    """An EgressSink: records are in their topics when their checkpoint is complete, whatever semantic was declared."""

    def __init__(
        self, kafka: LocalKafka, host: str, topic_suffix: str, *, first_epoch: int
    ) -> None:
        self._kafka = kafka
        self._first_epoch = first_epoch
        self._host = host
        self.outbox: Outboxes[Record] = Outboxes(
            FORM, records_max=_WAITING_MAX, on_ready=self._publish
        )
        self.prepare = partial(
            prepare_record,
            record_bytes_max=_RECORD_BYTES_MAX,
            partitions=lambda topic: 1,
            topic_suffix=topic_suffix,
        )

    async def listen(self) -> None:
        """Take the port."""
        await self._kafka.listen(self._host)

    def _publish(self) -> None:
        outbox = self.outbox
        while outbox.has_queued:
            portion = outbox.portion(_PORTION_BYTES)
            # What an earlier life sent has ended with it, like all that was in its topics.
            for record in portion.records if portion.epoch >= self._first_epoch else ():
                options = record.options
                self._kafka.append(
                    record.topic,
                    record.key,
                    record.value,
                    tuple(options.headers) if options else (),
                    options.timestamp_ms if options else None,
                )
            outbox.published(portion.epoch, portion.count)

    async def run(self) -> None:
        """Everything leaves when its checkpoint is complete."""
        await asyncio.Event().wait()

    def metrics(self) -> Iterator[Metric]:
        """Nobody asks."""
        return iter(())

    async def close(self) -> None:
        """Leave the port."""
        await self._kafka.close()
