"""The values of addresses, between memory and the store.

Reads look in the overlay's layers, then in the store; writes go to the overlay. A cut freezes the active layer; a
background task carries frozen layers to the store in slices. The addresses in memory are the cache: idle ones are
dropped when there are too many.
"""

import asyncio
import logging
from collections.abc import Iterator
from itertools import islice
from typing import Protocol

from statefun_runtime.core.checkpoints.overlay import Layer, Overlay
from statefun_runtime.core.model.function import Function
from statefun_runtime.core.model.keys import backlog_key_of, chunk_key_of, chunk_prefix
from statefun_runtime.core.model.state import Values, decode_row, encode_row
from statefun_runtime.core.partition.backlog import IDLE, Backlog
from statefun_runtime.core.partition.spill import MIDDLE_SEQUENCE
from statefun_runtime.errors import CorruptionError, UnavailableError
from statefun_runtime.ports.state_store import StateStore

log = logging.getLogger("statefun.state")

_SWEEP_ADDRESSES = 4096

Heads = list[tuple[Backlog, tuple[list[bytes], list[bytes], int] | None]]


class StatesHooks(Protocol):
    """Who is told what becomes of rows: of those who are built after the states, and use them."""

    async def stored(self, epoch: int) -> None:
        """A layer is wholly in the store, and nothing of the next one is; the next waits for this to return."""
        ...

    def full(self) -> None:
        """The active layer is full: the epoch is to end early."""
        ...

    def rebuild(self) -> StateStore:
        """Return a new store, made from the last complete checkpoint."""
        ...


class States:
    """Reads and writes rows; `cache_max` is how many addresses may stay in memory while idle."""

    def __init__(
        self,
        store: StateStore,
        overlay: Overlay,
        *,
        cache_max: int,
        slice_rows: int,
        hooks: StatesHooks,
    ) -> None:
        self._store = store
        self._overlay = overlay
        self._cache_max = cache_max
        self._cached = 0
        self._touched: list[Backlog] = []
        self._has_work = asyncio.Event()
        self._slice_rows = slice_rows
        self._hooks = hooks
        self.stored_epoch = 0

    @property
    def cached_count(self) -> int:
        """How many addresses are in memory."""
        return self._cached

    @property
    def unsaved_bytes(self) -> int:
        """The size of what no complete checkpoint holds."""
        return self._overlay.unsaved_bytes

    @property
    def is_changed(self) -> bool:
        """Whether a snapshot now would differ from the last cut."""
        return self._overlay.is_changed or bool(self._touched)

    @property
    def store(self) -> StateStore:
        """The store as it is now; it is another after it was lost."""
        return self._store

    def read(self, key: bytes) -> bytes | None:
        """Return a row's value as of now."""
        is_known, value = self._overlay.find(key)
        return value if is_known else self._store.get(key)

    def write(self, key: bytes, value: bytes | None) -> None:
        """Write a row, or delete it; in memory only."""
        self._overlay.put(key, value)
        if self._overlay.is_full:
            self._hooks.full()

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

    def touch(self, backlog: Backlog) -> None:
        """The backlog of an address changed: the next cut looks at it."""
        if not backlog.is_touched:
            backlog.is_touched = True
            self._touched.append(backlog)

    def shelve_head(self, head_key: bytes, row: bytes) -> None:
        """Keep the head of a backlog that nobody can work on as its first chunk, which needs no care."""
        if row:
            sequences = self._chunk_sequences(head_key)
            first = sequences[0] - 1 if sequences else MIDDLE_SEQUENCE
            self.write(chunk_key_of(head_key, first), row)
        self._overlay.put_head(head_key, None)

    def shelve(self, state_key: bytes, invocation: bytes) -> None:
        """Keep an invocation for an address that nobody can work on as its last chunk."""
        sequences = self._chunk_sequences(state_key)
        last = sequences[-1] + 1 if sequences else MIDDLE_SEQUENCE
        self.write(chunk_key_of(state_key, last), invocation)

    def _chunk_sequences(self, state_key: bytes) -> list[int]:
        """Return the numbers of an address's chunks; an id that begins like another's is told apart."""
        prefix = chunk_prefix(state_key)
        size = len(prefix) + 8
        return [int.from_bytes(key[-8:], "big") for key, _ in self.scan(prefix) if len(key) == size]

    def freeze(self, epoch: int) -> tuple[Layer, Heads]:
        """Take the cut: nothing that happens later changes what is returned."""
        heads: Heads = []
        for backlog in self._touched:
            backlog.is_touched = False
            if backlog.phase != IDLE:
                backlog.has_row = True
                heads.append((backlog, backlog.head()))
            elif backlog.has_row:
                backlog.has_row = False
                heads.append((backlog, None))
        self._touched = []
        return self._overlay.freeze(epoch), heads

    async def seal(self, layer: Layer, heads: Heads) -> None:
        """Turn the frozen heads of backlogs into rows of their layer, in slices; then it may be stored."""
        for index, (backlog, head) in enumerate(heads):
            layer.heads[backlog_key_of(backlog.key)] = head and b"".join(
                (*head[0], *islice(head[1], head[2]))
            )
            if index % self._slice_rows == self._slice_rows - 1:
                await asyncio.sleep(0)
        self._has_work.set()

    def saved(self, layers: list[Layer]) -> None:
        """A complete checkpoint holds these layers."""
        for layer in layers:
            layer.is_saved = True
        self._overlay.drop_done()

    def unsaved(self) -> list[Layer]:
        """Return the frozen layers that no complete checkpoint holds, oldest first."""
        return self._overlay.unsaved()

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield all rows under a prefix as of now, in order of their keys."""
        layered = self._overlay.scan(prefix)
        rows = {key: value for key, value in self._store.scan(prefix) if key not in layered}
        rows.update((key, value) for key, value in layered.items() if value is not None)
        yield from sorted(rows.items())

    async def run(self) -> None:
        """Carry frozen layers to the store until cancelled, a slice at a time."""
        while True:
            await self._has_work.wait()
            self._has_work.clear()
            while (layer := self._overlay.unstored()) is not None:
                try:
                    await self._carry(layer)
                except UnavailableError as error:
                    await self._replace_store(error)

    async def _carry(self, layer: Layer) -> None:
        for rows in layer.slices(self._slice_rows):
            self._store.write(rows)
            await asyncio.sleep(0)
        layer.is_stored = True
        self.stored_epoch = layer.epoch
        self._overlay.drop_done()
        await self._hooks.stored(layer.epoch)

    async def _replace_store(self, error: UnavailableError) -> None:
        """After a failed write a store refuses everything: it is made anew from the last complete checkpoint."""
        log.error(
            "the live state cannot be written (%s); it is rebuilt from the last checkpoint",
            error.message,
        )
        while True:
            await asyncio.sleep(1)
            try:
                self._store = self._hooks.rebuild()
                self._overlay.store_lost()
                return
            except (UnavailableError, OSError) as again:
                log.error("the live state cannot be rebuilt yet: %s", again)

    def save_stamps(self, functions: list[Function]) -> None:
        """Write the stamps of last invocations that only memory knows; for the last cut."""
        for function in functions:
            for backlog in function.backlogs.values():
                if backlog.has_unsaved_stamp:
                    self.save(backlog)
                    backlog.has_unsaved_stamp = False

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
            if backlog.phase == IDLE and not backlog.is_recent and not backlog.is_touched:
                dropped += 1
                del backlogs[function_id]
                if backlog.has_unsaved_stamp:
                    self.save(backlog)
            else:
                backlog.is_recent = False
                backlogs[function_id] = backlogs.pop(function_id)
        return dropped
