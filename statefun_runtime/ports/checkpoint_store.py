"""Where checkpoints are kept."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from statefun_runtime.core.checkpoint import Manifest

Unpublished = Sequence[tuple[str, bytes]]


class CheckpointStore(Protocol):
    """Keeps whole checkpoints.

    Guarantees: a checkpoint is there whole or not at all, whatever dies while it is written; what was written does
    not change; numbers only grow.
    """

    def latest(self) -> Manifest | None:
        """Return the newest whole checkpoint, or None before the first."""
        ...

    def save(
        self, manifest: Manifest, snapshot: Callable[[Path], None], unpublished: Unpublished
    ) -> None:
        """Write a checkpoint: `snapshot` is called with a folder to be made, which holds the state's files after it.

        `unpublished` are egress records by egress id. Older checkpoints may be deleted afterwards.
        """
        ...

    def restore(self, manifest: Manifest, folder: Path) -> Unpublished:
        """Put the state's files into a folder that does not exist yet; return the unpublished egress records.

        Raise CorruptionError if a file is not what was written.
        """
        ...
