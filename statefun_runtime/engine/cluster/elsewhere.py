"""An egress whose port another worker has: what is sent to it here goes there."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from typing import Any

from statefun_runtime.core.checkpoints.manifest import Outbox, Progress
from statefun_runtime.core.model.address import TypeName
from statefun_runtime.core.model.metrics import Metric
from statefun_runtime.engine.cluster.channels import Outgoing
from statefun_runtime.engine.egress import Egress
from statefun_runtime.ports.egress import EgressSink

Record = tuple[str, bytes]


class ElsewhereEgress(Egress[Record]):
    """Checks records as `sink` does, and sends them; nothing of them stays here, so there is nothing to save."""

    __slots__ = ("_check", "_outgoing")

    def __init__(self, egress_id: TypeName, sink: EgressSink[Any], outgoing: Outgoing) -> None:
        super().__init__(egress_id, sink)
        self._check = sink.prepare
        self._outgoing = outgoing
        self.prepare = self._prepare
        self.emit = self._emit
        self.run = self._run
        self.metrics = self._nothing

    def _prepare(self, typename: str, value: bytes) -> Record:
        self._check(typename, value)
        return typename, value

    def _emit(self, record: Record) -> None:
        self._outgoing.bring_home(self._id, *record)

    async def _run(self) -> None:
        await asyncio.Event().wait()

    def _nothing(self) -> Iterable[Metric]:
        return ()

    @property
    def waits_for_epoch(self) -> bool:
        """They leave at once."""
        return False

    @property
    def is_changed(self) -> bool:
        """Nothing is here."""
        return False

    def backlog_bytes(self) -> int:
        """Nothing is here."""
        return 0

    def stored_bytes(self) -> int:
        """Nothing is here."""
        return 0

    def cut(self, epoch: int) -> Sequence[Record] | None:
        """Nothing is here."""
        return ()

    def encode(self, records: Sequence[Record]) -> list[bytes]:
        """Nothing is here."""
        return []

    def completed(self, epoch: int, outbox: Outbox | None = None) -> None:
        """Nothing waited for it."""

    def failed(self, epoch: int) -> None:
        """Nothing waited for it."""

    def refused(self) -> Iterable[tuple[int, int]]:
        """Nothing is here."""
        return ()

    def confirmed_epoch(self) -> int:
        """Nothing is here."""
        return 0

    def progress(self) -> Progress | None:
        """Nothing is here."""
        return None

    async def restore(
        self,
        outbox: Outbox,
        read: Callable[[], Awaitable[list[bytes]]],
        refused: Collection[int] = (),
    ) -> None:
        """Nothing was here."""
        raise AssertionError(f"an outbox of {self._id} is elsewhere")

    async def start(self) -> None:
        """The port is elsewhere."""

    async def flush(self, timeout_s: float) -> None:
        """Nothing is here."""
