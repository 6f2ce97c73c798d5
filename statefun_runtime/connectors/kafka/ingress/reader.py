"""`io.statefun.kafka.v1/ingress`: reads topics and routes each record to the targets of its topic: fixed ones, with the
record's key as the id, or what a router finds in the record's content.

Topic partitions are assigned by hand, each to one worker: positions belong to the checkpoint, the consumer group is only
told about them. A split is held back by pausing its topic partition; records fetched ahead stay in the client.

Topics that do not exist, and new topic partitions, are looked for beside reading, and read from their beginning: the
checkpoint knows the topic, if only by the mark that it did not exist. One that cannot be gone on with waits alone.
"""

import asyncio
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType

from aiokafka import TopicPartition
from aiokafka.errors import (
    ConsumerStoppedError,
    GroupAuthorizationFailedError,
    KafkaError,
    OffsetOutOfRangeError,
    TopicAuthorizationFailedError,
)

from statefun_runtime.adapters.invalid_records import InvalidRecordDesk
from statefun_runtime.connectors.complaint import Complaint
from statefun_runtime.connectors.kafka.client.arguments import consumer_arguments, discovery_s
from statefun_runtime.connectors.kafka.client.clients import AIOKAFKA, KafkaClients
from statefun_runtime.connectors.kafka.client.inside import leave
from statefun_runtime.connectors.kafka.client.protocols import Consumer, Fetched, Offsets
from statefun_runtime.connectors.kafka.client.troubles import explain, words
from statefun_runtime.connectors.kafka.ingress.decision import Decision
from statefun_runtime.connectors.kafka.ingress.group import Group
from statefun_runtime.connectors.kafka.ingress.position import Found, split_name
from statefun_runtime.connectors.kafka.ingress.rest import rest
from statefun_runtime.connectors.kafka.ingress.routes import addresses, make_route
from statefun_runtime.connectors.kafka.ingress.routing import Routing
from statefun_runtime.connectors.kafka.ingress.splits import Splits
from statefun_runtime.connectors.kafka.ingress.start import Restarts, resolve
from statefun_runtime.connectors.kafka.settings.values import KafkaIngressSettings
from statefun_runtime.connectors.kafka.topics import IngressTopics
from statefun_runtime.connectors.reach import Reach
from statefun_runtime.core.model.metrics import Metric, MetricKind
from statefun_runtime.core.model.position import Position
from statefun_runtime.core.partition.backlog import Function
from statefun_runtime.errors import UnavailableError
from statefun_runtime.ports.contexts import Reads, reads_all
from statefun_runtime.ports.ingress import IngressContext

log = logging.getLogger("statefun.ingress")

_POLL_MS = 500
_RECORDS_PER_POLL = 1000
_RETRY_S = 1.0
_DENIED_RETRY_S = 2.0
_LOOK_S = 5.0
_FOLLOW_S = 1.0


class KafkaIngress:
    """An IngressSource whose splits are topic partitions."""

    def __init__(
        self,
        spec: KafkaIngressSettings,
        context: IngressContext,
        restored: Mapping[str, Position],
        *,
        restarts: Restarts = MappingProxyType({}),
        reads: Reads = reads_all,
        clients: KafkaClients = AIOKAFKA,
    ) -> None:
        self._spec = spec
        self._clients = clients
        self._context = context
        self._restarts = restarts
        self._routes = {route.topic: make_route(route, context) for route in spec.routes}
        self._splits = Splits(spec.id, restored, reads)
        self._positions = self._splits.at
        self._held: set[TopicPartition] = set()
        # Raises for a file that cannot be used, before anything starts.
        self._arguments = consumer_arguments(spec)
        self._discovery_s = discovery_s(spec)
        self._records_per_poll = self._arguments.get("max_poll_records", _RECORDS_PER_POLL)
        self._complaint = Complaint(log, f"ingress {spec.id}")
        self._topics = IngressTopics(spec, clients, self._arguments, reads)
        self._fresh: dict[TopicPartition, Decision] = {}
        self._has_fresh = asyncio.Event()
        self._gone: set[TopicPartition] = set()
        self._unsaved: set[TopicPartition] = set()
        self._next_look_s = 0.0
        self._reach = Reach(
            log, f"ingress {spec.id}", lambda: "nothing is read, nobody knows how much waits"
        )
        self._denied_until_s: dict[str, float] = {}
        self._consumer: Consumer | None = None
        self._group = Group(f"ingress {spec.id}", self._arguments)
        self._received = 0
        self._invalid = InvalidRecordDesk(spec.id, spec.invalid_records, context)
        self._routing = Routing(spec.id, context, self._invalid, self._positions)

    async def start(self) -> None:
        """Connect, and seek to where reading begins; waits for the broker, and says so.

        Topics that do not exist are looked for later: the others do not wait for them.
        """
        while True:
            try:
                await self._connect()
                self._complaint.over()
                return
            except (KafkaError, OSError, UnavailableError) as error:
                await self._leave()
                why = await explain(error, self._clients, self._arguments)
                self._complaint.say(f"waits: {why}")
                await asyncio.sleep(_RETRY_S)

    async def _connect(self) -> None:
        consumer = self._consumer = self._clients.make_consumer(self._arguments)
        await consumer.start()
        found = await self._topics.look(consumer)
        self._splits.take(await self._resolve(list(found), found))
        if self._positions:
            self._assign()
        log.info(
            "ingress %s reads %d topic partitions of %s",
            self._spec.id,
            len(self._positions),
            ", ".join(dict.fromkeys(tp.topic for tp in self._positions)) or "no topic yet",
        )

    async def _log_ends(self, splits: list[TopicPartition]) -> Offsets:
        """Return where the logs end, whatever transactions are open in them."""
        consumer = self._clients.make_consumer(
            self._arguments | {"isolation_level": "read_uncommitted", "group_id": None}
        )
        try:
            await consumer.start()
            await self._clients.watch(consumer, sorted({split.topic for split in splits}))
            return await consumer.end_offsets(splits)
        finally:
            await leave(consumer)

    def _assign(self) -> None:
        """Read all topic partitions that are known, from where each is."""
        consumer = self._reading
        # Nothing may happen between these: the client would choose positions by itself.
        consumer.assign(list(self._positions))
        for topic_partition, offset in self._positions.items():
            consumer.seek(topic_partition, offset)
        paused = [tp for tp in self._positions if tp in self._held or self._may_not_be_read(tp)]
        if paused:
            consumer.pause(*paused)

    def _may_not_be_read(self, topic_partition: TopicPartition) -> bool:
        return topic_partition.topic in self._denied_until_s or topic_partition in self._unsaved

    @property
    def _reading(self) -> Consumer:
        assert self._consumer is not None, "nothing is read before the start"
        return self._consumer

    async def run(self) -> None:
        """Route records until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            # A coordinator that does not answer must not hold up reading.
            tasks.create_task(self._group.tell_regularly(lambda: self._reading, self._positions))
            tasks.create_task(self._discover_regularly())
            tasks.create_task(self._reach.run(lambda: self._clients.silent_brokers(self._reading)))
            await self._read()

    async def _discover_regularly(self) -> None:
        while True:
            look_s = _RETRY_S if self._topics.are_wanted else min(self._discovery_s, _LOOK_S)
            await asyncio.sleep(look_s)
            try:
                await self._discover()
            except (KafkaError, ConsumerStoppedError, OSError, TimeoutError) as error:
                self._complaint.say(f"cannot look at its topics: {words(error, self._arguments)}")
            self._splits.remind(asyncio.get_running_loop().time())

    async def _discover(self) -> None:
        """Look what has gone, what is new, and what was made anew."""
        found = await self._topics.look(self._reading)
        self._gone = self._splits.gone(found)
        if fresh := self._splits.fresh(found):
            self._fresh = await self._resolve(fresh, found)
            self._has_fresh.set()

    async def _resolve(
        self, splits: list[TopicPartition], found: Found
    ) -> dict[TopicPartition, Decision]:
        return await resolve(
            self._reading,
            self._spec,
            splits,
            found,
            self._splits,
            self._known_topics,
            self._log_ends,
            self._restarts,
        )

    @property
    def _known_topics(self) -> list[str]:
        return [*self._splits.known_topics, *self._topics.missed()]

    def _let_go(self) -> None:
        """Read no more what is gone; where it was left is kept, and the others go on."""
        gone, self._gone = self._gone, set()
        self._splits.let_go(gone)
        self._held -= gone
        self._assign()

    def _adopt_fresh(self) -> None:
        fresh, self._fresh = self._splits.still_fresh(self._fresh), {}
        self._has_fresh.clear()
        known = self._known_topics
        # The first position that a topic ever has is in a checkpoint before anything is read from there.
        self._unsaved |= {tp for tp in fresh if tp.topic not in known}
        self._splits.take(fresh)
        self._held -= fresh.keys()
        self._assign()
        if new := [split_name(*tp) for tp in sorted(fresh) if tp in self._positions]:
            log.info("ingress %s reads new topic partitions: %s", self._spec.id, ", ".join(new))

    async def _look_into(self, offsets: Offsets) -> None:
        """The broker does not have these offsets: they are lost, or it does after all."""
        try:
            found = await self._topics.look(self._reading)
            there = [tp for tp in offsets if tp in found and tp in self._positions]
            self._splits.take(await self._resolve(there, found))
            self._gone = self._splits.gone(found)
        except (KafkaError, OSError, TimeoutError) as error:
            self._complaint.say(f"cannot read: {words(error, self._arguments)}")
        self._assign()
        await asyncio.sleep(_RETRY_S)

    def _follow(self, now_s: float) -> None:
        """Now and then take over where the consumer is: behind what is no record, such as the mark of a transaction."""
        if now_s >= self._next_look_s:
            self._next_look_s = now_s + _FOLLOW_S
            for tp, offset in self._clients.positions(self._reading).items():
                if offset > self._positions.get(tp, offset):
                    self._positions[tp] = offset

    async def _read(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            if not self._context.is_open():
                await self._context.opened()
            if self._held and not self._context.is_tight():
                self._reading.resume(*self._held)
                self._held.clear()
            if self._denied_until_s:
                self._try_denied()
            if self._gone:
                self._let_go()
            if not self._positions:
                await self._has_fresh.wait()
            if self._fresh:
                self._adopt_fresh()
            try:
                polled = await self._reading.getmany(
                    timeout_ms=_POLL_MS, max_records=self._records_per_poll
                )
            except OffsetOutOfRangeError as error:
                await self._look_into(error.args[0])
                continue
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
            self._follow(loop.time())
            await rest(self._context, polled, self._positions, self._reading, self._resume)

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
        self._group.is_told = False
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
            self._resume([tp for tp in self._positions if tp.topic == topic])

    def _resume(self, some: Iterable[TopicPartition]) -> None:
        """Read splits on that nothing else stands against."""
        held = self._held
        self._reading.resume(*(s for s in some if s not in held and not self._may_not_be_read(s)))

    def _take(self, topic_partition: TopicPartition, records: Sequence[Fetched]) -> None:
        """Route the records of one topic partition, in order."""
        route = self._routes[topic_partition.topic]
        fed: Iterable[tuple[Function, str]]
        if route.routers:
            fed = self._routing.by_content(topic_partition, records, route)
        else:
            self._routing.by_key(topic_partition, records, route)
            fed = addresses(records, route)
        self._positions[topic_partition] = records[-1].offset + 1
        self._received += len(records)
        if self._context.is_tight():
            self._hold_if_blocked(topic_partition, fed)

    def _hold_if_blocked(
        self, topic_partition: TopicPartition, addresses: Iterable[tuple[Function, str]]
    ) -> None:
        if any(self._context.holds_back(*address) for address in addresses):
            self._reading.pause(topic_partition)
            self._held.add(topic_partition)

    def positions(self) -> dict[str, Position]:
        """Return where each topic partition is read, or was, and marks of topics that did not exist."""
        return self._topics.marks() | self._splits.positions()

    def why_cut_off(self) -> str | None:
        """Return who gives no answer; of several brokers the others may do."""
        return self._reach.trouble

    def waits(self) -> list[str]:
        """Return what waits for a person."""
        lost = self._splits.lost_count
        told = [f"has {lost} topic partitions whose position is lost [SF3003]"] if lost else []
        return [*told, *self._topics.waits()]

    def metrics(self) -> Iterator[Metric]:
        """Return what was routed and skipped, and per split how many records are known and not routed."""
        yield Metric(
            "statefun_ingress_records", MetricKind.COUNTER, "records routed", self._received
        )
        yield from self._invalid.metrics()
        yield from self._splits.metrics()
        yield from self._lag()
        yield from self._reach.metrics("ingress")
        yield Metric(
            "statefun_ingress_held_splits",
            MetricKind.GAUGE,
            "splits held back for an address",
            len(self._held),
        )

    def _lag(self) -> Iterator[Metric]:
        """Return how much is known and not routed; nothing of what nobody knows."""
        consumer = self._consumer
        if consumer is None or not self._reach.is_connected:
            return
        for tp, offset in self._positions.items():
            end = consumer.highwater(tp)
            if end is not None:
                doc, split = "records known and not routed yet", split_name(*tp)
                lag = max(0, end - offset)
                yield Metric("statefun_ingress_lag", MetricKind.GAUGE, doc, lag, {"split": split})

    def completed(self, positions: Mapping[str, Position]) -> None:
        """Remember what may be told to the consumer group."""
        self._group.completed(positions)
        saved = {tp for tp in self._unsaved if split_name(*tp) in positions}
        if saved:
            self._unsaved -= saved
            self._resume(tp for tp in self._positions if tp in saved)

    async def close(self) -> None:
        """Tell the consumer group for the last time, and leave."""
        if self._consumer is not None:
            await self._group.tell(self._consumer, self._positions)
        await self._leave()

    async def _leave(self) -> None:
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            await leave(consumer)
