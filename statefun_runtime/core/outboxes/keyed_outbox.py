"""The egress records of a sink that acknowledges each record by itself, from the reply that made them to that.

    epoch runs ─▶ collected ─cut▶ awaiting its checkpoint ─complete▶ queued per key ─▶ on its way ─▶ acknowledged
                      ▲               │ failed      │  ▲                  ▲                │ not taken
                      └───────────────┘     shelved ▼  │ loaded           └────────────────┘
                                             (in its object only)

Of one key at most one record is on its way, so records of a key leave in their order whatever is not taken. An epoch
is confirmed when all records of it, and of those before it, are acknowledged. The records of a complete epoch lie in an
object of the checkpoint store: what is too much for memory is shelved, the newest epochs, and read again in its turn.
"""

from collections import deque
from collections.abc import Callable, Collection, Hashable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from statefun_runtime.core.checkpoints.manifest import ObjectId

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Item(Generic[R]):
    """A record that may leave; `index` is its place in the outbox of its epoch."""

    epoch: int
    index: int
    key: Hashable
    record: R


@dataclass(frozen=True, slots=True)
class Shelved:
    """The records of a complete epoch that are in their object only, but for those that were given up."""

    epoch: int
    object: ObjectId
    count: int
    size_bytes: int
    refused: frozenset[int]


class KeyedOutbox(Generic[R]):
    """All records that are not acknowledged.

    `key_of` says what keeps its order, `size_of` how many bytes one counts for; `confirmed_epoch` is that of an
    earlier life, whose unconfirmed epochs are restored. Records of complete epochs are in memory up to
    `memory_max_bytes`.
    """

    def __init__(
        self,
        key_of: Callable[[R], Hashable],
        size_of: Callable[[R], int],
        *,
        confirmed_epoch: int = 0,
        memory_max_bytes: int = 1 << 62,
    ) -> None:
        self._key_of = key_of
        self._size_of = size_of
        self._collected: list[R] = []
        self._awaiting: list[tuple[int, list[R]]] = []
        # Every queue begins with the record that is on its way, or whose key is among the ready ones.
        self._queues: dict[Hashable, deque[Item[R]]] = {}
        self._ready: deque[Hashable] = deque()
        self._left_of: dict[int, int] = {}
        self._refused: dict[int, list[int]] = {}
        self._complete_epoch = confirmed_epoch
        self._memory_max_bytes = memory_max_bytes
        self._shelf: deque[Shelved] = deque()
        self._in_memory = 0
        # What has not left and is in memory, and what is not.
        self.bytes = 0
        self.shelved_bytes = 0

    @property
    def has_collected(self) -> bool:
        """Whether the epoch that runs has records."""
        return bool(self._collected)

    @property
    def has_queued(self) -> bool:
        """Whether records of complete epochs are not acknowledged."""
        return bool(self._queues or self._shelf)

    @property
    def has_ready(self) -> bool:
        """Whether `take` would return something."""
        return bool(self._ready)

    @property
    def confirmed_epoch(self) -> int:
        """The last epoch up to which everything is acknowledged."""
        left = [*self._left_of, *(shelved.epoch for shelved in self._shelf)]
        return min(left) - 1 if left else self._complete_epoch

    @property
    def count(self) -> int:
        """How many records are not acknowledged."""
        return self._in_memory + sum(shelved.count for shelved in self._shelf)

    @property
    def has_room(self) -> bool:
        """Whether the records of one more epoch may be in memory: none before them is shelved, and it is not full."""
        return not self._shelf and (not self._queues or self.bytes < self._memory_max_bytes)

    def collect(self, record: R) -> None:
        """Take a record of the epoch that runs."""
        self._collected.append(record)
        self._count(record, 1)

    def cut(self, epoch: int) -> Sequence[R]:
        """The epoch ends: return its records."""
        records, self._collected = self._collected, []
        if records:
            self._awaiting.append((epoch, records))
        return records

    def failed(self, epoch: int) -> None:
        """An epoch's records belong to the one that goes on now, in front of its own."""
        if self._awaiting and self._awaiting[-1][0] == epoch:
            self._collected = self._awaiting.pop()[1] + self._collected

    def completed(self, epoch: int, object_id: ObjectId | None = None) -> None:
        """The records up to an epoch may leave; those of the epoch itself lie in this object."""
        while self._awaiting and self._awaiting[0][0] <= epoch:
            done, records = self._awaiting.pop(0)
            if self.has_room or object_id is None:
                assert not self._shelf, "an epoch would overtake those before it"
                self._enqueue(done, list(enumerate(records)))
                continue
            assert done == epoch, f"the records of epoch {done} lie elsewhere"
            size_bytes = sum(map(self._size_of, records))
            self.shelve(Shelved(epoch, object_id, len(records), size_bytes, frozenset()))
            self.bytes -= size_bytes
            self._in_memory -= len(records)

    def restore(self, epoch: int, records: Sequence[R], refused: Collection[int] = ()) -> None:
        """Take back the records of an epoch that may or may not have left, but for those that were given up."""
        left = [(index, record) for index, record in enumerate(records) if index not in refused]
        for _, record in left:
            self._count(record, 1)
        self._enqueue(epoch, left)
        if left and refused:
            self._refused[epoch] = list(refused)

    def shelve(self, shelved: Shelved) -> None:
        """Leave the records of an epoch where they are, until it is their turn."""
        self._complete_epoch = max(self._complete_epoch, shelved.epoch)
        self._shelf.append(shelved)
        self.shelved_bytes += shelved.size_bytes

    def next_shelved(self) -> Shelved | None:
        """Return what is to be loaded now; None if nothing is shelved, or half of the memory is in use."""
        if self._shelf and (not self._queues or self.bytes * 2 < self._memory_max_bytes):
            return self._shelf[0]
        return None

    def loaded(self, shelved: Shelved, records: Sequence[R]) -> None:
        """Put the records of an epoch into their queues."""
        assert self._shelf[0] is shelved, f"epoch {shelved.epoch} is not the next one"
        self._shelf.popleft()
        self.shelved_bytes -= shelved.size_bytes
        self.restore(shelved.epoch, records, shelved.refused)

    def _enqueue(self, epoch: int, records: Sequence[tuple[int, R]]) -> None:
        self._complete_epoch = max(self._complete_epoch, epoch)
        if records:
            self._left_of[epoch] = self._left_of.get(epoch, 0) + len(records)
        for index, record in records:
            key = self._key_of(record)
            queue = self._queues.get(key)
            if queue is None:
                queue = self._queues[key] = deque()
                self._ready.append(key)
            queue.append(Item(epoch, index, key, record))

    def take(self, count_max: int, bytes_max: int) -> list[Item[R]]:
        """Return records that are on their way from now on, at most one of a key, and at least one if any is ready."""
        taken: list[Item[R]] = []
        size_bytes = 0
        while self._ready and len(taken) < count_max:
            item = self._queues[self._ready[0]][0]
            size_bytes += self._size_of(item.record)
            if taken and size_bytes > bytes_max:
                break
            self._ready.popleft()
            taken.append(item)
        return taken

    def acknowledged(self, item: Item[R]) -> None:
        """A record has left; the next one of its key is ready."""
        queue = self._queues[item.key]
        assert queue[0] is item, f"{item.key} was not on its way"
        queue.popleft()
        if queue:
            self._ready.append(item.key)
        else:
            del self._queues[item.key]
        self._left_of[item.epoch] -= 1
        if not self._left_of[item.epoch]:
            del self._left_of[item.epoch]
            self._refused.pop(item.epoch, None)
        self._count(item.record, -1)

    def give_up(self, item: Item[R]) -> None:
        """A record will never be taken; the next one of its key is ready."""
        self._refused.setdefault(item.epoch, []).append(item.index)
        self.acknowledged(item)

    def refused(self) -> list[tuple[int, int]]:
        """Return epoch and index of what was given up of epochs that are not done with."""
        shelved = {one.epoch: one.refused for one in self._shelf}
        found = {**self._refused, **shelved}
        return [(epoch, index) for epoch, indexes in found.items() for index in indexes]

    def returned(self, item: Item[R]) -> None:
        """A record was not taken: it is the next one of its key again."""
        self._ready.append(item.key)

    def _count(self, record: R, sign: int) -> None:
        self._in_memory += sign
        self.bytes += sign * self._size_of(record)
