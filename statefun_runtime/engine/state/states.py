"""The values of addresses, between memory and the store.

Reads look in the overlay's layers, then in the store; writes go to the overlay. A cut freezes the active layer; a
background task carries frozen layers to the store in slices. The addresses in memory are a cache (cache.py).

    store well ──a write, or a read, fails──▶ another is opened from the last complete checkpoint ──▶ swapped

Until the swap the one that failed goes on being read: what it has is right, and what it lacks is in layers. Where it
cannot be read either, whoever needs a row that is not in memory waits, and is told after the swap.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Protocol

from statefun_runtime.core.checkpoints.overlay import Layer, Overlay, Row, merge_rows
from statefun_runtime.core.model.keys import backlog_key_of
from statefun_runtime.core.model.state import Values, encode_row
from statefun_runtime.core.partition.backlog import IDLE, Backlog, Function
from statefun_runtime.engine.state.cache import AddressCache
from statefun_runtime.engine.state.large_values import LARGE_BYTES
from statefun_runtime.errors import CorruptionError, UnavailableError
from statefun_runtime.ports.state_store import StateStore

log = logging.getLogger("statefun.state")

_REOPEN_PAUSE_S = 1.0
_SAY_AGAIN_S = 60.0

Swap = Callable[[StateStore, int], StateStore]
# By the key of the address's values: the row as it is, or what it is to be joined of.
Heads = list[tuple[bytes, bytes | tuple[list[bytes], list[bytes], int] | None]]


class StatesHooks(Protocol):
    """Who is told what becomes of rows: of those who are built after the states, and use them."""

    def cutting(self, epoch: int) -> Iterable[Row]:
        """The active layer is about to be frozen: return what it has to hold besides."""
        ...

    def stored(self, epoch: int) -> None:
        """A layer is wholly in the store."""
        ...

    def full(self) -> None:
        """The active layer is full: the epoch is to end early."""
        ...

    async def rebuild(self, swap: Swap) -> None:
        """Make another store from the last complete checkpoint, have it swapped in, and discard the one before.

        Raise UnavailableError or OSError if that cannot be done now; then nothing has changed.
        """
        ...

    def replaced(self) -> None:
        """Another store is in use: it has what its checkpoint had, and layers have the rest."""
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
        self.cache = AddressCache(self.save, cache_max)
        self._touched: list[Backlog] = []
        self._has_work = asyncio.Event()
        self._slice_rows = slice_rows
        self._hooks = hooks
        self.stored_epoch = 0
        self._failure: UnavailableError | None = None
        self._waiting: dict[Callable[[], None], None] = {}

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
        """Return a row's value as of now; raise UnavailableError if the store cannot be read."""
        is_known, value = self._overlay.find(key)
        if is_known:
            return value
        try:
            return self._store.get(key)
        except UnavailableError as error:
            self._failed(error)
            raise

    def when_readable(self, wake: Callable[[], None]) -> None:
        """Have `wake` called once when rows can be read again; a read failed before."""
        self._waiting[wake] = None

    def write(self, key: bytes, value: bytes | None) -> None:
        """Write a row, or delete it; in memory only."""
        self._overlay.put(key, value)
        if self._overlay.is_full:
            self._hooks.full()

    def load(self, backlog: Backlog) -> Values:
        """Read the values of an address that was not read yet; raise UnavailableError if the store cannot be read."""
        row = self.read(backlog.key)
        try:
            values = Values({}) if row is None else backlog.function.schema.read(row)
        except ValueError as error:
            raise CorruptionError(
                f"the stored state of {backlog.address} cannot be read: {error}", code="SF5001"
            ) from error
        backlog.values = values
        if row is not None and len(row) > LARGE_BYTES:
            self.cache.large.used(backlog, len(row))
        return values

    def save(self, backlog: Backlog) -> None:
        """Write the values of an address as they are now."""
        values = backlog.values
        assert values is not None
        row = encode_row(values) if values.fields else None
        if row is not None and len(row) > LARGE_BYTES:
            self.cache.large.used(backlog, len(row))
        self.write(backlog.key, row)

    def touch(self, backlog: Backlog) -> None:
        """The backlog of an address changed: the next cut looks at it."""
        if not backlog.is_touched:
            backlog.is_touched = True
            self._touched.append(backlog)

    def delete_head(self, key: bytes) -> None:
        """Forget the head of a backlog that an earlier life left."""
        self._overlay.put_head(key, None)

    def freeze(self, epoch: int) -> tuple[Layer, Heads]:
        """Take the cut: nothing that happens later changes what is returned."""
        heads: Heads = []
        for backlog in self._touched:
            backlog.is_touched = False
            if backlog.phase != IDLE:
                backlog.has_row = True
                waiting = backlog.waiting
                is_one = len(waiting) == 1 and not backlog.in_flight
                heads.append((backlog.key, waiting[0] if is_one else backlog.head()))
            elif backlog.has_row:
                backlog.has_row = False
                heads.append((backlog.key, None))
        self._touched = []
        for key, row in self._hooks.cutting(epoch):
            self._overlay.put(key, row)
        return self._overlay.freeze(epoch), heads

    async def seal(self, layer: Layer, heads: Heads) -> None:
        """Turn the frozen heads of backlogs into rows of their layer, in slices; then it may be stored."""
        for begin in range(0, len(heads), self._slice_rows):
            some = heads[begin : begin + self._slice_rows]
            layer.heads += [(backlog_key_of(key), _row_of(head)) for key, head in some]
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
        """Yield all rows under a prefix as of now, in order of their keys; of the stored one at a time is in memory."""
        return merge_rows(self._overlay.scan(prefix), self._store.scan(prefix))

    def scan_sizes(self, prefix: bytes) -> Iterator[tuple[bytes, int]]:
        """Yield keys as `scan` does, with the sizes of the values."""
        layered = self._overlay.scan(prefix)
        sizes = {key: None if value is None else len(value) for key, value in layered.items()}
        return merge_rows(sizes, self._store.scan_sizes(prefix))

    def stored_keys(self, prefix: bytes, start: bytes = b"") -> Iterator[bytes]:
        """Yield the keys of rows of past cuts, from `start` on; raise UnavailableError if the store cannot be read."""
        try:
            yield from self._store.scan_keys(prefix, start)
        except UnavailableError as error:
            self._failed(error)
            raise

    def is_deleted(self, key: bytes) -> bool:
        """Return whether a row of a past cut is known in memory to be there no more."""
        return self._overlay.find(key) == (True, None)

    def unstored_rows(self) -> Iterator[tuple[int, Mapping[bytes, bytes | None]]]:
        """Yield the rows of each layer that the store lacks, with its epoch, oldest first; 0 is the active one's."""
        return self._overlay.unstored_rows()

    def _failed(self, error: UnavailableError) -> None:
        self._failure = self._failure or error
        self._has_work.set()

    async def run(self) -> None:
        """Carry frozen layers to the store until cancelled, a slice at a time; replace a store that fails."""
        while True:
            await self._has_work.wait()
            self._has_work.clear()
            while self._failure is not None or self._overlay.unstored() is not None:
                if self._failure is not None:
                    await self._replace_store(self._failure)
                else:
                    # What waits for work here holds no layer: it would keep the last one in memory.
                    await self._carry_oldest()

    async def _carry_oldest(self) -> None:
        layer = self._overlay.unstored()
        assert layer is not None
        try:
            await self._carry(layer)
        except UnavailableError as error:
            self._failed(error)

    async def _carry(self, layer: Layer) -> None:
        for rows in layer.slices(self._slice_rows):
            self._store.write(rows)
            await asyncio.sleep(0)
        layer.is_stored = True
        self.stored_epoch = layer.epoch
        self._overlay.drop_done()
        self._hooks.stored(layer.epoch)

    async def _replace_store(self, error: UnavailableError) -> None:
        """After a failed write a store takes nothing any more: it is made anew from the last complete checkpoint."""
        log.error("%s; the live state is rebuilt from the last checkpoint", error.line)
        loop = asyncio.get_running_loop()
        began_s, said_s = loop.time(), -_SAY_AGAIN_S
        while self._failure is not None:
            await asyncio.sleep(_REOPEN_PAUSE_S)
            try:
                await self._hooks.rebuild(self._swap)
            except (UnavailableError, OSError) as again:
                if loop.time() - said_s >= _SAY_AGAIN_S:
                    said_s = loop.time()
                    log.error("the live state cannot be rebuilt yet: %s", again)
        log.info("the live state is whole again after %.1f s", loop.time() - began_s)

    def store_lost(self, epoch: int) -> None:
        """Another store is about to be made from the checkpoint of an epoch: what came after it will be carried anew."""
        self._overlay.store_lost(epoch)

    def _swap(self, store: StateStore, epoch: int) -> StateStore:
        """Take a store of an epoch's checkpoint instead of the one that failed, which is returned; wake who waits."""
        before, self._store = self._store, store
        self.stored_epoch = epoch
        self._overlay.store_replaced(epoch)
        self._hooks.replaced()
        self._failure = None
        waiting, self._waiting = self._waiting, {}
        for wake in waiting:
            wake()
        return before

    def save_stamps(self, functions: list[Function]) -> None:
        """Write the stamps of last invocations that only memory knows; for the last cut."""
        for function in functions:
            for backlog in function.backlogs.values():
                if backlog.has_unsaved_stamp:
                    self.save(backlog)
                    backlog.has_unsaved_stamp = False


def _row_of(head: bytes | tuple[list[bytes], list[bytes], int] | None) -> bytes | None:
    if head is None or isinstance(head, bytes):
        return head
    in_flight, waiting, count = head
    return b"".join((*in_flight, *islice(waiting, count)))
