"""Rows written since the last cut, in memory, in layers above the store.

    writes ─▶ active ──freeze──▶ frozen … frozen ──slices──▶ store
                                     └──────────────────────▶ delta of a checkpoint
    reads  ─▶ active, then frozen newest first, then the store

A message therefore never waits for the store. Freezing is O(1). A frozen layer never changes; it is dropped, oldest
first, when all its rows are in the store *and* a complete checkpoint holds them.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from operator import itemgetter
from typing import TypeVar

Row = tuple[bytes, bytes | None]
Content = TypeVar("Content")

# What a row costs in memory beside its bytes: a slot of the dict and two object headers.
_ROW_OVERHEAD_BYTES = 150
_SLICE_BYTES = 4 * 1024 * 1024
_VALUE_OF: Callable[[Row], bytes | None] = itemgetter(1)


class Layer:
    """The rows of one epoch; a value of None is a deletion.

    `heads` are rows that nothing reads before a restart: they go into deltas, in their order, and never into the store.
    """

    __slots__ = ("epoch", "heads", "is_saved", "is_stored", "rows", "size_bytes")

    def __init__(self) -> None:
        self.rows: dict[bytes, bytes | None] = {}
        self.heads: list[Row] = []
        self.size_bytes = 0
        self.epoch = 0
        self.is_stored = False
        self.is_saved = False

    def slices(self, rows_max: int) -> Iterator[list[Row]]:
        """Yield the rows for the store, in slices."""
        yield from _slices(self.rows.items(), rows_max)

    def delta_slices(self, rows_max: int) -> Iterator[list[Row]]:
        """Yield all rows, in slices."""
        yield from self.slices(rows_max)
        yield from _slices(self.heads, rows_max)


def _slices(rows: Iterable[Row], rows_max: int) -> Iterator[list[Row]]:
    """Yield rows that are in memory in slices of so many, and those that are large in smaller ones."""
    items = iter(rows)
    while some := list(islice(items, rows_max)):
        if sum(map(len, filter(None, map(_VALUE_OF, some)))) <= _SLICE_BYTES:
            yield some
        else:
            yield from row_slices(some, rows_max)


def row_slices(rows: Iterable[Row], rows_max: int) -> Iterator[list[Row]]:
    """Yield rows in slices of so many, or of a few MiB: what is done with one stops everything else."""
    some: list[Row] = []
    size = 0
    for row in rows:
        some.append(row)
        size += len(row[1] or b"")
        if len(some) >= rows_max or size >= _SLICE_BYTES:
            yield some
            some, size = [], 0
    if some:
        yield some


class Overlay:
    """The layers; a value of None is a deletion."""

    def __init__(self, active_bytes_max: int) -> None:
        self._active = Layer()
        self._active_bytes_max = active_bytes_max
        self._frozen: deque[Layer] = deque()

    def put(self, key: bytes, value: bytes | None) -> None:
        """Write a row, or with None delete it."""
        active = self._active
        rows = active.rows
        size = len(value) if value else 0
        # Overwritten values count again, so a hot row ends an epoch early rather than late.
        active.size_bytes += size if key in rows else size + len(key) + _ROW_OVERHEAD_BYTES
        rows[key] = value

    def put_head(self, key: bytes, value: bytes | None) -> None:
        """Write or delete a row that goes into deltas only."""
        self._active.heads.append((key, value))

    def find(self, key: bytes) -> tuple[bool, bytes | None]:
        """Return whether a layer knows the row, and its value there (None: deleted)."""
        rows = self._active.rows
        if key in rows:
            return True, rows[key]
        for layer in reversed(self._frozen):
            if key in layer.rows:
                return True, layer.rows[key]
        return False, None

    @property
    def is_full(self) -> bool:
        """Whether the active layer has reached its size, so that the epoch is to be ended early."""
        return self._active.size_bytes >= self._active_bytes_max

    @property
    def is_changed(self) -> bool:
        """Whether anything was written since the last freeze."""
        return bool(self._active.rows or self._active.heads)

    @property
    def unsaved_bytes(self) -> int:
        """The size of what no complete checkpoint holds."""
        return self._active.size_bytes + sum(
            layer.size_bytes for layer in self._frozen if not layer.is_saved
        )

    def freeze(self, epoch: int) -> Layer:
        """End the active layer and return it; later writes do not touch it."""
        layer = self._active
        layer.epoch = epoch
        self._frozen.append(layer)
        self._active = Layer()
        return layer

    def unstored(self) -> Layer | None:
        """Return the oldest layer whose rows are not all in the store."""
        return next((layer for layer in self._frozen if not layer.is_stored), None)

    def unstored_rows(self) -> Iterator[tuple[int, Mapping[bytes, bytes | None]]]:
        """Yield the rows of each layer that are not all in the store, with its epoch, oldest first; the active one is 0."""
        for layer in self._frozen:
            if not layer.is_stored:
                yield layer.epoch, layer.rows
        yield 0, self._active.rows

    def unsaved(self) -> list[Layer]:
        """Return the layers that no complete checkpoint holds, oldest first."""
        return [layer for layer in self._frozen if not layer.is_saved]

    def drop_done(self) -> None:
        """Forget the oldest layers that are stored and saved."""
        while self._frozen and self._frozen[0].is_stored and self._frozen[0].is_saved:
            self._frozen.popleft()

    def store_lost(self, epoch: int) -> None:
        """Another store is made from the checkpoint of an epoch; until then the lost one is read.

        What one of the two does not hold stays in its layer, also if a later checkpoint is complete meanwhile.
        """
        for layer in self._frozen:
            layer.is_stored = layer.is_stored and layer.epoch <= epoch

    def store_replaced(self, epoch: int) -> None:
        """The other store is there: what its checkpoint does not hold is to be stored again."""
        for layer in self._frozen:
            layer.is_stored = layer.epoch <= epoch
        self.drop_done()

    def scan(self, prefix: bytes) -> dict[bytes, bytes | None]:
        """Return the rows under a prefix as the layers know them."""
        found: dict[bytes, bytes | None] = {}
        for layer in (*self._frozen, self._active):
            found.update(
                (key, value) for key, value in layer.rows.items() if key.startswith(prefix)
            )
        return found


def merge_rows(
    layered: Mapping[bytes, Content | None], stored: Iterator[tuple[bytes, Content]]
) -> Iterator[tuple[bytes, Content]]:
    """Yield stored rows as the layers change them, in order of their keys; of the stored one at a time is in memory."""
    changed = iter(sorted(layered))
    next_changed = next(changed, None)
    for key, content in stored:
        while next_changed is not None and next_changed < key:
            if (newer := layered[next_changed]) is not None:
                yield next_changed, newer
            next_changed = next(changed, None)
        if key not in layered:
            yield key, content
    while next_changed is not None:
        if (newer := layered[next_changed]) is not None:
            yield next_changed, newer
        next_changed = next(changed, None)
