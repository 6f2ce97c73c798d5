"""Takes checkpoints while everything runs.

    trigger ─▶ cut (one step of the loop) ─▶ snapshot written in the background ─▶ commit log ─▶ complete
                                                        └─ failed: aborted, merged under the next

One checkpoint is in progress at a time. Nothing of an epoch is published before its checkpoint is complete. What was
cut and is in no complete checkpoint stays in memory, and goes into the next delta.
"""

import asyncio
import logging
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from statefun_runtime.core.checkpoints.commits import Completed
from statefun_runtime.core.checkpoints.manifest import Manifest, ObjectId, Progress
from statefun_runtime.core.checkpoints.overlay import Layer
from statefun_runtime.core.checkpoints.retention import Kept, Retention
from statefun_runtime.core.model.metrics import Histogram
from statefun_runtime.core.partition.backpressure import Load
from statefun_runtime.engine.checkpoints.snapshots import (
    Cut,
    Identity,
    Positions,
    Snapshots,
)
from statefun_runtime.engine.egress import Egress
from statefun_runtime.engine.settings import Pace
from statefun_runtime.engine.state.spills import Spills
from statefun_runtime.engine.state.states import States, Swap
from statefun_runtime.errors import UnavailableError
from statefun_runtime.ports.checkpoint_store import CheckpointStore
from statefun_runtime.ports.clock import Clock
from statefun_runtime.ports.commit_log import CommitLog
from statefun_runtime.ports.contexts import OffLoop
from statefun_runtime.ports.ingress import IngressSource
from statefun_runtime.ports.state_store import StateStore

log = logging.getLogger("statefun.checkpoints")

_RETRY_S = 0.5

OpenStore = Callable[[Manifest | None], StateStore]


class Checkpointer:
    """Cuts, writes and commits.

    `relieved` is called when changes may be made again after too many were in no checkpoint, `touch_busy` has the
    next cut look at every address that has something to do, `scratch` names folders that are not there yet.
    """

    def __init__(
        self,
        identity: Identity,
        states: States,
        spills: Spills,
        load: Load,
        clock: Clock,
        ingresses: dict[str, IngressSource],
        egresses: dict[str, Egress[Any]],
        store: CheckpointStore,
        commit_log: CommitLog,
        off_loop: OffLoop,
        *,
        interval_s: float,
        retention: Retention,
        last: Manifest | None,
        first_epoch: int,
        scratch: Callable[[], Path],
        relieved: Callable[[], None],
        touch_busy: Callable[[], None],
        pace: Pace,
        abandoned: Collection[str] = (),
    ) -> None:
        self._identity = identity
        self._states = states
        self._spills = spills
        self._load = load
        self._relieved = relieved
        self._touch_busy = touch_busy
        self._clock = clock
        self._ingresses = ingresses
        self._egresses = egresses
        self._store = store
        self._commit_log = commit_log
        self._off_loop = off_loop
        self._interval_s = interval_s
        self._retention = retention
        self._collect_every = pace.collect_every
        self._loop = asyncio.get_running_loop()
        self._snapshots = Snapshots(
            identity, states, egresses, store, off_loop, last=last, scratch=scratch, pace=pace
        )
        self._positions: Positions = dict(last.positions) if last else {}
        is_ours = last is not None and last.application == identity.started.application
        self._progress = dict(last.progress) if last and is_ours else {}
        self._last_epoch = first_epoch - 1
        # Nothing is left to be published of what an operator gave up.
        self._abandoned = dict.fromkeys(abandoned, first_epoch - 1)
        self._wants_early = asyncio.Event()
        self._finished: asyncio.Future[bool] = self._loop.create_future()
        self._is_taking = False
        self._all_saved_s = self._loop.time()
        self.last_complete = last
        # Why the last one failed, until one is complete.
        self.trouble = ""
        self.completed_count = 0
        self.aborted_count = 0
        self.pause_ms = Histogram()
        self.duration_ms = Histogram()

    async def run(self) -> None:
        """Take a checkpoint per interval, when anything changed, until cancelled."""
        next_s = self._loop.time() + self._interval_s
        while True:
            try:
                async with asyncio.timeout(max(0.0, next_s - self._loop.time())):
                    await self._wants_early.wait()
            except TimeoutError:
                pass
            next_s = self._loop.time() + self._interval_s
            self._wants_early.clear()
            if not self.is_changed():
                self._all_saved_s = self._loop.time()
            elif not await self.take():
                # Whoever wants one early would have it tried again at once, and for ever.
                await asyncio.sleep(_RETRY_S)

    def end_early(self) -> None:
        """The epoch has grown enough; too much in no checkpoint stops what makes more."""
        self._wants_early.set()
        self._load.unsaved(self._states.unsaved_bytes)

    def is_changed(self) -> bool:
        """Return whether a checkpoint now would hold anything new."""
        return (
            self._states.is_changed
            or bool(self._states.unsaved())
            or self._current_positions() != self._positions
            or any(egress.is_changed for egress in self._egresses.values())
        )

    def age_s(self) -> float:
        """Return for how long something has been in no complete checkpoint, at most; as of the last look."""
        return self._loop.time() - self._all_saved_s

    def has_published(self) -> bool:
        """Return whether more has been published than the last checkpoint knows."""
        return self._current_progress() != self._progress

    async def settled(self) -> None:
        """Return when all that is so now is in a complete checkpoint."""
        wanted = self._last_epoch + 1
        while self._is_taking or self.is_changed():
            last = self.last_complete
            if last is not None and last.epoch >= wanted:
                return
            self._wants_early.set()
            await asyncio.shield(self._finished)

    async def idle(self) -> None:
        """Return when no checkpoint is in progress: one that was cut must be complete or aborted before the next."""
        while self._is_taking:
            await asyncio.shield(self._finished)

    async def savepoint(self, write: Callable[[list[Kept]], object]) -> Kept:
        """Have a complete checkpoint of what is so now written, as the last of the manifests it looks back to.

        Nothing is collected meanwhile. Raise UnavailableError if it cannot be written.
        """
        await self.settled()
        assert self.last_complete is not None
        async with self._snapshots.collecting:
            chain = self._retention.chain()
            await self._off_loop(lambda: write(chain))
        return chain[-1]

    async def take(self) -> bool:
        """Take one checkpoint; return whether it is complete."""
        assert not self._is_taking
        self._is_taking = True
        started_s = self._loop.time()
        cut = self._cut()
        self.pause_ms.add((self._clock.now_s() - self._cut_began_s) * 1000)
        try:
            manifest, object_id, layers = await self._snapshots.write(
                cut, self._retention.newest_pending(self._confirmed())
            )
            await self._commit(manifest, object_id)
        except UnavailableError as error:
            self._aborted(cut, error)
            return False
        else:
            self._completed(cut, manifest, object_id, layers)
            self._all_saved_s = started_s
            await self._collect()
            self.duration_ms.add((self._loop.time() - started_s) * 1000)
            return True
        finally:
            self._is_taking = False
            finished, self._finished = self._finished, self._loop.create_future()
            finished.set_result(True)

    # ── the cut: one step of the loop ──

    def _cut(self) -> Cut:
        self._cut_began_s = self._clock.now_s()
        self._last_epoch += 1
        epoch = self._last_epoch
        if self._snapshots.adopt_base():
            self._touch_busy()
        self._spills.cut_tails()
        layer, heads = self._states.freeze(epoch)
        return Cut(
            epoch,
            self._clock.now_ms(),
            layer,
            heads,
            self._current_positions(),
            {egress_id: egress.cut(epoch) for egress_id, egress in self._egresses.items()},
            {
                egress_id: places
                for egress_id, egress in self._egresses.items()
                if (places := list(egress.refused()))
            },
            self._current_progress(),
        )

    def _current_progress(self) -> dict[str, Progress]:
        """An egress that has gone, or was never reached, keeps what was known of it."""
        progress = dict(self._progress)
        for egress_id, egress in self._egresses.items():
            known = egress.progress()
            if known is not None:
                progress[egress_id] = known
        return progress

    def _current_positions(self) -> Positions:
        """An ingress that has gone, or was never reached, keeps the positions it had."""
        positions = dict(self._positions)
        for ingress_id, ingress in self._ingresses.items():
            known = ingress.positions()
            if known:
                positions[ingress_id] = {**positions.get(ingress_id, {}), **known}
        return positions

    # ── the commit, and what follows ──

    async def _commit(self, manifest: Manifest, object_id: ObjectId) -> None:
        entry = Completed(manifest.epoch, manifest.incarnation, manifest.lineage, object_id)
        try:
            await self._off_loop(lambda: self._commit_log.append(entry))
            return
        except UnavailableError as error:
            unclear = error
        while True:
            try:
                entries = await self._off_loop(self._commit_log.read)
            except UnavailableError:
                await asyncio.sleep(_RETRY_S)
                continue
            if entry in entries:
                return
            raise unclear

    def _completed(
        self, cut: Cut, manifest: Manifest, object_id: ObjectId, layers: list[Layer]
    ) -> None:
        self._snapshots.completed(manifest)
        self._positions = cut.positions
        self._progress = cut.progress
        self._states.saved(layers)
        self._retention.added(Kept(object_id, manifest))
        self.last_complete = manifest
        self.trouble = ""
        was_stuck = self._load.is_stuck
        self._load.unsaved(self._states.unsaved_bytes)
        if was_stuck and not self._load.is_stuck:
            self._relieved()
        self.completed_count += 1
        outboxes = {outbox.egress: outbox for outbox in manifest.outboxes}
        for egress_id, egress in self._egresses.items():
            egress.completed(cut.epoch, outboxes.get(egress_id))
        for ingress_id, ingress in self._ingresses.items():
            ingress.completed(cut.positions.get(ingress_id, {}))

    def _aborted(self, cut: Cut, error: UnavailableError) -> None:
        self.aborted_count += 1
        self.trouble = error.message
        log.error(
            "checkpoint %d failed, the next one holds what it would have held: %s",
            cut.epoch,
            error.line,
        )
        for egress in self._egresses.values():
            egress.failed(cut.epoch)

    def _confirmed(self) -> dict[str, int]:
        return self._abandoned | {
            egress_id: egress.confirmed_epoch()
            for egress_id, egress in self._egresses.items()
            if egress.waits_for_epoch
        }

    async def _collect(self) -> None:
        """Delete what no kept checkpoint needs; between checkpoints only, and never beside a base in the making.

        Such a base may hold an object of the same content as one that is unneeded, and then has it no more.
        """
        collecting = self._snapshots.collecting
        if self.completed_count % self._collect_every or collecting.locked():
            return
        async with collecting:
            unneeded = self._retention.collect(self._confirmed(), self._snapshots.bases)
            oldest = self._retention.oldest_epoch
            await self._off_loop(lambda: self._store.delete(unneeded))
            await self._off_loop(lambda: self._commit_log.prune(oldest))

    async def stored(self, epoch: int) -> None:
        """The store holds exactly the rows up to an epoch."""
        await self._snapshots.stored(epoch)

    async def rebuild_store(self, open_store: OpenStore, swap: Swap) -> None:
        """Open another live store from the last complete checkpoint, whose objects stay meanwhile; swap it in.

        It is opened before the one that fails is let go of. Raise UnavailableError if that cannot be done now.
        """
        async with self._snapshots.collecting:
            last = self.last_complete
            epoch = last.epoch if last else 0
            self._states.store_lost(epoch)
            store = await self._off_loop(lambda: open_store(last))
        self._snapshots.store_replaced()
        await self._off_loop(swap(store, epoch).discard)
