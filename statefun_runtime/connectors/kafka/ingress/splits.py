"""Where an ingress is in each of its topic partitions, and what is told of those that cannot be gone on with.

left (gone, or not looked at yet) ─▶ read ◀─▶ left
              └──────────┬──────────┘
                         ▼
                       lost: kept as it is until a person says where to go on
"""

import logging
from collections.abc import Collection, Iterator, Mapping

from aiokafka import TopicPartition

from statefun_runtime.connectors.kafka.client.protocols import Offsets
from statefun_runtime.connectors.kafka.ingress.decision import (
    Decision,
    GoesOn,
    Lost,
    MadeAnew,
    Restarted,
)
from statefun_runtime.connectors.kafka.ingress.position import (
    NO_PARTITION,
    Found,
    KafkaPosition,
    split_name,
)
from statefun_runtime.connectors.lost_positions import Reminder, lost_metrics
from statefun_runtime.core.model.address import TypeName
from statefun_runtime.core.model.metrics import Metric, MetricKind
from statefun_runtime.core.model.position import Position
from statefun_runtime.errors import UnavailableError
from statefun_runtime.ports.contexts import Reads, reads_all

log = logging.getLogger("statefun.ingress")


class Splits:
    """Owns the positions; `at` are those that are read, and whoever routes a record moves its own."""

    def __init__(
        self, ingress_id: TypeName, restored: Mapping[str, Position], reads: Reads = reads_all
    ) -> None:
        self._ingress_id = ingress_id
        self.at: Offsets = {}
        self._topic_ids: Found = {}
        self._left: dict[TopicPartition, KafkaPosition] = {}
        self._lost: dict[TopicPartition, KafkaPosition] = {}
        self.known_topics: dict[str, None] = {}
        self._skipped = 0
        self._restarted = 0
        self._made_anew = 0
        self._reminder = Reminder(ingress_id, "SF3003")
        self._has_begun = False
        for name, stored in restored.items():
            topic, _, number = name.rpartition("/")
            self.known_topics[topic] = None
            if int(number) != NO_PARTITION and reads(topic, int(number)):
                self._left[TopicPartition(topic, int(number))] = KafkaPosition.read(stored)

    @property
    def lost_count(self) -> int:
        """How many topic partitions wait for a person."""
        return len(self._lost)

    def of(self, split: TopicPartition) -> KafkaPosition | None:
        """Return where a topic partition is read, or was; None if it never was."""
        if split in self.at:
            return KafkaPosition(self.at[split], self._topic_ids[split])
        return self._lost.get(split) or self._left.get(split)

    def is_gone(self, split: TopicPartition) -> bool:
        """Whether a topic partition is not among those that are read or lost."""
        return split not in self.at and split not in self._lost

    def was_gone(self, split: TopicPartition) -> bool:
        """Whether a topic partition was not there for a while in this life."""
        return self._has_begun and split in self._left

    def gone(self, found: Found) -> set[TopicPartition]:
        """Return which of those that are read are not there any more."""
        return {split for split in self.at if split not in found}

    def fresh(self, found: Found) -> list[TopicPartition]:
        """Return which are there and not read yet, or are of another topic than the one that was read."""
        return sorted(
            split for split in found if self.is_gone(split) or self._is_other(split, found)
        )

    def _is_other(self, split: TopicPartition, found: Found) -> bool:
        position = self.of(split)
        assert position is not None
        return None not in (position.topic_id, found[split]) and position.topic_id != found[split]

    def still_fresh(
        self, decisions: Mapping[TopicPartition, Decision]
    ) -> dict[TopicPartition, Decision]:
        """Return those decisions that nobody has carried out since they were made."""
        return {
            split: one
            for split, one in decisions.items()
            if self.is_gone(split) or self._is_other(split, {split: one.position.topic_id})
        }

    def let_go(self, gone: Collection[TopicPartition]) -> None:
        """Read no more what is gone; where it was left is kept."""
        for split in gone:
            position = self.of(split)
            if self.at.pop(split, None) is not None:
                assert position is not None
                self._left[split] = position

    def take(self, decisions: Mapping[TopicPartition, Decision]) -> None:
        """Go on as was decided, and tell what has to be told; for the first time when the start is resolved."""
        self._has_begun = True
        for split, decision in decisions.items():
            self.known_topics[split.topic] = None
            self._left.pop(split, None)
            self._lost.pop(split, None)
            self.at.pop(split, None)
            if isinstance(decision, Lost):
                self._lost[split] = decision.position
            else:
                self.at[split] = decision.position.offset
                self._topic_ids[split] = decision.position.topic_id
            self._tell(split, decision)

    def _tell(self, split: TopicPartition, decision: Decision) -> None:
        match decision:
            case GoesOn():
                return
            case Lost(position):
                self._tell_lost(split, position)
            case MadeAnew(position, before):
                self._made_anew += 1
                anew = UnavailableError(
                    f"topic {split.topic} was made anew: partition {split.partition} is read from offset "
                    f"{position.offset} on, and not from offset {before.offset} of the topic of before; what was not "
                    "read of that is lost",
                    code="SF3026",
                )
                log.warning("ingress %s: %s", self._ingress_id, anew.line)
            case Restarted(position, before, skipped, again):
                self._restarted += 1
                self._skipped += skipped
                log.warning(
                    "ingress %s goes on at topic %s, partition %d, offset %d, and not at offset %d, as --restart-topic says: "
                    "%d records are skipped, %d may be read again",
                    self._ingress_id,
                    split.topic,
                    split.partition,
                    position.offset,
                    before.offset,
                    skipped,
                    again,
                )

    def _tell_lost(self, split: TopicPartition, position: KafkaPosition) -> None:
        lost = UnavailableError(
            f"ingress '{self._ingress_id}' cannot go on at topic {split.topic}, partition {split.partition}, offset "
            f"{position.offset}: the broker has {position.lost}; it waits there, and the others go on",
            code="SF3003",
            hint=f"to go on without what is lost, start with --restart-topic {split.topic}, or with "
            f"{split.topic}=latest to skip what is there now, too",
        )
        # A record of a log is one line.
        log.error("%s", str(lost).replace("\n", "; "))

    def remind(self, now_s: float) -> None:
        """Tell again, now and then, of what waits for a person."""
        self._reminder.remind(
            [split_name(split.topic, split.partition) for split in sorted(self._lost)], now_s
        )

    def positions(self) -> dict[str, Position]:
        """Return what a checkpoint keeps of each topic partition."""
        ids = self._topic_ids
        kept = {**self._left, **self._lost}
        return {
            **{split_name(tp.topic, tp.partition): one.stored() for tp, one in kept.items()},
            **{
                split_name(tp.topic, tp.partition): KafkaPosition(offset, ids[tp]).stored()
                for tp, offset in self.at.items()
            },
        }

    def metrics(self) -> Iterator[Metric]:
        """Return what waits for a person, and what a person or a new topic has changed."""
        yield from lost_metrics(
            "topic",
            lost=len(self._lost),
            made_anew=self._made_anew,
            restarted=self._restarted,
        )
        yield Metric(
            "statefun_ingress_lost_records",
            MetricKind.COUNTER,
            "records skipped as --restart-topic says",
            self._skipped,
        )
