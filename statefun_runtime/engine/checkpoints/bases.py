"""The live store and the checkpoint store: bases are taken from the one, and the one is made anew from the other.

    deltas have grown, and a layer is wholly stored ─▶ flush ─▶ snapshot ─▶ its files taken in ─▶ next cut adopts it
    the live store fails ─▶ another opened from the last complete checkpoint ─▶ swapped in

Both need objects that no manifest names, or no one that is kept will for long: nothing is collected meanwhile. Layers go
on being stored while a base is taken: it may hold some rows of later epochs, all of whose deltas are applied above it.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Protocol

from statefun_runtime.core.checkpoints.manifest import (
    Base,
    BaseFile,
    Delta,
    KeyGroups,
    Manifest,
    Part,
    StoredObject,
    wants_base,
)
from statefun_runtime.engine.settings import Pace
from statefun_runtime.engine.state.states import States, Swap
from statefun_runtime.errors import UnavailableError
from statefun_runtime.ports.checkpoint_store import CheckpointStore
from statefun_runtime.ports.off_loop import OffLoop
from statefun_runtime.ports.state_store import StateStore

log = logging.getLogger("statefun.checkpoints")


class Use(Protocol):
    """Held by one at a time: who needs objects that no kept manifest names, or who deletes what nobody needs."""

    def locked(self) -> bool:
        """Return whether somebody holds it."""
        ...

    async def __aenter__(self) -> None: ...

    async def __aexit__(self, *_: Any) -> None: ...


OpenStore = Callable[[Part | None], Awaitable[StateStore]]


class Bases:
    """The bases and the deltas that the next snapshot of `owner` goes on from; a base that is taken holds all of them.

    `scratch` names folders that are not there yet, `discard` deletes one with all that is in it.

    `in_use` is held while objects are taken in or needed that no manifest names, and while unneeded ones are deleted.
    """

    def __init__(
        self,
        owner: str,
        key_groups: KeyGroups,
        states: States,
        store: CheckpointStore,
        off_loop: OffLoop,
        *,
        last: Manifest | None,
        scratch: Callable[[], Path],
        discard: Callable[[Path], None],
        pace: Pace,
        in_use: Use | None = None,
    ) -> None:
        self._states = states
        self._store = store
        self._off_loop = off_loop
        self._scratch = scratch
        self._discard = discard
        self._pace = pace
        self._owner = owner
        self._key_groups = key_groups
        # Whoever wrote them: all of it is this owner's now.
        part = last.part_for(owner, key_groups) if last else None
        self._current = part.bases if part else ()
        self._deltas = part.deltas if part else ()
        # What is named by the last manifest is needed: of several parts one may have a base, and another none.
        self._whole_until = 0
        self._next: Base | None = None
        self._sst: dict[str, StoredObject] = {}
        self.in_use: Use = in_use or asyncio.Lock()
        self._has_more = asyncio.Event()

    def adopt(self) -> bool:
        """Take over a base that was made meanwhile; the cut that follows has to hold every backlog's head.

        A base has no heads, and the deltas before it are named no more.
        """
        if self._next is None:
            return False
        self._current, self._whole_until, self._next = (self._next,), self._next.epoch, None
        return True

    def part(self, *more: Delta) -> Part:
        """Return what a snapshot names: the bases, the deltas behind them, and what has come since."""
        deltas = (*self._deltas, *more)
        kept = tuple(delta for delta in deltas if delta.epoch > self._whole_until)
        return Part(self._owner, self._key_groups, self._current, kept)

    def completed(self, part: Part) -> None:
        """The next snapshot goes on from this one."""
        self._deltas = part.deltas

    @property
    def named(self) -> list[Base]:
        """The bases that are named by the next manifest, or may be soon."""
        return [*self._current, *((self._next,) if self._next is not None else ())]

    def stored(self) -> None:
        """The store holds the rows of one more epoch: a base may be wanted."""
        self._has_more.set()

    async def run(self) -> None:
        """Take bases when they are wanted, until cancelled."""
        while True:
            await self._has_more.wait()
            self._has_more.clear()
            await self.take()

    async def take(self) -> None:
        """Take a base, if one is wanted."""
        if self._next is not None or not wants_base(
            self._deltas,
            self._current,
            deltas_max=self._pace.deltas_max,
            bytes_min=self._pace.delta_bytes_min,
        ):
            return
        async with self.in_use:
            await self._take()

    async def _take(self) -> None:
        """Take a base of the last epoch that is wholly stored now; later ones may be on their way."""
        store, epoch, folder = self._states.store, self._states.stored_epoch, self._scratch()
        try:
            await self._off_loop(store.flush)
            await self._off_loop(lambda: store.snapshot(folder))
            files = await self._take_in(folder)
        except UnavailableError as error:
            log.error("no new base could be taken: %s", error.line)
        else:
            self._next = Base(epoch, self._key_groups, files)
        # The table files in it would keep the space of those that the live store has no more.
        await self._off_loop(lambda: self._discard(folder))

    async def _take_in(self, folder: Path) -> tuple[BaseFile, ...]:
        """Make the files of a snapshot objects; table files of the live store never change their content."""
        files, known = [], {}
        for path in await self._off_loop(lambda: sorted(folder.iterdir())):
            stored = self._sst.get(path.name) or await self._store.put_file(path)
            if path.suffix == ".sst":
                known[path.name] = stored
            files.append(BaseFile(path.name, stored))
        self._sst = known
        return tuple(files)

    async def rebuild_store(
        self, last_complete: Callable[[], Manifest | None], open_store: OpenStore, swap: Swap
    ) -> None:
        """Open another live store from the last complete checkpoint, whose objects stay meanwhile; swap it in.

        It is opened before the one that fails is let go of. Raise UnavailableError if that cannot be done now.
        """
        async with self.in_use:
            last = last_complete()
            epoch = last.epoch if last else 0
            self._states.store_lost(epoch)
            part = last.part_for(self._owner, self._key_groups) if last else None
            store = await open_store(part)
            # Its file names mean other files, also to a base that is taken from now on.
            self._sst.clear()
            before = swap(store, epoch)
        await self._off_loop(before.discard)
