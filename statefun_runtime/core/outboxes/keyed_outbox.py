"""The egress records of a sink that acknowledges each record by itself, from the reply that made them to that.

    epoch runs ─▶ collected ─cut▶ awaiting its checkpoint ─complete▶ queued per key ─▶ on its way ─▶ acknowledged
                      ▲               │ failed      │  ▲                  ▲                │ not taken
                      └───────────────┘    unloaded ▼  │ loaded           └────────────────┘
                                             (in its object only)

Of one key at most one record is on its way, so records of a key leave in their order whatever is not taken. An epoch
is confirmed when all records of it, and of those before it, are acknowledged. The records of a complete epoch lie in an
object of the checkpoint store: what is too much for memory is unloaded, the newest epochs, and read again in its turn.
"""

from collections import deque
from collections.abc import Callable, Collection, Hashable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from statefun_runtime.core.checkpoints.manifest import ObjectId, Outbox
from statefun_runtime.core.outboxes.form import RecordForm, nothing
from statefun_runtime.core.outboxes.outbox import Growth

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Item(Generic[R]):
    """A record that may leave; `index` is its place in the outbox of its epoch."""

    epoch: int
    index: int
    key: Hashable
    record: R


@dataclass(frozen=True, slots=True)
class Unloaded:
    """The records of a complete epoch that are in their object only, but for those that were given up."""

    epoch: int
    object: ObjectId
    count: int
    size_bytes: int
    refused: frozenset[int]


class KeyedOutbox(Generic[R]):
    """All records that are not acknowledged.

    `key_of` says what keeps its order; `confirmed_epoch` is that of an earlier life, whose unconfirmed epochs are
    restored. Records of complete epochs are in memory up to `memory_max_bytes`. `on_ready` is called when there may be
    something to take.
    """

    def __init__(
        self,
        form: RecordForm[R],
        key_of: Callable[[R], Hashable],
        *,
        confirmed_epoch: int = 0,
        memory_max_bytes: int = 1 << 62,
        on_ready: Callable[[], None] = nothing,
    ) -> None:
        self.form = form
        self._key_of = key_of
        self._size_of = form.size_of
        self._on_ready = on_ready
        self._collected: list[R] = []
        self.growth = Growth()
        self._awaiting: list[tuple[int, list[R]]] = []
        # Every queue begins with the record that is on its way, or whose key is among the ready ones.
        self._queues: dict[Hashable, deque[Item[R]]] = {}
        self._ready: deque[Hashable] = deque()
        self._left_of: dict[int, int] = {}
        self._refused: dict[int, list[int]] = {}
        self._complete_epoch = self._confirmed_at_cut = confirmed_epoch
        self._memory_max_bytes = memory_max_bytes
        self._unloaded: deque[Unloaded] = deque()
        self._in_memory = 0
        # What has not left and is in memory, and what is not.
        self.bytes = 0
        self.unloaded_bytes = 0

    @property
    def is_changed(self) -> bool:
        """Whether the epoch that runs has records, or a checkpoint now would know of more that have left."""
        return bool(self._collected) or self.confirmed_epoch != self._confirmed_at_cut

    @property
    def has_queued(self) -> bool:
        """Whether records of complete epochs are not acknowledged."""
        return bool(self._queues or self._unloaded)

    @property
    def has_ready(self) -> bool:
        """Whether `take` would return something."""
        return bool(self._ready)

    @property
    def confirmed_epoch(self) -> int:
        """The last epoch up to which everything is acknowledged."""
        left = [*self._left_of, *(unloaded.epoch for unloaded in self._unloaded)]
        return min(left) - 1 if left else self._complete_epoch

    @property
    def count(self) -> int:
        """How many records are not acknowledged."""
        return self._in_memory + sum(unloaded.count for unloaded in self._unloaded)

    @property
    def has_room(self) -> bool:
        """Whether the records of one more epoch may be in memory: none before them is unloaded, and it is not full."""
        return not self._unloaded and (not self._queues or self.bytes < self._memory_max_bytes)

    def collect(self, record: R) -> None:
        """Take a record of the epoch that runs."""
        self._collected.append(record)
        self._count(record, 1)
        self.growth.add(self._size_of(record))

    def cut(self, epoch: int) -> Sequence[R]:
        """The epoch ends: return its records."""
        self._confirmed_at_cut = self.confirmed_epoch
        records, self._collected = self._collected, []
        self.growth.cut()
        if records:
            self._awaiting.append((epoch, records))
        return records

    def failed(self, epoch: int) -> None:
        """An epoch's records belong to the one that goes on now, in front of its own."""
        self._confirmed_at_cut = -1
        if self._awaiting and self._awaiting[-1][0] == epoch:
            records = self._awaiting.pop()[1]
            self._collected = records + self._collected
            self.growth.bytes += sum(map(self._size_of, records))

    def completed(self, epoch: int, outbox: Outbox | None = None) -> None:
        """The records up to an epoch may leave; those of the epoch itself lie in this object."""
        object_id = None if outbox is None else outbox.object.id
        while self._awaiting and self._awaiting[0][0] <= epoch:
            done, records = self._awaiting.pop(0)
            if self.has_room or object_id is None:
                assert not self._unloaded, "an epoch would overtake those before it"
                self._enqueue(done, list(enumerate(records)))
                continue
            assert done == epoch, f"the records of epoch {done} lie elsewhere"
            size_bytes = sum(map(self._size_of, records))
            self._unload(Unloaded(epoch, object_id, len(records), size_bytes, frozenset()))
            self.bytes -= size_bytes
            self._in_memory -= len(records)
        self._on_ready()

    def restore(self, epoch: int, records: Sequence[R], refused: Collection[int] = ()) -> None:
        """Take back the records of an epoch that may or may not have left, but for those that were given up."""
        self._take_back(epoch, records, refused)
        self._confirmed_at_cut = self.confirmed_epoch
        self._on_ready()

    def _take_back(self, epoch: int, records: Sequence[R], refused: Collection[int]) -> None:
        left = [(index, record) for index, record in enumerate(records) if index not in refused]
        for _, record in left:
            self._count(record, 1)
        self._enqueue(epoch, left)
        if left and refused:
            self._refused[epoch] = list(refused)

    def restore_unloaded(self, outbox: Outbox, refused: Collection[int] = ()) -> None:
        """Take back an outbox without its records: they are read when their turn comes."""
        stored, given_up = outbox.object, frozenset(refused)
        count = outbox.count - len(given_up)
        self._unload(Unloaded(outbox.epoch, stored.id, count, stored.size_bytes, given_up))
        self._confirmed_at_cut = self.confirmed_epoch
        self._on_ready()

    def _unload(self, unloaded: Unloaded) -> None:
        self._complete_epoch = max(self._complete_epoch, unloaded.epoch)
        self._unloaded.append(unloaded)
        self.unloaded_bytes += unloaded.size_bytes

    def next_unloaded(self) -> Unloaded | None:
        """Return what is to be loaded now; None if everything is, or half of the memory is in use."""
        if self._unloaded and (not self._queues or self.bytes * 2 < self._memory_max_bytes):
            return self._unloaded[0]
        return None

    def loaded(self, unloaded: Unloaded, records: Sequence[R]) -> None:
        """Put the records of an epoch into their queues."""
        assert self._unloaded[0] is unloaded, f"epoch {unloaded.epoch} is not the next one"
        self._unloaded.popleft()
        self.unloaded_bytes -= unloaded.size_bytes
        self._take_back(unloaded.epoch, records, unloaded.refused)

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
        unloaded = {one.epoch: one.refused for one in self._unloaded}
        found = {**self._refused, **unloaded}
        return [(epoch, index) for epoch, indexes in found.items() for index in indexes]

    def returned(self, item: Item[R]) -> None:
        """A record was not taken: it is the next one of its key again."""
        self._ready.append(item.key)

    def _count(self, record: R, sign: int) -> None:
        self._in_memory += sign
        self.bytes += sign * self._size_of(record)
