"""Takes checkpoints while everything runs.

    trigger ─▶ cut (one step of the loop) ─▶ snapshot written in the background ─▶ commit log ─▶ complete
                                                        └─ failed: aborted, merged under the next

One checkpoint is in progress at a time. Nothing of an epoch is published before its checkpoint is complete. What was
cut and is in no complete checkpoint stays in memory, and goes into the next delta.
"""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from statefun_runtime.core.checkpoint import (
    Base,
    BaseFile,
    Delta,
    Manifest,
    ObjectId,
    Outbox,
    StoredObject,
    wants_base,
)
from statefun_runtime.core.commits import Completed, Started
from statefun_runtime.core.delta import MAGIC, encode_rows
from statefun_runtime.core.messages import field
from statefun_runtime.core.overlay import Layer
from statefun_runtime.core.retention import Kept, Retention
from statefun_runtime.core.samples import Histogram
from statefun_runtime.engine.spills import Spills
from statefun_runtime.engine.states import Heads, States
from statefun_runtime.errors import UnavailableError
from statefun_runtime.ports.checkpoint_store import CheckpointStore
from statefun_runtime.ports.clock import Clock
from statefun_runtime.ports.commit_log import CommitLog
from statefun_runtime.ports.egress import EgressSink
from statefun_runtime.ports.ingress import IngressSource

log = logging.getLogger("statefun.checkpoints")

_SLICE_ROWS = 500
_RETRY_S = 0.5
_DELTAS_MAX = 256
_DELTA_BYTES_MIN = 64 * 1024 * 1024
_COLLECT_EVERY = 20

Positions = dict[str, dict[str, int]]


class OffLoop(Protocol):
    """Runs what blocks somewhere else than on the loop."""

    def __call__(self, work: Callable[[], Any], /) -> Awaitable[Any]:
        """Return what `work` returns."""
        ...


@dataclass(frozen=True, slots=True)
class Identity:
    """Which application, and which life of it, takes the checkpoints."""

    started: Started
    key_group_count: int
    partition_count: int


@dataclass(frozen=True, slots=True)
class _Cut:
    epoch: int
    created_ms: int
    layer: Layer
    heads: Heads
    positions: Positions
    records: dict[str, Sequence[Any] | None]


class Checkpointer:
    """Cuts, writes and commits; `parts` are what a cut consists of."""

    def __init__(
        self,
        identity: Identity,
        states: States,
        spills: Spills,
        clock: Clock,
        ingresses: dict[str, IngressSource],
        egresses: dict[str, EgressSink],
        store: CheckpointStore,
        commit_log: CommitLog,
        off_loop: OffLoop,
        *,
        interval_s: float,
        retention: Retention,
        last: Manifest | None,
        first_epoch: int,
        scratch: Callable[[], Path],
    ) -> None:
        self._identity = identity
        self._states = states
        self._spills = spills
        self._clock = clock
        self._ingresses = ingresses
        self._egresses = egresses
        self._store = store
        self._commit_log = commit_log
        self._off_loop = off_loop
        self._interval_s = interval_s
        self._retention = retention
        self._scratch = scratch
        self._loop = asyncio.get_running_loop()
        self._base = last.base if last else None
        self._deltas: tuple[Delta, ...] = last.deltas if last else ()
        self._outboxes: dict[str, Outbox] = {
            outbox.egress: outbox
            for outbox in (last.outboxes if last else ())
            if not outbox.is_transactional
        }
        self._positions: Positions = dict(last.positions) if last else {}
        self._last_epoch = first_epoch - 1
        self._wants_early = asyncio.Event()
        self._finished: asyncio.Future[bool] = self._loop.create_future()
        self._sst: dict[str, StoredObject] = {}
        self._is_taking = False
        self.last_complete = last
        self.completed_count = 0
        self.aborted_count = 0
        self.pause_ms = Histogram()
        self.duration_ms = Histogram()
        states.on_full = self._wants_early.set
        states.on_stored = self._stored

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
            if self.is_changed():
                await self.take()

    def is_changed(self) -> bool:
        """Return whether a checkpoint now would hold anything new."""
        return (
            self._states.is_changed
            or bool(self._states.unsaved())
            or self._current_positions() != self._positions
            or any(sink.is_changed for sink in self._egresses.values())
        )

    async def settled(self) -> None:
        """Return when all that is so now is in a complete checkpoint."""
        wanted = self._last_epoch + 1
        while self._is_taking or self.is_changed():
            last = self.last_complete
            if last is not None and last.epoch >= wanted:
                return
            self._wants_early.set()
            await asyncio.shield(self._finished)

    async def savepoint(self) -> list[Kept]:
        """Return a complete checkpoint of what is so now, as the last of the manifests it looks back to."""
        await self.settled()
        assert self.last_complete is not None
        return self._retention.chain()

    async def take(self) -> bool:
        """Take one checkpoint; return whether it is complete."""
        assert not self._is_taking
        self._is_taking = True
        started_s = self._loop.time()
        cut = self._cut()
        self.pause_ms.add((self._clock.now_s() - self._cut_began_s) * 1000)
        try:
            manifest, object_id, layers = await self._write(cut)
            await self._commit(manifest, object_id)
        except UnavailableError as error:
            self._aborted(cut, error)
            return False
        else:
            self._completed(cut, manifest, object_id, layers)
            await self._collect()
            self.duration_ms.add((self._loop.time() - started_s) * 1000)
            return True
        finally:
            self._is_taking = False
            finished, self._finished = self._finished, self._loop.create_future()
            finished.set_result(True)

    # ── the cut: one step of the loop ──

    def _cut(self) -> _Cut:
        self._cut_began_s = self._clock.now_s()
        self._last_epoch += 1
        epoch = self._last_epoch
        self._spills.cut_tails()
        layer, heads = self._states.freeze(epoch)
        return _Cut(
            epoch,
            self._clock.now_ms(),
            layer,
            heads,
            self._current_positions(),
            {egress_id: sink.cut(epoch) for egress_id, sink in self._egresses.items()},
        )

    def _current_positions(self) -> Positions:
        """An ingress that has gone, or was never reached, keeps the positions it had."""
        positions = dict(self._positions)
        for ingress_id, ingress in self._ingresses.items():
            known = ingress.positions()
            if known:
                positions[ingress_id] = {**positions.get(ingress_id, {}), **known}
        return positions

    # ── the snapshot: in the background ──

    async def _write(self, cut: _Cut) -> tuple[Manifest, ObjectId, list[Layer]]:
        await self._states.seal(cut.layer, cut.heads)
        layers = self._states.unsaved()
        deltas = self._deltas
        pieces = await self._encode(layers)
        if pieces:
            stored = await self._off_loop(lambda: self._store.put([MAGIC, *pieces]))
            deltas = (*deltas, Delta(cut.epoch, stored))
        outboxes = [
            outbox
            for egress_id, records in cut.records.items()
            if (outbox := await self._write_outbox(cut.epoch, egress_id, records)) is not None
        ]
        base = self._base
        started = self._identity.started
        manifest = Manifest(
            application=started.application,
            epoch=cut.epoch,
            incarnation=started.incarnation,
            lineage=started.lineage,
            created_ms=cut.created_ms,
            key_group_count=self._identity.key_group_count,
            partition_count=self._identity.partition_count,
            positions=cut.positions,
            base=base,
            deltas=tuple(delta for delta in deltas if base is None or delta.epoch > base.epoch),
            outboxes=tuple(outboxes),
            pending_parent=self._retention.newest_pending(self._confirmed()),
        )
        content = json.dumps(manifest.to_json(), separators=(",", ":")).encode()

        def put_manifest() -> StoredObject:
            stored = self._store.put([content])
            self._store.sync()
            return stored

        return manifest, (await self._off_loop(put_manifest)).id, layers

    async def _encode(self, layers: Iterable[Layer]) -> list[bytes]:
        pieces = []
        for layer in layers:
            for rows in layer.slices(_SLICE_ROWS):
                pieces.append(encode_rows(rows))
                await asyncio.sleep(0)
        return pieces

    async def _write_outbox(
        self, epoch: int, egress_id: str, records: Sequence[Any] | None
    ) -> Outbox | None:
        sink = self._egresses[egress_id]
        if records is None:
            return self._outboxes.get(egress_id)
        if not records:
            return None
        pieces = []
        for start in range(0, len(records), _SLICE_ROWS):
            some = sink.encode(records[start : start + _SLICE_ROWS])
            pieces.append(b"".join(field(b"", record) for record in some))
            await asyncio.sleep(0)
        stored = await self._off_loop(lambda: self._store.put(pieces))
        return Outbox(egress_id, epoch, len(records), stored, sink.is_transactional)

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
        self, cut: _Cut, manifest: Manifest, object_id: ObjectId, layers: list[Layer]
    ) -> None:
        self._deltas = manifest.deltas
        self._positions = cut.positions
        self._outboxes = {o.egress: o for o in manifest.outboxes if not o.is_transactional}
        self._states.saved(layers)
        self._retention.added(Kept(object_id, manifest))
        self.last_complete = manifest
        self.completed_count += 1
        for sink in self._egresses.values():
            sink.completed(cut.epoch)
        for ingress_id, ingress in self._ingresses.items():
            ingress.completed(cut.positions.get(ingress_id, {}))

    def _aborted(self, cut: _Cut, error: UnavailableError) -> None:
        self.aborted_count += 1
        log.error(
            "checkpoint %d failed, the next one holds what it would have held: %s",
            cut.epoch,
            error.message,
        )
        for sink in self._egresses.values():
            sink.failed(cut.epoch)

    def _confirmed(self) -> dict[str, int]:
        return {
            egress_id: sink.confirmed_epoch()
            for egress_id, sink in self._egresses.items()
            if sink.is_transactional
        }

    async def _collect(self) -> None:
        """Delete what no kept checkpoint needs; between checkpoints only."""
        if self.completed_count % _COLLECT_EVERY:
            return
        unneeded = self._retention.collect(self._confirmed(), self._base)
        oldest = self._retention.oldest_epoch
        await self._off_loop(lambda: self._store.delete(unneeded))
        await self._off_loop(lambda: self._commit_log.prune(oldest))

    # ── bases ──

    async def _stored(self, epoch: int) -> None:
        """The store holds exactly the rows up to an epoch: the moment to take a base, if one is wanted."""
        if not wants_base(
            self._deltas, self._base, deltas_max=_DELTAS_MAX, bytes_min=_DELTA_BYTES_MIN
        ):
            return
        store, folder = self._states.store, self._scratch()
        try:
            await self._off_loop(store.flush)
            await self._off_loop(lambda: store.snapshot(folder))
            files = await self._off_loop(lambda: self._take_in(folder))
        except UnavailableError as error:
            log.error("no new base could be taken: %s", error.message)
            return
        self._base = Base(epoch, files)

    def _take_in(self, folder: Path) -> tuple[BaseFile, ...]:
        """Make the files of a snapshot objects; table files of the live store never change their content."""
        files, known = [], {}
        for path in sorted(folder.iterdir()):
            stored = self._sst.get(path.name) or self._store.put_file(path)
            if path.suffix == ".sst":
                known[path.name] = stored
            files.append(BaseFile(path.name, stored))
            path.unlink()
        folder.rmdir()
        self._sst = known
        return tuple(files)

    def store_replaced(self) -> None:
        """The live store is another one: its file names mean other files."""
        self._sst.clear()
