"""Where rows are kept beyond memory."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

from statefun_runtime.core.checkpoints.overlay import Row


class StateStore(Protocol):
    """An ordered map from bytes to bytes.

    Guarantees: a read sees every write that returned before it. A snapshot is a cut: it holds all that was written
    before `snapshot` was called, and later writes do not touch it. What was written and is in no snapshot may be
    lost when the process ends. What cannot be read or written, and whatever is asked of a closed store, is an
    UnavailableError; after one from `write` nothing but reads can be asked any more. Nothing is ever answered that is
    not so.
    """

    def get(self, key: bytes) -> bytes | None:
        """Return a row's value, or None; short enough to be called on the loop."""
        ...

    def write(self, rows: Sequence[Row]) -> None:
        """Write rows, delete those whose value is None; a slice of at most a few thousand."""
        ...

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield the rows whose key begins with `prefix`, in order of their keys.

        They are those of the moment when the first was asked for; one at a time is in memory.
        """
        ...

    def scan_sizes(self, prefix: bytes) -> Iterator[tuple[bytes, int]]:
        """Yield keys as `scan` does, each with the size of its value, which is not kept."""
        ...

    def scan_keys(self, prefix: bytes, start: bytes) -> Iterator[bytes]:
        """Yield the keys that begin with `prefix` and are not below `start`, in order; no value is read."""
        ...

    def flush(self) -> None:
        """Prepare a snapshot; may take long and is called off the loop."""
        ...

    def snapshot(self, folder: Path) -> None:
        """Write all rows as files into a folder that does not exist yet."""
        ...

    def close(self) -> None:
        """Let go of files and locks; closing twice is closing once."""
        ...

    def discard(self) -> None:
        """Close, and delete the files: nobody will open them again. May take long, and is called off the loop."""
        ...
