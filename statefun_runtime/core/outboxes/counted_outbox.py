"""The outbox of an egress from which nothing leaves: what is put into it is counted, and forgotten."""

from collections.abc import Collection, Sequence
from typing import Generic, TypeVar

from statefun_runtime.core.checkpoints.manifest import Outbox
from statefun_runtime.core.outboxes.form import RecordForm
from statefun_runtime.core.outboxes.outbox import Growth

R = TypeVar("R")


def _nothing_is_kept(record: object) -> bytes:
    raise AssertionError("what is only counted is in no checkpoint")


class CountedOutbox(Generic[R]):
    """An EpochOutbox that is always empty; `past_epoch` is the last one of earlier lives."""

    # Nothing of it is in memory, and nothing waits.
    bytes = 0
    unloaded_bytes = 0
    is_changed = False
    has_queued = False
    has_room = True
    count = 0

    def __init__(self, *, past_epoch: int) -> None:
        self.growth = Growth()
        self.form: RecordForm[R] = RecordForm(_nothing_is_kept, _forget, lambda _: 0)
        self.confirmed_epoch = past_epoch
        self.counted = 0

    def collect(self, record: R) -> None:
        """Count a record."""
        self.counted += 1

    def cut(self, epoch: int) -> Sequence[R]:
        """A checkpoint holds nothing of it."""
        return ()

    def failed(self, epoch: int) -> None:
        """Nothing has to be merged."""

    def completed(self, epoch: int, outbox: Outbox | None = None) -> None:
        """Nothing of the epoch has yet to leave."""
        self.confirmed_epoch = max(self.confirmed_epoch, epoch)

    def refused(self) -> Sequence[tuple[int, int]]:
        """Nobody refuses what is not sent."""
        return ()

    def restore(self, epoch: int, records: list[R], refused: Collection[int] = ()) -> None:
        """Count what an earlier life has not sent; it does not leave now either."""
        self.counted += len(records)

    def restore_unloaded(self, outbox: Outbox, refused: Collection[int] = ()) -> None:
        """The same without the records."""
        self.counted += outbox.count


def _forget(data: bytes) -> R:  # type: ignore[type-var]
    return data  # type: ignore[return-value]
