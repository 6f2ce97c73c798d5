"""What a worker asks of who takes its checkpoints: itself if it is alone, else a leader that it follows."""

from typing import Protocol

from statefun_runtime.core.checkpoints.manifest import Manifest
from statefun_runtime.core.checkpoints.retention import Savepoint
from statefun_runtime.core.model.metrics import Histogram


class Checkpointing(Protocol):
    """Takes checkpoints while everything runs."""

    trouble: str
    completed_count: int
    aborted_count: int
    pause_ms: Histogram
    duration_ms: Histogram

    @property
    def last_complete(self) -> Manifest | None:
        """The last complete checkpoint, as far as this worker is in it."""
        ...

    async def run(self) -> None:
        """Take checkpoints, when anything changed, until cancelled or told to rest."""
        ...

    def end_early(self) -> None:
        """The epoch has grown enough."""
        ...

    def is_changed(self) -> bool:
        """Return whether a checkpoint now would hold anything new, as far as is known here."""
        ...

    def has_published(self) -> bool:
        """Return whether more has been published than the last checkpoint knows."""
        ...

    def age_s(self) -> float:
        """Return for how long something has been in no complete checkpoint, at most; as of the last look."""
        ...

    async def saved(self) -> None:
        """Return when all that is so now is in a complete checkpoint."""
        ...

    async def rest(self) -> None:
        """Return when none is in progress here; of its own accord this worker begins none any more."""
        ...

    async def take(self) -> bool:
        """Take one, when this worker has come to rest; return whether it is complete."""
        ...

    async def savepoint(self, place: str) -> Savepoint:
        """Make a checkpoint of what is so now a savepoint; raise UnavailableError if it cannot be written."""
        ...
