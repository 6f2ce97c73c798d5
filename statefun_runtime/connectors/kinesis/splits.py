"""Where an ingress is in each of its shards, and what is told of those that cannot be gone on with.

    read ─▶ lost: kept as it is until a person says where to go on ── --restart-topic ─▶ read

What was found of a stream is decided in start.py; here is what then holds. Positions are numbers, as shards.py has them.
"""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from statefun_runtime.connectors.kinesis.shards import (
    FINISHED,
    Positions,
    Shard,
    as_lost,
    as_position,
    by_the_hour,
    is_of,
    lost_of,
    new_positions,
    number_of,
    place,
    read_until,
    readable,
    was_made_anew,
)
from statefun_runtime.connectors.lost_positions import Reminder, lost_metrics
from statefun_runtime.core.model.address import TypeName
from statefun_runtime.core.model.metrics import Metric
from statefun_runtime.core.model.position import Position
from statefun_runtime.errors import UnavailableError

log = logging.getLogger("statefun.ingress")


@dataclass(frozen=True, slots=True)
class Resolved:
    """What a stream has, and how it is gone on with: the positions that change, and what was found instead of lost ones.

    `restarted` are splits that were lost, and that a person has said are gone on with. Of a stream that was made anew
    all positions of before are gone.
    """

    stream: str
    shards: list[Shard]
    positions: Positions
    lost: Mapping[str, str] = field(default_factory=dict)
    restarted: tuple[str, ...] = ()
    was_made_anew: bool = False


class Splits:
    """Owns the positions; `at` are all of them, and whoever routes a record moves that of its shard."""

    def __init__(self, ingress_id: TypeName, restored: Mapping[str, Position]) -> None:
        self._ingress_id = ingress_id
        self.at = {split: number_of(one) for split, one in restored.items()}
        self._lost = {split: why for split, one in restored.items() if (why := lost_of(one))}
        self._told = dict[str, None]()
        self._shards: dict[str, Shard] = {}
        self._read_until_ms: dict[str, int] = {}
        self._restarted = self._made_anew = 0
        self._reminder = Reminder(ingress_id, "SF3090")

    @property
    def lost_count(self) -> int:
        """How many shards wait for a person."""
        return len(self._lost)

    @property
    def unread_count(self) -> int:
        """How many shards are listed that are not read to their end."""
        return sum(self.at[split] != FINISHED for split in self._shards)

    def of(self, stream: str) -> Positions:
        """Return the positions of a stream."""
        numbers = {**self.at, **self._known_until()}
        return {split: number for split, number in numbers.items() if is_of(split, stream)}

    def lost_of(self, stream: str) -> dict[str, str]:
        """Return which splits of a stream are lost, and what was found instead."""
        return {split: why for split, why in self._lost.items() if is_of(split, stream)}

    def is_listed(self, split: str) -> bool:
        """Whether a stream had this shard when it was last looked at."""
        return split in self._shards

    def is_other(self, stream: str, shards: list[Shard]) -> bool:
        """Whether a stream that has these shards is another one than the one that was read."""
        return was_made_anew(shards, self.of(stream)) or any(
            (known := self._shards.get(shard.split)) is not None
            # What stands in for Kinesis in tests may say 0 of a shard that never had a record.
            and known.first_sequence not in (0, shard.first_sequence)
            for shard in shards
        )

    def is_read(self, shard: Shard) -> bool:
        """Whether this very shard is one to read on: not lost, and no other one under its name."""
        split, listed = shard.split, self._shards.get(shard.split, shard)
        is_same = split in self.at and listed.first_sequence == shard.first_sequence
        return is_same and split not in self._lost

    def readable(self) -> Iterator[Shard]:
        """Yield the shards that may be read now."""
        for shard in readable(self._shards.values(), self.at):
            if shard.split not in self._lost:
                yield shard

    def listed(self, stream: str, shards: list[Shard]) -> None:
        """A stream has these shards now; new ones are read from their beginning."""
        others = {split: one for split, one in self._shards.items() if one.stream != stream}
        self._shards = {**others, **{shard.split: shard for shard in shards}}
        self.at.update(new_positions(shards, self.at))

    def take(self, resolved: Resolved) -> None:
        """Go on as was decided, and tell what has to be told."""
        gone = self.of(resolved.stream) if resolved.was_made_anew else resolved.restarted
        for split in gone:
            self.at.pop(split, None)
            self._lost.pop(split, None)
            self._told.pop(split, None)
            self._read_until_ms.pop(split, None)
        self.at.update(resolved.positions)
        self.listed(resolved.stream, resolved.shards)
        if resolved.was_made_anew:
            self._tell_made_anew(resolved)
        for split in resolved.restarted:
            self._tell_restarted(split)
        for split, found in resolved.lost.items():
            self.lose(split, found)

    def lose(self, split: str, found: str) -> None:
        """The place of a shard's position is not there; what is read to its end needs none."""
        if self.at[split] != FINISHED:
            self._lost[split] = found
            self._tell_lost(split)

    def finish(self, split: str) -> None:
        """A shard is read to its end."""
        self.at[split] = FINISHED
        self._read_until_ms.pop(split, None)

    def read_until_ms(self, split: str) -> int | None:
        """Return until when a shard is read, if that is known in this life."""
        return self._read_until_ms.get(split)

    def is_read_until(self, split: str, time_ms: int) -> None:
        """All that came to a shard before this is read."""
        self._read_until_ms[split] = time_ms

    def _tell_made_anew(self, resolved: Resolved) -> None:
        self._made_anew += len(resolved.shards)
        anew = UnavailableError(
            f"stream {resolved.stream} was made anew: its shards are not read from where the ones of before were left, "
            "and what was not read of those is lost",
            code="SF3091",
        )
        log.warning("ingress %s: %s", self._ingress_id, anew.line)

    def _tell_restarted(self, split: str) -> None:
        self._restarted += 1
        log.warning(
            "ingress %s goes on at %s, %s, as --restart-topic says: what was lost is skipped",
            self._ingress_id,
            _named(split),
            "which has nothing more" if self.at[split] == FINISHED else place(self.at[split]),
        )

    def _tell_lost(self, split: str) -> None:
        if split in self._told:
            return
        self._told[split] = None
        stream = split.partition("/")[0]
        lost = UnavailableError(
            f"ingress '{self._ingress_id}' cannot go on at {_named(split)}, {place(self.at[split])}: "
            f"{self._lost[split]}; it waits there, and the others go on",
            code="SF3090",
            hint=f"to go on without what is lost, start with --restart-topic {stream}, or with "
            f"{stream}=latest to skip what is there now, too",
        )
        # A record of a log is one line.
        log.error("%s", str(lost).replace("\n", "; "))

    def remind(self, now_s: float) -> None:
        """Tell again, now and then, of what waits for a person."""
        self._reminder.remind(sorted(self._lost), now_s)

    def positions(self) -> dict[str, Position]:
        """Return where reading goes on in each shard, and until when each stream is read; shards.py says how."""
        lost = {split: as_lost(self.at[split], why) for split, why in self._lost.items()}
        shards = {split: as_position(number) for split, number in self.at.items()}
        return {**shards, **lost, **self._known_until()}

    def _known_until(self) -> dict[str, int]:
        """Return until when each stream is read; one of which a shard was not asked yet keeps what was known before."""
        oldest_ms: dict[str, int] = {}
        for shard in self.readable():
            read_ms = self._read_until_ms.get(shard.split, 0)
            oldest_ms[shard.stream] = min(read_ms, oldest_ms.get(shard.stream, read_ms))
        return {read_until(s): by_the_hour(read_ms) for s, read_ms in oldest_ms.items() if read_ms}

    def metrics(self) -> Iterator[Metric]:
        """Return what waits for a person, and what a person or a new stream has changed."""
        yield from lost_metrics(
            "stream",
            lost=len(self._lost),
            made_anew=self._made_anew,
            restarted=self._restarted,
        )


def _named(split: str) -> str:
    stream, _, shard = split.partition("/")
    return f"stream {stream}, {shard}"
