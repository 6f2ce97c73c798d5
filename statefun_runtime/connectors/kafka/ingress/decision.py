"""Whether a topic partition can be gone on at where it was left, and what then.

    there, in the same topic ─▶ GoesOn
    the topic has another id ─▶ MadeAnew: all that it holds came later, so it is read from its beginning
    else ─▶ Lost: it waits for a person, and all others go on ── --restart-topic ─▶ Restarted

Nothing is skipped that nobody was told of, and what once was lost stays so: an offset that comes into being later is
another record.
"""

from dataclasses import dataclass, replace

from statefun_runtime.connectors.kafka.ingress.position import KafkaPosition
from statefun_runtime.connectors.kafka.settings.values import OffsetReset


@dataclass(frozen=True, slots=True)
class Log:
    """What the broker has of a topic partition: offsets from `first` on, and none from `end` on."""

    first: int
    end: int
    topic_id: str | None = None

    def at(self, reset: OffsetReset) -> KafkaPosition:
        """Return its beginning or its end."""
        offset = self.first if reset is OffsetReset.EARLIEST else self.end
        return KafkaPosition(offset, self.topic_id)


@dataclass(frozen=True, slots=True)
class GoesOn:
    """Nothing has to be said."""

    position: KafkaPosition


@dataclass(frozen=True, slots=True)
class MadeAnew:
    """The topic of before is no more, and what was not read of it neither."""

    position: KafkaPosition
    before: KafkaPosition


@dataclass(frozen=True, slots=True)
class Restarted:
    """A person has said where to go on: so many records are skipped, and so many perhaps read again."""

    position: KafkaPosition
    before: KafkaPosition
    skipped: int
    again: int


@dataclass(frozen=True, slots=True)
class Lost:
    """It is not read until a person says where to go on."""

    position: KafkaPosition


Decision = GoesOn | MadeAnew | Restarted | Lost


def decide(
    at: KafkaPosition, log: Log, restart: OffsetReset | None, *, was_gone: bool = False
) -> Decision:
    """Say where a topic partition is gone on with; `was_gone` if it was not there for a while.

    Where brokers tell no ids, a topic that was gone and does not have the offset any more counts as made anew.
    """
    is_there = log.first <= at.offset <= log.end
    knows_ids = None not in (at.topic_id, log.topic_id)
    is_anew = at.topic_id != log.topic_id if knows_ids else was_gone and not is_there
    if is_anew:
        return MadeAnew(log.at(restart or OffsetReset.EARLIEST), at)
    if is_there and not at.lost:
        return GoesOn(replace(at, topic_id=log.topic_id or at.topic_id))
    if restart is None:
        found = at.lost or f"offsets {log.first} to {log.end}"
        return Lost(KafkaPosition(at.offset, log.topic_id or at.topic_id, found))
    return _restarted(at, log, restart)


def _restarted(at: KafkaPosition, log: Log, restart: OffsetReset) -> Restarted:
    """In a log that does not reach as far as it was read, nobody knows which records are those of before."""
    position = log.at(restart)
    if at.offset < log.first:
        return Restarted(position, at, skipped=position.offset - at.offset, again=0)
    kept = log.end - log.first
    if restart is OffsetReset.EARLIEST:
        return Restarted(position, at, skipped=0, again=kept)
    return Restarted(position, at, skipped=kept, again=0)
