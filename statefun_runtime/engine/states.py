"""The values of addresses, between memory and the store.

Reads look in the overlay's layers, then in the store; writes go to the overlay, which a background task carries to
the store in slices. The addresses in memory are the cache: idle ones are dropped when there are too many.
"""

import asyncio
from collections.abc import Iterator
from itertools import islice

from statefun_runtime.core.backlog import IDLE, Backlog
from statefun_runtime.core.function import Function
from statefun_runtime.core.overlay import Overlay
from statefun_runtime.core.state import Values, decode_row, encode_row
from statefun_runtime.errors import CorruptionError
from statefun_runtime.ports.state_store import StateStore

_SLICE_ROWS = 500
_SWEEP_ADDRESSES = 4096


class States:
    """Reads and writes rows; `cache_max` is how many addresses may stay in memory while idle."""

    def __init__(self, store: StateStore, overlay: Overlay, *, cache_max: int) -> None:
        self._store = store
        self._overlay = overlay
        self._cache_max = cache_max
        self._cached = 0
        self._is_full = asyncio.Event()

    @property
    def cached_count(self) -> int:
        """How many addresses are in memory."""
        return self._cached

    def read(self, key: bytes) -> bytes | None:
        """Return a row's value as of now."""
        is_known, value = self._overlay.find(key)
        return value if is_known else self._store.get(key)

    def write(self, key: bytes, value: bytes | None) -> None:
        """Write a row, or delete it; in memory only."""
        self._overlay.put(key, value)
        if self._overlay.is_full:
            self._overlay.freeze()
            self._is_full.set()

    def load(self, backlog: Backlog) -> Values:
        """Read the values of an address that was not read yet."""
        row = self.read(backlog.key)
        try:
            values = Values({}) if row is None else decode_row(row)
        except ValueError as error:
            raise CorruptionError(
                f"the stored state of {backlog.address} cannot be read: {error}", code="SF5001"
            ) from error
        backlog.function.schema.check_stored(values)
        backlog.values = values
        return values

    def save(self, backlog: Backlog) -> None:
        """Write the values of an address as they are now."""
        values = backlog.values
        assert values is not None
        self.write(backlog.key, encode_row(values) if values.fields else None)

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield all rows under a prefix as of now, in order of their keys."""
        layered = self._overlay.scan(prefix)
        rows = {key: value for key, value in self._store.scan(prefix) if key not in layered}
        rows.update((key, value) for key, value in layered.items() if value is not None)
        yield from sorted(rows.items())

    async def run(self) -> None:
        """Carry frozen layers to the store until cancelled, a slice at a time."""
        while True:
            await self._is_full.wait()
            self._is_full.clear()
            while self._overlay.frozen_count:
                for rows in self._overlay.oldest_slices(_SLICE_ROWS):
                    self._store.write(rows)
                    await asyncio.sleep(0)
                self._overlay.drop_oldest()

    def settle(self, functions: list[Function]) -> None:
        """Carry everything to the store now; for the end, when nothing else runs."""
        for function in functions:
            for backlog in function.backlogs.values():
                if backlog.has_unsaved_stamp:
                    self.save(backlog)
        self._overlay.freeze()
        while self._overlay.frozen_count:
            for rows in self._overlay.oldest_slices(_SLICE_ROWS):
                self._store.write(rows)
            self._overlay.drop_oldest()

    def admitted(self, functions: list[Function]) -> None:
        """One more address is in memory; make room if that is too many."""
        self._cached += 1
        if self._cached > self._cache_max and self._cached % 1024 == 0:
            for function in functions:
                self._cached -= self._evict(function)

    def _evict(self, function: Function) -> int:
        """Drop idle addresses that were not used since the last sweep; return how many."""
        backlogs = function.backlogs
        dropped = 0
        for function_id, backlog in list(islice(backlogs.items(), _SWEEP_ADDRESSES)):
            if backlog.phase == IDLE and not backlog.is_recent:
                dropped += 1
                del backlogs[function_id]
                if backlog.has_unsaved_stamp:
                    self.save(backlog)
            else:
                backlog.is_recent = False
                backlogs[function_id] = backlogs.pop(function_id)
        return dropped
