"""The shards of a stream: which may be read now, and where each begins.

A shard that was split or merged ends, and goes on in its children. A child is read only when all its parents are
read to their end, so that the records of one key keep their order.

    BEGINNING ─▶ at its first record        at_time(t) ─▶ at its first record that is not older
         └──────────┬──────────────────────────┘
                    ▼
             a sequence number (the last record routed) ─ no more records, closed ─▶ FINISHED

A position is worked with as one number: sequence numbers are larger than 0, so what lies below says the rest. In
checkpoints it says in words what it is. A finished shard keeps its position: without one it would look like a new shard.

A stream also has a position that belongs to no shard: until when, by the hour, all its shards are known to be read.
Kinesis does not say that records were dropped because they were too old; it can be told from this. Of a stream that did
not exist it is all there is: 0, so that whatever the stream holds later is read from its beginning.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import assert_never

from statefun_runtime.core.model.position import Position
from statefun_runtime.core.module.specs import Date, Earliest, Latest

BEGINNING = 0
FINISHED = -1
NO_SHARD = "the stream does not have this shard any more"
_TIME_MS_MIN = 2
_HOUR_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class Shard:
    """A shard as its stream lists it, with the range of hash keys whose records it takes."""

    stream: str
    id: str
    parents: tuple[str, ...]
    is_open: bool
    first_sequence: int
    first_hash: int
    last_hash: int

    @property
    def split(self) -> str:
        """Return its name in checkpoints; a stream's name holds no slash."""
        return f"{self.stream}/{self.id}"


Positions = dict[str, int]


def at_time(timestamp_ms: int) -> int:
    """Return the position in front of the first record that is not older than a time."""
    return -timestamp_ms if timestamp_ms >= _TIME_MS_MIN else BEGINNING


def time_ms_of(position: int) -> int | None:
    """Return the time if a position stands at one."""
    return -position if position <= -_TIME_MS_MIN else None


def as_position(number: int) -> Position:
    """Return a position in the form in which checkpoints keep it."""
    if number == FINISHED:
        return "finished"
    if number == BEGINNING:
        return "beginning"
    time_ms = time_ms_of(number)
    return {"sequence": str(number)} if time_ms is None else {"time_ms": time_ms}


def number_of(position: Position) -> int:
    """Return a position of a checkpoint as it is worked with; raise ValueError if it is none of this ingress.

    Up to version 2 of the format checkpoints had the number itself.
    """
    match position:
        case int():
            return position
        case "finished":
            return FINISHED
        case "beginning" | {"at": "beginning"}:
            return BEGINNING
        case {"time_ms": int(time_ms)}:
            return at_time(time_ms)
        case {"sequence": str(sequence)}:
            return int(sequence)
        case _:
            raise ValueError(f"position {position!r} is none of a Kinesis stream")


def lost_of(position: Position) -> str:
    """Return what was found where a position of a checkpoint should have been; empty if it was not lost."""
    return str(position.get("lost", "")) if isinstance(position, Mapping) else ""


def as_lost(number: int, found: str) -> Position:
    """Return a position that is lost in the form in which checkpoints keep it: only a person can end that."""
    position = as_position(number)
    kept = position if isinstance(position, Mapping) else {"at": position}
    return {**kept, "lost": found}


def place(number: int) -> str:
    """Return a position in words."""
    time_ms = time_ms_of(number)
    if time_ms is not None:
        return f"time {time_ms}"
    return "its beginning" if number == BEGINNING else f"sequence number {number}"


def is_known(stream: str, positions: Mapping[str, int]) -> bool:
    """Return whether a checkpoint holds positions of this stream."""
    return any(is_of(split, stream) for split in positions)


def is_of(split: str, stream: str) -> bool:
    """Return whether a split is one of a stream."""
    return split.startswith(f"{stream}/")


def read_until(stream: str) -> str:
    """Return the name of the position that says until when a stream is read; no shard is called so."""
    return f"{stream}/read-until"


def by_the_hour(time_ms: int) -> int:
    """Return the hour of a time: a position that changed at every poll would ask for a checkpoint each time."""
    return time_ms - time_ms % _HOUR_MS


def first_positions(
    shards: Iterable[Shard], startup: Earliest | Latest | Date, *, now_ms: int
) -> Positions:
    """Return where to begin in a stream that no checkpoint knows; `now_ms` is by the service's clock.

    With `latest` a shard that is closed already has nothing that is still to come.
    """
    match startup:
        case Earliest():
            return {shard.split: BEGINNING for shard in shards}
        case Date(timestamp_ms):
            return {shard.split: at_time(timestamp_ms) for shard in shards}
        case Latest():
            return {shard.split: at_time(now_ms) if shard.is_open else FINISHED for shard in shards}
        case _:
            assert_never(startup)


def new_positions(shards: Iterable[Shard], positions: Mapping[str, int]) -> Positions:
    """Return where to begin in shards that appeared later: at their beginning."""
    return {shard.split: BEGINNING for shard in shards if shard.split not in positions}


def readable(shards: Iterable[Shard], positions: Mapping[str, int]) -> Iterator[Shard]:
    """Yield the shards that may be read now: not finished, and their parents finished or long gone."""
    for shard in shards:
        parents = (positions.get(f"{shard.stream}/{parent}", FINISHED) for parent in shard.parents)
        if positions[shard.split] != FINISHED and all(one == FINISHED for one in parents):
            yield shard


def was_made_anew(shards: Iterable[Shard], positions: Mapping[str, int]) -> bool:
    """Return whether a stream is another one than the one that was read: what it has contradicts what was read.

    A shard never begins later than it did, and one that is closed never opens again.
    """
    for shard in shards:
        position = positions.get(shard.split, BEGINNING)
        if BEGINNING < position < shard.first_sequence or (position == FINISHED and shard.is_open):
            return True
    return False


def find_vanished(
    stream: str, shards: Iterable[Shard], positions: Mapping[str, int]
) -> dict[str, str]:
    """Return the splits that were not read to their end and are there no more, and what was found instead."""
    listed = {shard.split for shard in shards}
    return {
        split: NO_SHARD
        for split, position in positions.items()
        if is_of(split, stream)
        and split != read_until(stream)
        and split not in listed
        and position != FINISHED
    }


def with_descendants(splits: Iterable[str], shards: Iterable[Shard]) -> dict[str, Shard]:
    """Return those of `shards` that are among `splits`, or go on where one of those ends; parents come first."""
    found: dict[str, Shard] = {}
    wanted = dict.fromkeys(splits)
    for shard in shards:
        parents = [f"{shard.stream}/{parent}" for parent in shard.parents]
        if shard.split in wanted or any(parent in wanted for parent in parents):
            wanted[shard.split] = None
            found[shard.split] = shard
    return found
