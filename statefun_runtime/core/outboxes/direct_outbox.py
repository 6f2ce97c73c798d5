"""The egress records of a sink that sends at once, from the reply that made them to their acknowledgement.

    collected ─▶ queue of one place ─▶ one batch at a time is on its way ─▶ acknowledged: forgotten
                        ▲                                └─ not taken: the same records again, in order
                        └─ records that come meanwhile make the next batch

No record waits for a checkpoint, and no checkpoint for a record: a cut holds what is not acknowledged then.
"""

from collections import deque
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from statefun_runtime.core.outboxes.form import RecordForm, nothing

R = TypeVar("R")
P = TypeVar("P", bound=Hashable)


@dataclass(slots=True, eq=False)
class Queue(Generic[P, R]):
    """What waits at one place, in order; while `is_taken`, whoever took it from the ready ones empties it."""

    place: P
    waiting: deque[R] = field(default_factory=deque)
    is_taken: bool = False


class DirectOutbox(Generic[P, R]):
    """All records that are not acknowledged.

    `place_of` says which records keep their order among each other; `on_ready` is called when a queue can be taken.
    With `is_kept` False a checkpoint holds nothing of them: what a crash finds here is lost.
    """

    def __init__(
        self,
        form: RecordForm[R],
        place_of: Callable[[R], P],
        *,
        on_ready: Callable[[], None] = nothing,
        is_kept: bool = True,
    ) -> None:
        self.form = form
        self._size_of = form.size_of
        self._place_of = place_of
        self._on_ready = on_ready
        self._is_kept = is_kept
        self._queues: dict[P, Queue[P, R]] = {}
        self._ready: list[Queue[P, R]] = []
        # Whether anything came or was acknowledged since the last cut.
        self.is_changed = False
        self.bytes = 0
        self.count = 0

    def collect(self, record: R) -> None:
        """Put a record behind those of its place."""
        self.bytes += self._size_of(record)
        self.count += 1
        self.is_changed = True
        place = self._place_of(record)
        queue = self._queues.get(place)
        if queue is None:
            queue = self._queues[place] = Queue(place)
        queue.waiting.append(record)
        if not queue.is_taken:
            queue.is_taken = True
            self._ready.append(queue)
            self._on_ready()

    def take(self) -> list[Queue[P, R]]:
        """Return the queues that have records and nobody who carries them out; whoever takes them does."""
        ready, self._ready = self._ready, []
        return ready

    def acknowledged(self, queue: Queue[P, R], count: int) -> None:
        """The first records of a queue have left, or are given up."""
        size_of, waiting = self._size_of, queue.waiting
        for _ in range(count):
            self.bytes -= size_of(waiting.popleft())
        self.count -= count
        self.is_changed = True

    def emptied(self, queue: Queue[P, R]) -> None:
        """A taken queue is empty; the next record makes it ready again."""
        assert not queue.waiting, f"{queue.place} is not empty"
        queue.is_taken = False

    def place_anew(self, queue: Queue[P, R]) -> None:
        """Let the place of each record of a taken queue be decided again, in order."""
        records, queue.waiting = queue.waiting, deque()
        queue.is_taken = False
        self.bytes -= sum(map(self._size_of, records))
        self.count -= len(records)
        self.restore(records)

    def cut(self, epoch: int) -> Sequence[R] | None:
        """Return what is not acknowledged, by place, in order; None if that is what it was at the last cut."""
        if not self.is_changed:
            return None
        self.is_changed = False
        if not self._is_kept:
            return []
        return [record for queue in self._queues.values() for record in queue.waiting]

    def failed(self, epoch: int) -> None:
        """The next cut has it all again."""
        self.is_changed = True

    def restore(self, records: Iterable[R]) -> None:
        """Take records of an earlier life, in order."""
        for record in records:
            self.collect(record)
