"""Topics, asked of the broker: those that an ingress reads, and those that functions send to."""

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping
from functools import partial

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError, UnknownTopicOrPartitionError

from statefun_runtime.connectors.complaint import Complaint
from statefun_runtime.connectors.kafka.client.clients import KafkaClients
from statefun_runtime.connectors.kafka.client.protocols import (
    Arguments,
    Consumer,
    Producer,
    Topic,
)
from statefun_runtime.connectors.kafka.client.troubles import DENIED, MISSING, words
from statefun_runtime.connectors.kafka.egress.partitioner import Partitioner
from statefun_runtime.connectors.kafka.egress.records import Record
from statefun_runtime.connectors.kafka.ingress.position import NO_PARTITION, Found, split_name
from statefun_runtime.connectors.kafka.settings.values import KafkaIngressSettings
from statefun_runtime.core.model.metrics import Metric, MetricKind
from statefun_runtime.core.model.position import Position
from statefun_runtime.errors import UnavailableError
from statefun_runtime.ports.contexts import Reads

log = logging.getLogger("statefun.ingress")

_RETRY_S = 0.5
# A broker that makes topics needs a moment for it.
_LOOKS_BEFORE_A_WORD = 4
_REFRESH_S = 5.0


class IngressTopics:
    """Knows which topics of an ingress do not exist, or cannot be looked at; says so once of each.

    `reads` says which topic partitions are this worker's.
    """

    def __init__(
        self,
        spec: KafkaIngressSettings,
        clients: KafkaClients,
        arguments: Arguments,
        reads: Reads,
    ) -> None:
        self._reads = reads
        self._spec = spec
        self._clients = clients
        self._arguments = arguments
        self._wanted = [route.topic for route in spec.routes]
        self._last: Found = {}
        self._missing: dict[str, None] = {}
        self._were_missing: dict[str, None] = {}
        self._left_alone: dict[str, str] = {}

    @property
    def are_wanted(self) -> bool:
        """Whether any topic does not exist, or cannot be looked at."""
        return bool(self._missing or self._left_alone)

    def missed(self) -> list[str]:
        """Return the topics that did not exist when they were looked for first."""
        return list(self._were_missing)

    def marks(self) -> dict[str, Position]:
        """Return what says in a checkpoint that a topic did not exist when it was looked for."""
        return {split_name(topic, NO_PARTITION): 0 for topic in self._were_missing}

    def waits(self) -> list[str]:
        """Return which topics cannot be looked at, and why."""
        return [f"leaves topic '{name}' alone: {why}" for name, why in self._left_alone.items()]

    async def look(self, consumer: Consumer) -> Found:
        """Return what there is; of topics that cannot be looked at what there was. Raise KafkaError if that is so of all."""
        topics = await self._clients.find_topics(consumer, self._wanted, may_create=False)
        found: Found = {}
        errors: dict[str, KafkaError] = {}
        for name, topic in topics.items():
            if isinstance(topic, Topic) and topic.partitions:
                self._missing.pop(name, None)
                for number in filter(partial(self._reads, name), range(topic.partitions)):
                    found[TopicPartition(name, number)] = topic.id
            elif isinstance(topic, Topic | UnknownTopicOrPartitionError):
                self._miss(name)
            else:
                errors[name] = topic
        if len(errors) == len(topics):
            raise next(iter(errors.values()))
        self._leave_alone(errors)
        found |= {split: topic for split, topic in self._last.items() if split.topic in errors}
        self._last = found
        if found:
            await self._clients.watch(consumer, list(dict.fromkeys(tp.topic for tp in found)))
        return found

    def _leave_alone(self, errors: dict[str, KafkaError]) -> None:
        before, self._left_alone = self._left_alone, {}
        for name, error in errors.items():
            why = self._left_alone[name] = words(error, self._arguments)
            if name not in before:
                log.warning(
                    "ingress %s leaves topic '%s' alone, and reads the others: %s",
                    self._spec.id,
                    name,
                    why,
                )

    def _miss(self, topic: str) -> None:
        if topic in self._missing:
            return
        self._missing[topic] = None
        if any(split.topic == topic for split in self._last):
            log.warning(
                "ingress %s: topic '%s' is gone; it is read on when it is there again, the others meanwhile",
                self._spec.id,
                topic,
            )
            return
        self._were_missing[topic] = None
        reason = UnavailableError(f"topic '{topic}' does not exist", code="SF3002")
        log.warning("ingress %s waits: %s", self._spec.id, reason.line)


Places = dict[tuple[str, int], list[Record]]


class EgressTopics:
    """Tells the partitioner of one egress about topics; a topic that cannot be had is waited for, and said once."""

    def __init__(
        self,
        clients: KafkaClients,
        partitioner: Partitioner,
        complaint: Complaint,
        arguments: Arguments,
    ) -> None:
        self._clients = clients
        self._partitioner = partitioner
        self._complaint = complaint
        self._arguments = arguments
        given_s = arguments.get("metadata_max_age_ms", _REFRESH_S * 1000) / 1000
        self.refresh_s = min(given_s, _REFRESH_S)
        self._next_look_s = 0.0
        self._unavailable: dict[str, None] = {}

    async def places(self, producer: Callable[[], Producer], records: list[Record]) -> Places:
        """Return records by topic partition; a topic that does not exist holds all of them up, loudly."""
        await self.refresh(producer())
        by_topic: dict[str, dict[int, list[Record]]] = {}
        last: str | None = None
        known: Mapping[bytes | None, int] = {}
        here: dict[int, list[Record]] = {}
        for record in records:
            topic, key, _, _, options = record
            if topic != last:
                # Most records are for the topic of the one before.
                last, known = topic, self._partitioner.known(topic)
                here = by_topic.setdefault(topic, {})
            partition = known.get(key) if options is None else None
            if partition is None:
                partition = await self._learnt(producer, record)
            same_place = here.get(partition)
            if same_place is None:
                here[partition] = [record]
            else:
                same_place.append(record)
        return {(topic, at): some for topic, here in by_topic.items() for at, some in here.items()}

    async def _learnt(self, producer: Callable[[], Producer], record: Record) -> int:
        """Return the topic partition of a record once the broker has said how many its topic has."""
        topic, key, _, _, options = record
        chosen = None if options is None else options.partition
        while (partition := self._partitioner.place(topic, key, chosen)) is None:
            await self.learn(producer, topic)
        return partition

    async def learn(self, producer: Callable[[], Producer], topic: str) -> None:
        """Return when the partitioner knows a topic; the broker makes it, if it is one that does."""
        looks = 0
        while True:
            error = await self._look(producer(), topic)
            if error is None:
                self._unavailable.pop(topic, None)
                return
            self._unavailable[topic] = None
            looks += 1
            if isinstance(error, DENIED):
                self._complaint.say(f"keeps records: {words(error, self._arguments)}")
            elif looks == _LOOKS_BEFORE_A_WORD:
                self._complaint.say(self._waits(topic, error))
            await asyncio.sleep(_RETRY_S)

    def _waits(self, topic: str, error: BaseException) -> str:
        if isinstance(error, MISSING):
            return f"keeps records for topic '{topic}', which does not exist; they leave when somebody makes it"
        return f"keeps records for topic '{topic}': {words(error, self._arguments)}"

    async def _look(self, producer: Producer, topic: str) -> BaseException | None:
        """Tell the partitioner about a topic, or return why that cannot be done."""
        try:
            found = (await self._clients.find_topics(producer, [topic], may_create=True))[topic]
        except (KafkaError, OSError) as error:
            return error
        if isinstance(found, Topic) and found.partitions:
            self._partitioner.learn(topic, found.partitions)
            return None
        return found if isinstance(found, BaseException) else UnknownTopicOrPartitionError(topic)

    def look_again(self) -> None:
        """What is known of topics is not true any more."""
        self._next_look_s = 0.0

    async def refresh(self, producer: Producer) -> None:
        """Look at the known topics again, if that was long ago: they may have got more partitions."""
        now_s = asyncio.get_running_loop().time()
        known = self._partitioner.topics()
        if now_s < self._next_look_s or not known:
            return
        self._next_look_s = now_s + self.refresh_s
        try:
            found = await self._clients.find_topics(producer, known, may_create=False)
        except (KafkaError, OSError):
            # Whoever sends to them will tell.
            return
        for name, topic in found.items():
            if isinstance(topic, Topic) and topic.partitions:
                self._partitioner.learn(name, topic.partitions)
            elif isinstance(topic, UnknownTopicOrPartitionError):
                self._partitioner.forget(name)

    def metrics(self) -> Iterator[Metric]:
        """Return how many topics hold records up."""
        yield Metric(
            "statefun_egress_missing_topics",
            MetricKind.GAUGE,
            "topics that records wait for: they do not exist, or may not be written",
            len(self._unavailable),
        )
