"""`io.statefun.kafka.v1/ingress`: reads topics and routes each record to the targets of its topic.

Targets are fixed, with the record's key as the id, or what a router finds in the record's content.

Topic partitions are assigned by hand, all of them: positions belong to the checkpoint, the consumer group is only
told about them. A split is held back by pausing its topic partition; records fetched ahead stay in the client.

Topics that do not exist, and new topic partitions, are looked for beside reading. Both are read from their beginning,
as after a restart: the checkpoint knows the topic, if only by the mark that it did not exist.
"""

import asyncio
import logging
from collections.abc import Iterable, Iterator, Sequence

from aiokafka import TopicPartition
from aiokafka.errors import (
    ConsumerStoppedError,
    GroupAuthorizationFailedError,
    KafkaError,
    OffsetOutOfRangeError,
    TopicAuthorizationFailedError,
)

from statefun_runtime.adapters.invalid_records import InvalidRecordDesk
from statefun_runtime.adapters.protobuf_router import NotRoutable
from statefun_runtime.connectors.complaint import Complaint
from statefun_runtime.connectors.kafka.client.arguments import consumer_arguments, discovery_s
from statefun_runtime.connectors.kafka.client.clients import AIOKAFKA, KafkaClients
from statefun_runtime.connectors.kafka.client.inside import leave
from statefun_runtime.connectors.kafka.client.protocols import Consumer, Fetched
from statefun_runtime.connectors.kafka.client.troubles import explain, words
from statefun_runtime.connectors.kafka.ingress.routes import Route, addresses, make_route
from statefun_runtime.connectors.kafka.ingress.start import (
    PositionVanished,
    resolve_start,
    split_name,
    vanished,
)
from statefun_runtime.connectors.kafka.settings.specs import KafkaIngressSpec
from statefun_runtime.connectors.kafka.topics import IngressTopics
from statefun_runtime.core.model.address import Address
from statefun_runtime.core.model.dead_letter import Origin
from statefun_runtime.core.model.function import Function
from statefun_runtime.core.model.metrics import Kind, Metric
from statefun_runtime.errors import UnavailableError
from statefun_runtime.ports.ingress import IngressContext

log = logging.getLogger("statefun.ingress")

_POLL_MS = 500
_RECORDS_PER_POLL = 2000
_RETRY_S = 1.0
_DENIED_RETRY_S = 2.0
_TELL_EVERY_S = 5.0
_TELL_LIMIT_S = 2.0


class KafkaIngress:
    """An IngressSource whose splits are topic partitions."""

    def __init__(
        self,
        spec: KafkaIngressSpec,
        context: IngressContext,
        restored: dict[str, int],
        *,
        clients: KafkaClients = AIOKAFKA,
    ) -> None:
        self._spec = spec
        self._clients = clients
        self._context = context
        self._restored = restored
        self._routes = {route.topic: make_route(route, context) for route in spec.routes}
        self._positions: dict[TopicPartition, int] = {}
        self._held: set[TopicPartition] = set()
        # Raises for a file that cannot be used, before anything starts.
        self._arguments = consumer_arguments(spec)
        self._discovery_s = discovery_s(spec)
        self._records_per_poll = self._arguments.get("max_poll_records", _RECORDS_PER_POLL)
        self._complaint = Complaint(log, f"ingress {spec.id}")
        self._topics = IngressTopics(spec, clients)
        self._fresh: dict[TopicPartition, int] = {}
        self._has_fresh = asyncio.Event()
        self._denied_until_s: dict[str, float] = {}
        self._consumer: Consumer | None = None
        self._has_group = True
        self._to_tell: dict[str, int] = {}
        self._received = 0
        self._invalid = InvalidRecordDesk(spec.id, spec.invalid_records, context)

    async def start(self) -> None:
        """Connect, and seek to where reading begins; waits for the broker, and says so.

        Topics that do not exist are looked for later: the others do not wait for them.
        """
        while True:
            try:
                await self._connect()
                self._complaint.over()
                return
            except PositionVanished:
                await self._leave()
                raise
            except (KafkaError, OSError, UnavailableError) as error:
                await self._leave()
                why = await explain(error, self._clients, self._arguments)
                self._complaint.say(f"waits: {why}")
                await asyncio.sleep(_RETRY_S)

    async def _connect(self) -> None:
        consumer = self._consumer = self._clients.make_consumer(self._arguments)
        await consumer.start()
        topic_partitions = await self._topics.look(consumer)
        known = {**self._restored, **self._topics.marks()}
        if topic_partitions:
            self._positions = await resolve_start(consumer, self._spec, topic_partitions, known)
            self._assign()
        log.info(
            "ingress %s reads %d topic partitions of %s",
            self._spec.id,
            len(topic_partitions),
            ", ".join(dict.fromkeys(tp.topic for tp in topic_partitions)) or "no topic yet",
        )

    def _assign(self) -> None:
        """Read all topic partitions that are known, from where each is."""
        consumer = self._reading
        # Nothing may happen between these: the client would choose positions by itself.
        consumer.assign(list(self._positions))
        for topic_partition, offset in self._positions.items():
            consumer.seek(topic_partition, offset)
        paused = [tp for tp in self._positions if tp in self._held or self._is_denied(tp)]
        if paused:
            consumer.pause(*paused)

    def _is_denied(self, topic_partition: TopicPartition) -> bool:
        return topic_partition.topic in self._denied_until_s

    @property
    def _reading(self) -> Consumer:
        assert self._consumer is not None, "nothing is read before the start"
        return self._consumer

    async def run(self) -> None:
        """Route records until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            # A coordinator that does not answer must not hold up reading.
            tasks.create_task(self._tell_regularly())
            tasks.create_task(self._discover_regularly())
            await self._read()

    async def _discover_regularly(self) -> None:
        while True:
            await asyncio.sleep(_RETRY_S if self._topics.are_missing else self._discovery_s)
            try:
                fresh = [
                    tp for tp in await self._topics.look(self._reading) if tp not in self._positions
                ]
                if fresh:
                    self._fresh = await self._reading.beginning_offsets(fresh)
                    self._has_fresh.set()
            except (KafkaError, ConsumerStoppedError, OSError) as error:
                self._complaint.say(f"cannot look at its topics: {words(error, self._arguments)}")

    def _adopt_fresh(self) -> None:
        fresh, self._fresh = self._fresh, {}
        self._has_fresh.clear()
        self._positions = {**fresh, **self._positions}
        self._assign()
        places = ", ".join(split_name(tp.topic, tp.partition) for tp in sorted(fresh))
        log.info("ingress %s reads new topic partitions: %s", self._spec.id, places)

    async def _read(self) -> None:
        while True:
            if not self._context.is_open():
                await self._context.opened()
            if self._held and not self._context.is_tight():
                self._reading.resume(*self._held)
                self._held.clear()
            if self._denied_until_s:
                self._try_denied()
            if not self._positions:
                await self._has_fresh.wait()
            if self._fresh:
                self._adopt_fresh()
            try:
                polled = await self._reading.getmany(
                    timeout_ms=_POLL_MS, max_records=self._records_per_poll
                )
            except OffsetOutOfRangeError as error:
                raise vanished(self._spec, error.args[0]) from error
            except TopicAuthorizationFailedError as error:
                self._deny(error)
                continue
            except GroupAuthorizationFailedError as error:
                await self._read_without_group(error)
                continue
            except KafkaError as error:
                self._complaint.say(f"cannot read: {words(error, self._arguments)}")
                await asyncio.sleep(_RETRY_S)
                continue
            for topic_partition, records in polled.items():
                self._take(topic_partition, records)

    async def _read_without_group(self, error: GroupAuthorizationFailedError) -> None:
        """The group is for people to look at: to read, another consumer does without it."""
        self._complaint.say(f"reads without its consumer group: {words(error, self._arguments)}")
        consumer = self._clients.make_consumer(self._arguments | {"group_id": None})
        try:
            await consumer.start()
            await self._clients.watch(consumer, list({tp.topic: 0 for tp in self._positions}))
        except (KafkaError, OSError):
            await leave(consumer)
            await asyncio.sleep(_RETRY_S)
            return
        self._has_group = False
        old, self._consumer = self._reading, consumer
        self._assign()
        await leave(old)

    def _deny(self, error: TopicAuthorizationFailedError) -> None:
        """Leave a topic alone for a while that may not be read; the others go on."""
        topic = str(error.args[0])
        self._complaint.say(f"cannot read: {words(error, self._arguments)}")
        until_s = asyncio.get_running_loop().time() + _DENIED_RETRY_S
        self._denied_until_s[topic] = until_s
        self._reading.pause(*(tp for tp in self._positions if tp.topic == topic))

    def _try_denied(self) -> None:
        now_s = asyncio.get_running_loop().time()
        for topic in [t for t, until_s in self._denied_until_s.items() if now_s >= until_s]:
            del self._denied_until_s[topic]
            places = [tp for tp in self._positions if tp.topic == topic and tp not in self._held]
            self._reading.resume(*places)

    def _take(self, topic_partition: TopicPartition, records: Sequence[Fetched]) -> None:
        """Route the records of one topic partition, in order."""
        route = self._routes[topic_partition.topic]
        fed: Iterable[tuple[Function, str]]
        if route.routers:
            fed = self._route_by_content(topic_partition, records, route)
        else:
            self._route_by_key(topic_partition, records, route)
            fed = addresses(records, route)
        self._positions[topic_partition] = records[-1].offset + 1
        self._received += len(records)
        if self._context.is_tight():
            self._hold_if_blocked(topic_partition, fed)

    def _route_by_key(
        self, topic_partition: TopicPartition, records: Sequence[Fetched], route: Route
    ) -> None:
        deliver, encode, targets = self._context.deliver, route.encoder.encode, route.targets
        function_id, is_plain = "", not route.forwards_metadata
        for record in records:
            key, value = record.key, record.value
            if key is None or value is None or route.missing:
                self._refuse(topic_partition, record, route)
                if key is None or value is None:
                    continue
            function_id = key.decode("utf-8", "replace")
            invocation = encode(value) if is_plain else route.encode(record)
            for target in targets:
                deliver(target, function_id, invocation)

    def _route_by_content(
        self, topic_partition: TopicPartition, records: Sequence[Fetched], route: Route
    ) -> set[tuple[Function, str]]:
        """Route records of a topic with routers, which may have targets too; return who was fed."""
        fed = set()
        for record in records:
            lacks_key = route.needs_key and record.key is None
            if record.value is None or lacks_key or route.missing:
                self._refuse(topic_partition, record, route)
            if record.value is None:
                continue
            by_key = addresses([record], route)
            invocation = route.encode(record)
            found = self._look_into(topic_partition, record, route, invocation)
            for function, function_id in (*by_key, *found):
                self._context.deliver(function, function_id, invocation)
                fed.add((function, function_id))
        return fed

    def _look_into(
        self, topic_partition: TopicPartition, record: Fetched, route: Route, invocation: bytes
    ) -> Iterator[tuple[Function, str]]:
        """Return the addresses that routers find in a record; hand it in for each that finds none."""
        for router in route.routers:
            try:
                function_type, function_id = router.target(record.value or b"")
            except NotRoutable as error:
                origin, where = self._hand_in(topic_partition, record)
                self._invalid.unroutable(origin, where, reason="not-routable", defect=str(error))
                continue
            function = self._context.resolve(function_type)
            if function is not None:
                yield function, function_id
                continue
            address = Address(function_type, function_id)
            origin, where = self._hand_in(topic_partition, record)
            self._invalid.unknown_target(origin, where, address, invocation)

    def _hold_if_blocked(
        self, topic_partition: TopicPartition, addresses: Iterable[tuple[Function, str]]
    ) -> None:
        if any(self._context.holds_back(*address) for address in addresses):
            self._reading.pause(topic_partition)
            self._held.add(topic_partition)

    def _refuse(self, topic_partition: TopicPartition, record: Fetched, route: Route) -> None:
        """Hand in a record that cannot be routed by its key, or not to everyone; may raise."""
        origin, where = self._hand_in(topic_partition, record)
        for name, content in (("key", record.key), ("value", record.value)):
            if content is None and (name == "value" or route.needs_key):
                defect = f"it has no {name}"
                self._invalid.unroutable(origin, where, reason=f"no-{name}", defect=defect)
                return
        invocation = route.encode(record)
        self._invalid.unknown_targets(origin, where, route.missing, invocation)

    def _hand_in(self, topic_partition: TopicPartition, record: Fetched) -> tuple[Origin, str]:
        """Return how a record is called that cannot be routed; if that raises, it is the next to be read."""
        self._positions[topic_partition] = record.offset
        where = f"topic {record.topic}, partition {record.partition}, offset {record.offset}"
        split = split_name(record.topic, record.partition)
        component = f"ingress {self._spec.id}"
        return Origin(component, split, str(record.offset), record.key, record.value), where

    def positions(self) -> dict[str, int]:
        """Return the offset of the next record of each topic partition, and marks of topics that did not exist."""
        return self._topics.marks() | {
            split_name(tp.topic, tp.partition): offset for tp, offset in self._positions.items()
        }

    def metrics(self) -> Iterator[Metric]:
        """Return what was routed and skipped, and per split how many records are known and not routed."""
        yield Metric("statefun_ingress_records", Kind.COUNTER, "records routed", self._received)
        yield from self._invalid.metrics()
        for topic_partition, offset in self._positions.items():
            end = self._consumer.highwater(topic_partition) if self._consumer else None
            lag = max(0, (end or 0) - offset)
            split = split_name(topic_partition.topic, topic_partition.partition)
            yield Metric(
                "statefun_ingress_lag",
                Kind.GAUGE,
                "records known and not routed yet",
                lag,
                {"split": split},
            )
        yield Metric(
            "statefun_ingress_held_splits",
            Kind.GAUGE,
            "splits held back for an address",
            len(self._held),
        )

    def completed(self, positions: dict[str, int]) -> None:
        """Remember what may be told to the consumer group."""
        self._to_tell = positions

    async def _tell_regularly(self) -> None:
        while True:
            await asyncio.sleep(_TELL_EVERY_S)
            if self._to_tell:
                await self._tell_group()

    async def _tell_group(self) -> None:
        """Tell the consumer group where reading would go on, for people to see; never needed for recovery."""
        positions, self._to_tell = self._to_tell, {}
        offsets = {
            tp: positions[name]
            for tp in self._positions
            if (name := split_name(tp.topic, tp.partition)) in positions
        }
        if not offsets or not self._has_group:
            return
        try:
            async with asyncio.timeout(_TELL_LIMIT_S):
                await self._reading.commit(offsets)
        except (KafkaError, ConsumerStoppedError, TimeoutError) as error:
            why = words(error, self._arguments)
            log.warning("ingress %s could not tell its consumer group: %s", self._spec.id, why)

    async def close(self) -> None:
        """Tell the consumer group for the last time, and leave."""
        if self._consumer is not None and self._to_tell:
            await self._tell_group()
        await self._leave()

    async def _leave(self) -> None:
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            await leave(consumer)
