"""Writes snapshots: deltas, outboxes and manifests in the background, and now and then a new base.

What was cut and is in no complete checkpoint goes into the next delta, so one that failed is merged under the next.
"""

import asyncio
import json
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from statefun_runtime.core.checkpoints.commits import Started
from statefun_runtime.core.checkpoints.delta import MAGIC, encode_rows
from statefun_runtime.core.checkpoints.manifest import (
    Base,
    BaseFile,
    Delta,
    Manifest,
    ObjectId,
    Outbox,
    Progress,
    StoredObject,
    wants_base,
)
from statefun_runtime.core.checkpoints.overlay import Layer
from statefun_runtime.core.model.messages import varint
from statefun_runtime.engine.egress import Egress
from statefun_runtime.engine.settings import Pace
from statefun_runtime.engine.state.states import Heads, States
from statefun_runtime.errors import UnavailableError
from statefun_runtime.ports.checkpoint_store import CheckpointStore
from statefun_runtime.ports.contexts import OffLoop

log = logging.getLogger("statefun.checkpoints")

Positions = dict[str, dict[str, int]]


@dataclass(frozen=True, slots=True)
class Identity:
    """Which application, and which life of it, takes the checkpoints."""

    started: Started
    key_group_count: int
    partition_count: int


@dataclass(frozen=True, slots=True)
class Cut:
    """What one step of the loop froze; nothing that happens later changes it."""

    epoch: int
    created_ms: int
    layer: Layer
    heads: Heads
    positions: Positions
    records: dict[str, Sequence[Any] | None]
    refused: dict[str, list[tuple[int, int]]]
    progress: dict[str, Progress]


class Snapshots:
    """Writes what a cut holds to the store; remembers the base and deltas that the next manifest goes on from."""

    def __init__(
        self,
        identity: Identity,
        states: States,
        egresses: Mapping[str, Egress[Any]],
        store: CheckpointStore,
        off_loop: OffLoop,
        *,
        last: Manifest | None,
        scratch: Callable[[], Path],
        pace: Pace,
    ) -> None:
        self._identity = identity
        self._states = states
        self._egresses = egresses
        self._store = store
        self._off_loop = off_loop
        self._scratch = scratch
        self._pace = pace
        self.base = last.base if last else None
        self._deltas: tuple[Delta, ...] = last.deltas if last else ()
        self._outboxes = _unacknowledged(last)
        self._new_base: Base | None = None
        self._sst: dict[str, StoredObject] = {}
        # Held while objects are taken in that no manifest names yet, and while unneeded ones are deleted.
        self.collecting = asyncio.Lock()

    def adopt_base(self) -> bool:
        """Take over a base that was made meanwhile; the cut that follows has to hold every backlog's head.

        A base has no heads, and the deltas before it are named no more.
        """
        if self._new_base is None:
            return False
        self.base, self._new_base = self._new_base, None
        return True

    @property
    def bases(self) -> list[Base]:
        """The bases that are named by the next manifest, or may be soon."""
        return [base for base in (self.base, self._new_base) if base is not None]

    def completed(self, manifest: Manifest) -> None:
        """The next snapshot goes on from this one."""
        self._deltas = manifest.deltas
        self._outboxes = _unacknowledged(manifest)

    async def write(
        self, cut: Cut, pending_parent: ObjectId | None
    ) -> tuple[Manifest, ObjectId, list[Layer]]:
        """Write a cut durably; return its manifest, and the layers it holds."""
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
        base = self.base
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
            pending_parent=pending_parent,
            refused=cut.refused,
            progress=cut.progress,
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
            for rows in layer.delta_slices(self._pace.delta_rows):
                pieces.append(encode_rows(rows))
                await asyncio.sleep(0)
        return pieces

    async def _write_outbox(
        self, epoch: int, egress_id: str, records: Sequence[Any] | None
    ) -> Outbox | None:
        egress = self._egresses[egress_id]
        if records is None:
            return self._outboxes.get(egress_id)
        if not records:
            return None
        pieces = []
        for start in range(0, len(records), self._pace.delta_rows):
            some = egress.encode(records[start : start + self._pace.delta_rows])
            parts = [part for record in some for part in (varint(len(record)), record)]
            pieces.append(b"".join(parts))
            await asyncio.sleep(0)
        stored = await self._off_loop(lambda: self._store.put(pieces))
        return Outbox(egress_id, epoch, len(records), stored, egress.waits_for_epoch)

    async def stored(self, epoch: int) -> None:
        """The store holds exactly the rows up to an epoch: the moment to take a base, if one is wanted."""
        if self._new_base is not None or not wants_base(
            self._deltas,
            self.base,
            deltas_max=self._pace.deltas_max,
            bytes_min=self._pace.delta_bytes_min,
        ):
            return
        async with self.collecting:
            await self._take_base(epoch)

    async def _take_base(self, epoch: int) -> None:
        store, folder = self._states.store, self._scratch()
        try:
            await self._off_loop(store.flush)
            await self._off_loop(lambda: store.snapshot(folder))
            files = await self._off_loop(lambda: self._take_in(folder))
        except UnavailableError as error:
            log.error("no new base could be taken: %s", error.line)
            return
        self._new_base = Base(epoch, files)

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


def _unacknowledged(manifest: Manifest | None) -> dict[str, Outbox]:
    return {o.egress: o for o in (manifest.outboxes if manifest else ()) if not o.is_transactional}
