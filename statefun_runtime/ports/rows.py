"""Rows that belong to the application's state, for adapters that keep something with it."""

from collections.abc import Iterator
from typing import Protocol


class Rows(Protocol):
    """Reads and writes rows; they are part of every cut.

    Guarantees: a read sees every write before it. A row survives a crash from the moment on when a checkpoint whose
    cut came after the write is complete.
    """

    def read(self, key: bytes) -> bytes | None:
        """Return a row's value, or None; raise UnavailableError while that cannot be known."""
        ...

    def write(self, key: bytes, value: bytes | None) -> None:
        """Write a row, or with None delete it."""
        ...

    def scan_sizes(self, prefix: bytes) -> Iterator[tuple[bytes, int]]:
        """Yield the keys under a prefix in their order, with the sizes of the values, which are not kept in memory."""
        ...
