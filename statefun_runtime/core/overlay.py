"""Rows written since the last cut, in memory, in layers above the store.

    writes ─▶ active ──freeze──▶ frozen … frozen ──slices──▶ store
    reads  ─▶ active, then frozen newest first, then the store

A message therefore never waits for the store. Freezing is O(1); a frozen layer never changes and is dropped, oldest
first, when all its rows are in the store.
"""

from collections import deque
from collections.abc import Iterator
from itertools import islice

Row = tuple[bytes, bytes | None]

# What a row costs in memory beside its bytes: a slot of the dict and two object headers.
_ROW_OVERHEAD_BYTES = 150


class Overlay:
    """The layers; a value of None is a deletion."""

    def __init__(self, active_bytes_max: int) -> None:
        self._active: dict[bytes, bytes | None] = {}
        self._active_bytes = 0
        self._active_bytes_max = active_bytes_max
        self._frozen: deque[dict[bytes, bytes | None]] = deque()

    def put(self, key: bytes, value: bytes | None) -> None:
        """Write a row, or with None delete it."""
        self._active_bytes += (len(value) if value else 0) + (
            0 if key in self._active else len(key) + _ROW_OVERHEAD_BYTES
        )
        self._active[key] = value

    def find(self, key: bytes) -> tuple[bool, bytes | None]:
        """Return whether a layer knows the row, and its value there (None: deleted)."""
        if key in self._active:
            return True, self._active[key]
        for layer in reversed(self._frozen):
            if key in layer:
                return True, layer[key]
        return False, None

    @property
    def is_full(self) -> bool:
        """Whether the active layer has reached its size and wants to be frozen.

        Overwritten values count again, so a hot row freezes a layer early rather than late.
        """
        return self._active_bytes >= self._active_bytes_max

    @property
    def frozen_count(self) -> int:
        """How many layers wait for the store."""
        return len(self._frozen)

    def freeze(self) -> None:
        """End the active layer; later writes do not touch it."""
        if self._active:
            self._frozen.append(self._active)
        self._active, self._active_bytes = {}, 0

    def oldest_slices(self, rows_max: int) -> Iterator[list[Row]]:
        """Yield the rows of the oldest frozen layer in slices for the store."""
        rows = iter(self._frozen[0].items())
        while slice_ := list(islice(rows, rows_max)):
            yield slice_

    def drop_oldest(self) -> None:
        """Forget the oldest frozen layer: the store has all of it."""
        self._frozen.popleft()

    def scan(self, prefix: bytes) -> dict[bytes, bytes | None]:
        """Return the rows under a prefix as the layers know them."""
        found: dict[bytes, bytes | None] = {}
        for layer in (*self._frozen, self._active):
            found.update((key, value) for key, value in layer.items() if key.startswith(prefix))
        return found
