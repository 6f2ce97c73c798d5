"""Delayed messages: due in order of time, within the same millisecond in the order in which they were scheduled.

A message is a row under its sender's key group, in order of its time; here is what is needed to know the next one:

    rows that only layers of the overlay have ─▶ a heap for each layer       all of them
    rows of the store                         ─▶ `near`, in slabs, ahead     those before the key group's bound

A place (due time, sequence, key group) is ordered as messages fire. It is a hint: whether a message still waits is what
its row says. Who was cancelled has none when its time comes, and who is in the store and in a layer has one place too many.

A token belongs to the sender's id: all function types of one id share its tokens, as in StateFun.
"""

import heapq
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from statefun_runtime.core.checkpoints.overlay import Row
from statefun_runtime.core.model.address import KeyGroup, TypeName
from statefun_runtime.core.model.keys import (
    TIMER,
    group_prefix,
    tally_key,
    timer_key,
    timer_key_in,
    token_key,
)
from statefun_runtime.core.model.messages import join_parts, split_parts, varint

_FROM_THE_START = b""
# Times have 63 bits: this is behind all of them.
_ALL = b"\xff"
NEVER_MS = 1 << 63


class Delayed(NamedTuple):
    """A message for later: `invocation` is complete, caller included."""

    sender_id: str
    target_type: TypeName
    target_id: str
    invocation: bytes
    token: str = ""


@dataclass(frozen=True, slots=True)
class TimerLimits:
    """How many stored messages a partition knows ahead of their time, how long ahead, and how many are read at once."""

    near_max: int = 1024
    slab_rows: int = 512
    ahead_ms: int = 120_000


TIMER_LIMITS = TimerLimits()


class Timers:
    """The index over the delayed messages that wait in some key groups."""

    def __init__(self, groups: range, limits: TimerLimits = TIMER_LIMITS) -> None:
        self._limits = limits
        self._near: list[bytes] = []
        # All that is stored and in front of its key group's bound is near.
        self._bounds = {group_prefix(KeyGroup(group)): _FROM_THE_START for group in groups}
        self._first_bound = _FROM_THE_START
        self._active: list[bytes] = []
        self._frozen: deque[tuple[int, list[bytes]]] = deque()
        self._heaps = [self._near, self._active]
        self._counts = dict.fromkeys(self._bounds, 0)
        self._changed: dict[bytes, None] = {}
        self._sequence = 0

    def __len__(self) -> int:
        return sum(self._counts.values())

    # ── what is scheduled, due and gone ──

    def schedule(self, group: bytes, due_ms: int) -> bytes:
        """Take a message whose sender is of a key group; return the key that its row has to have."""
        self._sequence += 1
        key = timer_key_in(group, due_ms, self._sequence)
        heapq.heappush(self._active, _place(key))
        self._counts[group] += 1
        self._changed[group] = None
        return key

    def first_due(self, now_ms: int) -> bytes | None:
        """Return the key of the first message that is due, or None if none is known to be; its place stays."""
        heap = self._first_heap()
        if not heap or heap[0] >= self._first_bound or _due_ms(heap[0]) > now_ms:
            return None
        return _key(heap[0])

    def remove(self, key: bytes) -> None:
        """Forget the place that `first_due` returned just now."""
        first = heapq.heappop(self._first_heap())
        assert first == _place(key), "another delayed message became the first"

    def gone(self, key: bytes) -> None:
        """The row of a message was deleted."""
        group = key[:2]
        self._counts[group] -= 1
        assert self._counts[group] >= 0, f"more delayed messages went than came in {group!r}"
        self._changed[group] = None

    def next_look_ms(self) -> int:
        """Return when a message is due, or more of them are to be read."""
        heap = self._first_heap()
        due_ms = _due_ms(heap[0]) if heap else NEVER_MS
        return min(due_ms, self._read_from_ms())

    def _first_heap(self) -> list[bytes]:
        first = self._near
        for heap in self._heaps:
            if heap and (not first or heap[0] < first[0]):
                first = heap
        return first

    # ── what is read ahead ──

    def _read_from_ms(self) -> int:
        """Return from when on a slab is wanted: early, as long as there is room; else when nothing goes on without it."""
        if self._first_bound == _ALL:
            return NEVER_MS
        has_room = len(self._near) < self._limits.near_max
        return _due_ms(self._first_bound) - (self._limits.ahead_ms if has_room else 0)

    def wanted(self, now_ms: int) -> tuple[bytes, bytes] | None:
        """Return the key group of which a slab is wanted now, and the key that it begins at, or None."""
        if self._read_from_ms() > now_ms:
            return None
        group = min(self._bounds, key=self._bounds.__getitem__)
        bound = self._bounds[group]
        # What follows the key group in a bound is there to tell two of them apart, and to go on behind a place.
        return group, group + TIMER + bound[:16] + bound[18:]

    def read(self, group: bytes, keys: Iterable[bytes], last: bytes | None) -> None:
        """Take the keys of a slab that still have rows; `last` is its last one, or None where it reached the end."""
        for key in keys:
            heapq.heappush(self._near, _place(key))
        self._bounds[group] = _ALL if last is None else _place(last) + b"\0"
        self._first_bound = min(self._bounds.values())

    # ── cuts, and what becomes of their layers ──

    def freeze(self, epoch: int) -> Iterator[Row]:
        """The active layer is about to be frozen: yield the tallies that it has to hold."""
        if self._active:
            self._frozen.append((epoch, self._active))
            self._active = []
            self._note_heaps()
        changed, self._changed = self._changed, {}
        for group in changed:
            count = self._counts[group]
            # Where nothing waits any sequence is free again.
            yield tally_key(group), Tally(count, self._sequence).row() if count else None

    def stored(self, epoch: int) -> None:
        """The store has all layers up to an epoch."""
        while self._frozen and self._frozen[0][0] <= epoch:
            self._take_near(self._frozen.popleft()[1])
        self._note_heaps()

    def _take_near(self, heap: list[bytes]) -> None:
        """Keep those in front of the bounds, as long as there is room; the rest is read when its time comes."""
        last_bound = max(self._bounds.values())
        for _ in range(max(0, self._limits.near_max - len(self._near))):
            if not heap or heap[0] >= last_bound:
                return
            place = heapq.heappop(heap)
            if place < self._bounds[place[16:]]:
                heapq.heappush(self._near, place)
        if heap:
            self._lower(heap[0])

    def _lower(self, bound: bytes) -> None:
        for group, before in self._bounds.items():
            self._bounds[group] = min(before, bound)
        self._first_bound = min(self._bounds.values())
        self._near[:] = [place for place in self._near if place < bound]
        heapq.heapify(self._near)

    def replaced(self, layers: Iterable[tuple[int, Sequence[bytes]]]) -> None:
        """The store is another one: these keys are of messages in layers that it lacks, the active one, 0, among them."""
        self._near.clear()
        self._bounds = dict.fromkeys(self._bounds, _FROM_THE_START)
        self._first_bound = _FROM_THE_START
        self._frozen.clear()
        self._active = []
        for epoch, keys in layers:
            heap = [_place(key) for key in keys]
            heapq.heapify(heap)
            if epoch == 0:
                self._active = heap
            else:
                self._frozen.append((epoch, heap))
        self._note_heaps()

    def _note_heaps(self) -> None:
        self._heaps = [self._near, *(heap for _, heap in self._frozen), self._active]

    def restore(self, group: bytes, tally: "Tally") -> None:
        """Take back how many messages of a key group an earlier life left."""
        self._counts[group] = tally.count
        self._sequence = max(self._sequence, tally.sequence)


def _place(key: bytes) -> bytes:
    return key[3:] + key[:2]


def _key(place: bytes) -> bytes:
    return place[16:] + TIMER + place[:16]


def _due_ms(place: bytes) -> int:
    return int.from_bytes(place[:8], "big")


# ── rows ──


@dataclass(frozen=True, slots=True)
class Tally:
    """How many delayed messages of a key group wait, and a sequence that none of them is above."""

    count: int
    sequence: int

    def row(self) -> bytes:
        """Return its row."""
        return self.count.to_bytes(8, "big") + self.sequence.to_bytes(8, "big")

    @classmethod
    def of_row(cls, row: bytes) -> "Tally":
        """Read what `row` made."""
        return cls(int.from_bytes(row[:8], "big"), int.from_bytes(row[8:], "big"))


def delayed_rows(
    delayed: Delayed, due_ms: int, sequence: int, *, key_group_count: int
) -> Iterator[Row]:
    """Yield the rows of a message that no worker knows yet; who writes them adds those of `with_tallies`."""
    key = timer_key(delayed.sender_id, due_ms, sequence, key_group_count=key_group_count)
    yield key, encode_delayed(delayed)
    if delayed.token:
        yield token_key(key[:2], delayed.sender_id, delayed.token), key


def with_tallies(rows: Iterable[Row]) -> Iterator[Row]:
    """Yield rows, each there once, and behind them the tallies of the delayed messages among them."""
    counts: dict[bytes, int] = {}
    sequences: dict[bytes, int] = {}
    for row in rows:
        yield row
        key = row[0]
        if key[2:3] == TIMER:
            group = key[:2]
            counts[group] = counts.get(group, 0) + 1
            sequence = int.from_bytes(key[11:19], "big")
            sequences[group] = max(sequences.get(group, 0), sequence)
    for group, count in counts.items():
        yield tally_key(group), Tally(count, sequences[group]).row()


def encode_delayed(delayed: Delayed) -> bytes:
    """Return the row of a delayed message."""
    sender_id, target_type, target_id, invocation, token = delayed
    sender, target = sender_id.encode(), target_id.encode()
    sizes = varint(len(sender)), varint(len(target))
    token_part = _part(token) if token else b"\0"
    target_parts = _parts(target_type.namespace, target_type.name)
    return b"".join((sizes[0], sender, target_parts, sizes[1], target, token_part, invocation))


@lru_cache(1024)
def _parts(namespace: str, name: str) -> bytes:
    return _part(namespace) + _part(name)


def _part(text: str) -> bytes:
    return join_parts((text.encode(),), b"")


def decode_delayed(row: bytes) -> Delayed:
    """Read what `encode_delayed` made."""
    texts, invocation = split_parts(row, 5)
    sender_id, namespace, name, target_id, token = map(bytes.decode, texts)
    return Delayed(sender_id, TypeName(namespace, name), target_id, invocation, token)
