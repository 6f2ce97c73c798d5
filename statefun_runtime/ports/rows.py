"""Rows that belong to the application's state, for adapters that keep something with it."""

from collections.abc import Iterator
from typing import Protocol


class Rows(Protocol):
    """Reads and writes rows; they are part of every cut.

    Guarantees: a read sees every write before it. A row survives a crash from the moment on when a checkpoint whose
    cut came after the write is complete.
    """

    def read(self, key: bytes) -> bytes | None:
        """Return a row's value, or None."""
        ...

    def write(self, key: bytes, value: bytes | None) -> None:
        """Write a row, or with None delete it."""
        ...

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield the rows under a prefix, in order of their keys."""
        ...
