"""The egress records of an exactly-once egress, from the reply that made them to the marker that says they left.

    epoch runs ─▶ collected ─cut▶ awaiting its checkpoint ─complete▶ queued ─▶ published, in chunks
                      ▲               │ failed
                      └───────────────┘

A marker counts records of an epoch's outbox in their order, refused ones included, so it means the same however the
outbox is cut into chunks.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

R = TypeVar("R")


@dataclass(slots=True)
class Batch(Generic[R]):
    """The outbox of an epoch; `done` counts its records that are published, `refused` are given up."""

    epoch: int
    records: list[R]
    done: int = 0
    refused: set[int] = field(default_factory=set)


@dataclass(slots=True)
class Chunk(Generic[R]):
    """The records of one transaction; with them `count` records of the outbox of `epoch` are published."""

    epoch: int = 0
    count: int = 0
    records: list[R] = field(default_factory=list)
    size_bytes: int = 0
    newest: tuple[Batch[R], int] | None = None


class Outboxes(Generic[R]):
    """All records that have not left; `size_of` says how many bytes one counts for."""

    def __init__(self, size_of: Callable[[R], int], *, records_max: int) -> None:
        self._size_of = size_of
        self._records_max = self._records_max_now = records_max
        self._collected: list[R] = []
        self._awaiting: list[Batch[R]] = []
        self._queue: deque[Batch[R]] = deque()
        self.bytes = 0
        self.confirmed_epoch = 0

    @property
    def has_collected(self) -> bool:
        """Whether the epoch that runs has records."""
        return bool(self._collected)

    @property
    def has_queued(self) -> bool:
        """Whether complete outboxes wait to be published."""
        return bool(self._queue)

    @property
    def count(self) -> int:
        """How many records have not left."""
        waiting = sum(len(batch.records) - batch.done for batch in (*self._awaiting, *self._queue))
        return len(self._collected) + waiting

    def collect(self, record: R) -> None:
        """Take a record of the epoch that runs."""
        self._collected.append(record)
        self.bytes += self._size_of(record)

    def cut(self, epoch: int) -> Sequence[R]:
        """The epoch ends: return its outbox."""
        records, self._collected = self._collected, []
        if records:
            self._awaiting.append(Batch(epoch, records))
        return records

    def failed(self, epoch: int) -> None:
        """An epoch's records belong to the one that goes on now, in front of its own."""
        if self._awaiting and self._awaiting[-1].epoch == epoch:
            self._collected = self._awaiting.pop().records + self._collected

    def completed(self, epoch: int) -> None:
        """The outboxes up to an epoch may be published."""
        while self._awaiting and self._awaiting[0].epoch <= epoch:
            self._queue.append(self._awaiting.pop(0))

    def restore(self, epoch: int, records: list[R]) -> None:
        """Take back an outbox that may or may not be published."""
        self._queue.append(Batch(epoch, records))
        self.bytes += sum(map(self._size_of, records))

    def chunk(self, bytes_max: int) -> Chunk[R]:
        """Return what goes into the next transaction, and how far that is: several epochs may share one."""
        chunk: Chunk[R] = Chunk()
        for batch in self._queue:
            chunk.epoch, chunk.count = batch.epoch, batch.done
            for index, record in enumerate(batch.records[batch.done :], batch.done):
                if chunk.size_bytes >= bytes_max or len(chunk.records) >= self._records_max_now:
                    return chunk
                chunk.count = index + 1
                if index not in batch.refused:
                    chunk.records.append(record)
                    chunk.size_bytes += self._size_of(record)
                    chunk.newest = (batch, index)
        return chunk

    def published(self, epoch: int, count: int) -> None:
        """A marker covers all outboxes before an epoch, and so many records of its own."""
        while self._queue and self._queue[0].epoch < epoch:
            self._advance(self._queue[0], len(self._queue[0].records))
        if self._queue and self._queue[0].epoch == epoch:
            self._advance(self._queue[0], count)

    def _advance(self, batch: Batch[R], count: int) -> None:
        self.bytes -= sum(map(self._size_of, batch.records[batch.done : count]))
        batch.done = max(batch.done, count)
        if batch.done >= len(batch.records):
            self._queue.popleft()
            self.confirmed_epoch = batch.epoch

    def narrow_down(self, chunk: Chunk[R]) -> R | None:
        """The broker refused a chunk for good: make the next one smaller; return the record once it is found.

        That record is given up, the others go on.
        """
        if len(chunk.records) > 1:
            self._records_max_now = len(chunk.records) // 2
            return None
        assert chunk.newest is not None
        batch, index = chunk.newest
        batch.refused.add(index)
        self._records_max_now = self._records_max
        return batch.records[index]
