"""The egress records of an exactly-once egress, from the reply that made them to the marker that says they left.

    epoch runs ─▶ collected ─cut▶ awaiting its checkpoint ─complete▶ queued ─▶ published, in portions
                      ▲               │ failed                     │  ▲
                      └───────────────┘                    unloaded ▼  │ loaded
                                                            (in its object only)

A marker counts records of an epoch's outbox in their order, refused ones included, so it means the same however the
outbox is cut into portions. A complete outbox lies in an object of the checkpoint store, so that what is too much for
memory can be forgotten, the newest first, and is read again when its turn comes.

A record that the broker refuses becomes a dead letter of the epoch that runs then. Until that one is complete no marker
counts the record: one of the two is durable, never both and never none.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from statefun_runtime.core.checkpoints.manifest import ObjectId, Outbox
from statefun_runtime.core.outboxes.form import RecordForm, nothing
from statefun_runtime.core.outboxes.outbox import Growth

R = TypeVar("R")


@dataclass(slots=True)
class Batch(Generic[R]):
    """The outbox of an epoch; `records` is None while they are in the object only.

    `done` counts its records that are published; `refused` holds those that are given up, by index, with the epoch in
    which their dead letter is: None for the one that runs.
    """

    epoch: int
    records: list[R] | None
    count: int
    size_bytes: int
    object: ObjectId | None = None
    done: int = 0
    refused: dict[int, int | None] = field(default_factory=dict)


@dataclass(slots=True)
class Portion(Generic[R]):
    """The records of one transaction; with them `count` records of the outbox of `epoch` are published."""

    epoch: int = 0
    count: int = 0
    records: list[R] = field(default_factory=list)
    size_bytes: int = 0
    newest: tuple[Batch[R], int] | None = None
    is_progress: bool = False


class Outboxes(Generic[R]):
    """All records that have not left.

    Complete outboxes stay in memory up to `memory_max_bytes`; the oldest always does. `on_ready` is called when there
    may be something to publish.
    """

    def __init__(
        self,
        form: RecordForm[R],
        *,
        records_max: int,
        memory_max_bytes: int = 1 << 62,
        on_ready: Callable[[], None] = nothing,
    ) -> None:
        self.form = form
        self._size_of = form.size_of
        self._on_ready = on_ready
        self._records_max = self._records_max_now = records_max
        self._memory_max_bytes = memory_max_bytes
        self._collected: list[R] = []
        self.growth = Growth()
        self._awaiting: list[Batch[R]] = []
        self._queue: deque[Batch[R]] = deque()
        self._queued_bytes = 0
        self._complete_epoch = 0
        # What has not left and is in memory, and what is not.
        self.bytes = 0
        self.unloaded_bytes = 0
        self.confirmed_epoch = 0

    @property
    def is_changed(self) -> bool:
        """Whether the epoch that runs has records."""
        return bool(self._collected)

    @property
    def has_queued(self) -> bool:
        """Whether complete outboxes wait to be published."""
        return bool(self._queue)

    @property
    def count(self) -> int:
        """How many records have not left."""
        waiting = sum(batch.count - batch.done for batch in (*self._awaiting, *self._queue))
        return len(self._collected) + waiting

    def collect(self, record: R) -> None:
        """Take a record of the epoch that runs."""
        size = self._size_of(record)
        self._collected.append(record)
        self.bytes += size
        self.growth.add(size)

    def cut(self, epoch: int) -> Sequence[R]:
        """The epoch ends: return its outbox. Dead letters that were sent in it are in its checkpoint."""
        records, self._collected = self._collected, []
        size_bytes = self.growth.cut()
        if records:
            self._awaiting.append(Batch(epoch, records, len(records), size_bytes))
        self._move_letters(None, epoch)
        return records

    def failed(self, epoch: int) -> None:
        """An epoch's records belong to the one that goes on now, in front of its own."""
        self._move_letters(epoch, None)
        if self._awaiting and self._awaiting[-1].epoch == epoch:
            batch = self._awaiting.pop()
            assert batch.records is not None
            self._collected = batch.records + self._collected
            self.growth.bytes += batch.size_bytes

    def _move_letters(self, from_epoch: int | None, to_epoch: int | None) -> None:
        for batch in self._queue:
            for index, epoch in batch.refused.items():
                if epoch == from_epoch:
                    batch.refused[index] = to_epoch

    def completed(self, epoch: int, outbox: Outbox | None = None) -> None:
        """The outboxes up to an epoch may be published; the one of the epoch itself lies in this object."""
        self._complete_epoch = epoch
        while self._awaiting and self._awaiting[0].epoch <= epoch:
            batch = self._awaiting.pop(0)
            if outbox is not None and outbox.epoch == batch.epoch:
                batch.object = outbox.object.id
            self._queue.append(batch)
            self._queued_bytes += batch.size_bytes
        self._unload()
        if self._queue:
            self._on_ready()

    def restore(self, epoch: int, records: list[R], refused: Iterable[int] = ()) -> None:
        """Take back an outbox that may or may not be published; the letters of `refused` are durable."""
        size_bytes = sum(map(self._size_of, records))
        self._queue.append(
            Batch(epoch, records, len(records), size_bytes, refused=dict.fromkeys(refused, 0))
        )
        self._queued_bytes += size_bytes
        self.bytes += size_bytes
        self._on_ready()

    def restore_unloaded(self, outbox: Outbox, refused: Iterable[int] = ()) -> None:
        """Take back an outbox without its records: they are read when their turn comes."""
        size_bytes = outbox.object.size_bytes
        batch: Batch[R] = Batch(outbox.epoch, None, outbox.count, size_bytes, outbox.object.id)
        batch.refused = dict.fromkeys(refused, 0)
        self._queue.append(batch)
        self.unloaded_bytes += size_bytes
        self._on_ready()

    @property
    def has_room(self) -> bool:
        """Whether another outbox may be taken into memory."""
        return self._queued_bytes < self._memory_max_bytes

    def _unload(self) -> None:
        """Forget the newest of what is queued; what is about to leave would only be read again."""
        for batch in reversed(self._queue):
            if self._queued_bytes <= self._memory_max_bytes or batch is self._queue[0]:
                return
            if batch.records is not None and batch.object is not None:
                batch.records = None
                self._queued_bytes -= batch.size_bytes
                self.bytes -= batch.size_bytes
                self.unloaded_bytes += batch.size_bytes

    def next_unloaded(self, bytes_max: int) -> Batch[R] | None:
        """Return the outbox that has to be read now, so that a portion can have so many bytes; None if none has."""
        ahead_bytes = 0
        for batch in self._queue:
            if batch.records is None:
                return batch
            ahead_bytes += batch.size_bytes
            if ahead_bytes >= bytes_max:
                return None
        return None

    def loaded(self, batch: Batch[R], records: list[R]) -> None:
        """The records of an outbox were read from its object."""
        assert batch.records is None
        assert len(records) == batch.count
        self.unloaded_bytes -= batch.size_bytes
        batch.records, batch.size_bytes = records, sum(map(self._size_of, records))
        self._queued_bytes += batch.size_bytes
        self.bytes += batch.size_bytes

    def portion(self, bytes_max: int) -> Portion[R]:
        """Return what goes into the next transaction, and how far that is: several epochs may share one.

        It is no progress while a dead letter is not durable yet, or an outbox has to be read first.
        """
        portion: Portion[R] = Portion()
        for batch in self._queue:
            if batch.records is None or not self._add(portion, batch, batch.records, bytes_max):
                break
        return portion

    def _add(self, portion: Portion[R], batch: Batch[R], records: list[R], bytes_max: int) -> bool:
        """Add what there is room for to a portion; return whether that is all of the batch."""
        size_of, take, refused = self._size_of, portion.records.append, batch.refused
        size, room = portion.size_bytes, self._records_max_now - len(portion.records)
        index, newest = batch.done, -1
        while index < batch.count and size < bytes_max and room > 0:
            if refused and index in refused:
                letter_epoch = refused[index]
                if letter_epoch is None or letter_epoch > self._complete_epoch:
                    break
            else:
                record = records[index]
                take(record)
                size += size_of(record)
                room -= 1
                newest = index
            index += 1
        if newest >= 0:
            portion.newest = (batch, newest)
        portion.is_progress = portion.is_progress or index > batch.done
        portion.epoch, portion.count, portion.size_bytes = batch.epoch, index, size
        return index == batch.count

    def published(self, epoch: int, count: int) -> None:
        """A marker covers all outboxes before an epoch, and so many records of its own."""
        while self._queue and self._queue[0].epoch < epoch:
            self._advance(self._queue[0], self._queue[0].count)
        if self._queue and self._queue[0].epoch == epoch:
            self._advance(self._queue[0], count)

    def _advance(self, batch: Batch[R], count: int) -> None:
        batch.done = max(batch.done, count)
        if batch.done >= batch.count:
            self._queue.popleft()
            if batch.records is None:
                self.unloaded_bytes -= batch.size_bytes
            else:
                self._queued_bytes -= batch.size_bytes
                self.bytes -= batch.size_bytes
            self.confirmed_epoch = batch.epoch

    def narrow_down(self, portion: Portion[R]) -> R | None:
        """The broker refused a portion for good: make the next one smaller; return the record once it is found."""
        if len(portion.records) > 1:
            self._records_max_now = len(portion.records) // 2
            return None
        self._records_max_now = self._records_max
        return portion.records[0]

    def give_up(self, portion: Portion[R], *, has_letter: bool) -> None:
        """The one record of a portion is given up, the others go on; its dead letter, if it has one, is in this epoch."""
        assert portion.newest is not None
        batch, index = portion.newest
        batch.refused[index] = None if has_letter else 0

    def refused(self) -> Iterator[tuple[int, int]]:
        """Yield epoch and index of every record that is given up and not yet counted by a marker."""
        for batch in self._queue:
            yield from ((batch.epoch, index) for index in batch.refused if index >= batch.done)
