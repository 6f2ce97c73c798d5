"""Where results leave."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol, runtime_checkable

from statefun_runtime.core.checkpoints.manifest import Outbox, Progress
from statefun_runtime.core.model.metrics import Metric


class RecordRefused(Exception):
    """A typed value cannot leave through an egress; the text says why."""


@runtime_checkable
class Publishes(Protocol):
    """What an egress has besides that remembers in checkpoints how far it has published."""

    def progress(self) -> Progress | None:
        """Return what the next life shall know; None before anything is known."""
        ...


class EgressSink(Protocol):
    """Takes records out.

    Guarantees: `prepare` refuses whatever the sink could not take for good; a prepared record that was handed to
    `emit` leaves, or is among what `cut` returns; order per key
    is kept. A fenced sink cannot publish, where the outside can tell it from a newer one.
    """

    def prepare(self, typename: str, value: bytes) -> Any:
        """Check a typed value and return it in the sink's own form; raise RecordRefused."""
        ...

    def emit(self, record: Any) -> None:
        """Take a prepared record; never refuses, never waits."""
        ...

    def backlog_bytes(self) -> int:
        """Return the size of what was taken, has not left, and is in memory."""
        ...

    def stored_bytes(self) -> int:
        """Return the size of what was taken, has not left, and is in the checkpoint store only."""
        ...

    async def start(self) -> None:
        """Listen, where there is something to listen on; does not wait for others."""
        ...

    async def run(self) -> None:
        """Carry records out until cancelled."""
        ...

    @property
    def is_transactional(self) -> bool:
        """Whether records wait for their epoch to be complete."""
        ...

    @property
    def is_changed(self) -> bool:
        """Whether a checkpoint now would hold something else than the last one: records, or that some have left."""
        ...

    def cut(self, epoch: int) -> Sequence[Any] | None:
        """An epoch ends. Return what a checkpoint must hold, which never changes afterwards; O(1) where it can be.

        Transactional: the records of the epoch. Otherwise: all that is not acknowledged; None if that is what it
        was at the last cut.
        """
        ...

    def encode(self, records: Sequence[Any]) -> list[bytes]:
        """Return some records of a cut as bytes."""
        ...

    def completed(self, epoch: int, outbox: Outbox | None = None) -> None:
        """The checkpoint of an epoch is complete: its records may leave. They lie in `outbox`, if there are any."""
        ...

    def refused(self) -> Iterable[tuple[int, int]]:
        """Return epoch and index of records that are given up as dead letters, and not confirmed; transactional only."""
        ...

    def failed(self, epoch: int) -> None:
        """There is no checkpoint of an epoch: its records belong to the one that goes on now."""
        ...

    def confirmed_epoch(self) -> int:
        """Return the last epoch up to which everything is known to have left; transactional only."""
        ...

    def restore(
        self, outbox: Outbox, read: Callable[[], list[bytes]], refused: Iterable[int] = ()
    ) -> None:
        """Take back the records of a checkpoint, in order of epochs, before `run`; `read` returns them.

        Those whose index is among `refused` are given up, and have been dead letters.
        """
        ...

    async def flush(self, timeout_s: float) -> None:
        """Try for so long to let everything leave."""
        ...

    def metrics(self) -> Iterable[Metric]:
        """Return what is counted; whose numbers they are is added by the caller."""
        ...

    async def close(self) -> None:
        """Leave at once."""
        ...
