"""The engine's side of an egress: it fills the outbox of a sink, cuts it, and tells it of checkpoints.

What a sink does with its outbox, and when, is its own business; here is what a checkpoint holds of it, what a restart
gives back to it, and how much of it is in memory and on disk.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from typing import Any, Generic, TypeVar

from statefun_runtime.core.checkpoints.manifest import Outbox, Progress
from statefun_runtime.core.model.address import TypeName
from statefun_runtime.core.outboxes.direct_outbox import DirectOutbox
from statefun_runtime.core.outboxes.outbox import EpochOutbox
from statefun_runtime.core.outboxes.row_outbox import RowOutbox
from statefun_runtime.ports.egress import EgressSink, Listens, Publishes

log = logging.getLogger("statefun.egress")

_LOOK_S = 0.005

R = TypeVar("R")


class Egress(Generic[R]):
    """One egress of the application; `prepare` and `emit` are on the way of every record."""

    __slots__ = (
        "_direct",
        "_epochs",
        "_id",
        "_rows",
        "close",
        "emit",
        "metrics",
        "prepare",
        "run",
        "sink",
    )

    def __init__(self, egress_id: TypeName, sink: EgressSink[R]) -> None:
        outbox = sink.outbox
        self._id = egress_id
        self.sink = sink
        self.prepare: Callable[[str, bytes], R] = sink.prepare
        self.emit: Callable[[R], None] = outbox.collect  # type: ignore[assignment]
        self.run, self.close, self.metrics = sink.run, sink.close, sink.metrics
        # One of the three.
        self._direct: DirectOutbox[Any, R] | None = None
        self._rows: RowOutbox | None = None
        self._epochs: EpochOutbox[R] | None = None
        match outbox:
            case DirectOutbox():
                self._direct = outbox
            case RowOutbox():
                self._rows = outbox
            case _:
                self._epochs = outbox

    def when_full(self, end_early: Callable[[], None]) -> None:
        """Have somebody told when the epoch that runs has so many records that it should end."""
        if self._epochs is not None:
            self._epochs.growth.on_full = end_early

    @property
    def waits_for_epoch(self) -> bool:
        """Whether records leave only when the checkpoint of their epoch is complete."""
        return self._epochs is not None

    @property
    def leaves_at_once(self) -> bool:
        """Whether records leave as soon as they are there."""
        return self._direct is not None

    @property
    def is_changed(self) -> bool:
        """Whether a checkpoint now would hold something else than the last one; rows say so themselves."""
        outbox = self._direct or self._epochs
        return outbox is not None and outbox.is_changed

    def backlog_bytes(self) -> int:
        """Return the size of what has not left and is in memory; unread rows are state, and hold nothing back."""
        outbox = self._direct or self._epochs
        return 0 if outbox is None else outbox.bytes

    def stored_bytes(self) -> int:
        """Return the size of what has not left and is in the checkpoint store only."""
        return 0 if self._epochs is None else self._epochs.unloaded_bytes

    # ── checkpoints ──

    def cut(self, epoch: int) -> Sequence[R] | None:
        """An epoch ends: return what a checkpoint must hold; None if that is what it was at the last cut."""
        if self._rows is not None:
            self._rows.cut(epoch)
            return ()
        outbox = self._direct or self._epochs
        assert outbox is not None
        return outbox.cut(epoch)

    def encode(self, records: Sequence[R]) -> list[bytes]:
        """Return some records of a cut as bytes."""
        outbox = self._direct or self._epochs
        return [] if outbox is None else list(map(outbox.form.encode, records))

    def completed(self, epoch: int, outbox: Outbox | None = None) -> None:
        """The checkpoint of an epoch is complete; `outbox` is where its records lie, if there are any."""
        if self._epochs is not None:
            self._epochs.completed(epoch, outbox)
        elif self._rows is not None:
            self._rows.completed(epoch)

    def failed(self, epoch: int) -> None:
        """There is no checkpoint of an epoch."""
        outbox = self._direct or self._epochs
        if outbox is not None:
            outbox.failed(epoch)

    def refused(self) -> Iterable[tuple[int, int]]:
        """Return epoch and index of records that are given up, and not confirmed to be behind us."""
        return () if self._epochs is None else self._epochs.refused()

    def confirmed_epoch(self) -> int:
        """Return the last epoch up to which everything is known to have left."""
        return 0 if self._epochs is None else self._epochs.confirmed_epoch

    def progress(self) -> Progress | None:
        """Return what a checkpoint shall know of an egress that publishes; None of others."""
        return self.sink.progress() if isinstance(self.sink, Publishes) else None

    async def restore(
        self,
        outbox: Outbox,
        read: Callable[[], Awaitable[list[bytes]]],
        refused: Collection[int] = (),
    ) -> None:
        """Take back the records of a checkpoint, in order of epochs, before `run`; `read` returns them.

        Those whose index is among `refused` are given up. What memory has no room for stays where it is.
        """
        if self._direct is not None:
            self._direct.restore(map(self._direct.form.decode, await read()))
        elif self._epochs is not None and self._epochs.has_room:
            records = list(map(self._epochs.form.decode, await read()))
            self._epochs.restore(outbox.epoch, records, refused)
        elif self._epochs is not None:
            self._epochs.restore_unloaded(outbox, refused)

    # ── life ──

    async def start(self) -> None:
        """Take the port, where there is one."""
        if isinstance(self.sink, Listens):
            await self.sink.listen()

    async def flush(self, timeout_s: float) -> None:
        """Wait for so long until everything that may leave has left; nobody can be made to read rows."""
        try:
            async with asyncio.timeout(timeout_s):
                while self._has_queued():  # noqa: ASYNC110
                    await asyncio.sleep(_LOOK_S)
        except TimeoutError:
            log.warning(
                "egress %s: %d bytes have not left; they are kept for the next start",
                self._id,
                self.backlog_bytes() + self.stored_bytes(),
            )

    def _has_queued(self) -> bool:
        if self._direct is not None:
            return bool(self._direct.count)
        return self._epochs is not None and self._epochs.has_queued
