"""What the two outboxes have in common whose records wait for the checkpoint of their epoch.

    epoch runs ─▶ collected ─cut▶ awaiting its checkpoint ─complete▶ queued ─▶ left, as the sink finds out
                      ▲               │ failed                     │  ▲
                      └───────────────┘                    unloaded ▼  │ loaded
                                                            (in its object only)

`EpochOutbox` is the side that the engine sees; how records leave is the side of the sink, and another one in each.
"""

import math
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Protocol, TypeVar

from statefun_runtime.core.checkpoints.manifest import Outbox
from statefun_runtime.core.outboxes.form import RecordForm, nothing

R = TypeVar("R")

# An epoch with more than that is to end early: at full speed most of a worker's memory would be records that wait.
EPOCH_BYTES_MAX = 6 * 1024 * 1024


class Growth:
    """How many bytes the epoch that runs has, those of failed ones included; `on_full`, the engine's to set, is called once when they are EPOCH_BYTES_MAX."""

    __slots__ = ("_full_bytes", "bytes", "on_full")

    def __init__(self) -> None:
        self.bytes = 0
        self._full_bytes: float = EPOCH_BYTES_MAX
        self.on_full: Callable[[], None] = nothing

    def add(self, size: int) -> None:
        """A record came."""
        self.bytes += size
        if self.bytes >= self._full_bytes:
            self._full_bytes = math.inf
            self.on_full()

    def cut(self) -> int:
        """The epoch ends: return what it had."""
        size, self.bytes, self._full_bytes = self.bytes, 0, EPOCH_BYTES_MAX
        return size


class EpochOutbox(Protocol[R]):
    """Collects, cuts, completes and takes back the records of epochs."""

    bytes: int
    unloaded_bytes: int
    growth: Growth

    @property
    def form(self) -> RecordForm[R]:
        """How its records are kept."""
        ...

    @property
    def is_changed(self) -> bool:
        """Whether a checkpoint now would hold something else than the last one."""
        ...

    @property
    def has_queued(self) -> bool:
        """Whether records of complete epochs have not left."""
        ...

    @property
    def has_room(self) -> bool:
        """Whether the records of another epoch may be taken into memory."""
        ...

    @property
    def count(self) -> int:
        """How many records have not left."""
        ...

    @property
    def confirmed_epoch(self) -> int:
        """The last epoch up to which everything is known to have left."""
        ...

    def collect(self, record: R) -> None:
        """Take a record of the epoch that runs; never refuses, never waits."""
        ...

    def cut(self, epoch: int) -> Sequence[R]:
        """The epoch ends: return its records, which never change afterwards."""
        ...

    def failed(self, epoch: int) -> None:
        """There is no checkpoint of an epoch: its records belong to the one that goes on now."""
        ...

    def completed(self, epoch: int, outbox: Outbox | None = None) -> None:
        """The checkpoint of an epoch is complete: its records may leave. They lie in `outbox`, if there are any."""
        ...

    def refused(self) -> Iterable[tuple[int, int]]:
        """Return epoch and index of records that are given up, and not confirmed."""
        ...

    def restore(self, epoch: int, records: list[R], refused: Collection[int] = ()) -> None:
        """Take back the records of an epoch, in order of epochs, but for those that were given up."""
        ...

    def restore_unloaded(self, outbox: Outbox, refused: Collection[int] = ()) -> None:
        """The same without the records: they are read when their turn comes."""
        ...
