"""The log that says which checkpoints are complete, and who runs."""

from typing import Protocol

from statefun_runtime.core.checkpoints.commits import Entry


class CommitLog(Protocol):
    """An append-only log of entries.

    Guarantees: complete ids only grow; an entry is there whole or not at all, and durable when `append` returns; a
    worker that was overtaken cannot append: FencedError. If `append` raises UnavailableError the outcome is unclear
    until `read` is asked. Nothing stands in the way of the loop while it is waited for.
    """

    async def read(self) -> list[Entry]:
        """Return all entries kept, oldest first."""
        ...

    async def append(self, entry: Entry) -> None:
        """Add an entry behind the last one that this worker knows of."""
        ...

    async def prune(self, oldest_epoch: int) -> None:
        """Forget complete checkpoints before an epoch; starts are kept."""
        ...
