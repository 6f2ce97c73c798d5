"""Writes what one participant has cut: its delta and its outboxes, in the background.

What was cut and is in no complete checkpoint goes into the next delta, so one that failed is merged under the next.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from statefun_runtime.core.checkpoints.delta import MAGIC, encode_rows
from statefun_runtime.core.checkpoints.manifest import (
    Delta,
    Manifest,
    Outbox,
    Positions,
    Published,
    Refused,
    Snapshot,
)
from statefun_runtime.core.checkpoints.overlay import Layer
from statefun_runtime.core.model.messages import varint
from statefun_runtime.engine.checkpoints.bases import Bases
from statefun_runtime.engine.egress import Egress
from statefun_runtime.engine.settings import Pace
from statefun_runtime.engine.state.states import Heads, States
from statefun_runtime.ports.checkpoint_store import CheckpointStore


@dataclass(frozen=True, slots=True)
class Cut:
    """What one step of the loop froze; nothing that happens later changes it."""

    epoch: int
    created_ms: int
    layer: Layer
    heads: Heads
    positions: Positions
    records: dict[str, Sequence[Any] | None]
    refused: dict[str, Refused]
    progress: dict[str, Published]
    functions: tuple[str, ...]


class Snapshots:
    """Writes what a cut of `owner` holds to the store, behind the base and deltas that are there."""

    def __init__(
        self,
        owner: str,
        states: States,
        egresses: Mapping[str, Egress[Any]],
        bases: Bases,
        store: CheckpointStore,
        *,
        last: Manifest | None,
        pace: Pace,
    ) -> None:
        self._owner = owner
        self._states = states
        self._egresses = egresses
        self._bases = bases
        self._store = store
        self._pace = pace
        self._outboxes = _unacknowledged(last.outboxes_of(owner) if last else ())

    def completed(self, snapshot: Snapshot) -> None:
        """The next snapshot goes on from this one."""
        self._bases.completed(snapshot.part)
        self._outboxes = _unacknowledged(snapshot.outboxes)

    async def write(self, cut: Cut) -> tuple[Snapshot, list[Layer]]:
        """Write a cut, which is durable when the store is synced; return it with the layers it holds."""
        await self._states.seal(cut.layer, cut.heads)
        layers = self._states.unsaved()
        more = []
        if pieces := await self._encode(layers):
            stored = await self._store.put([MAGIC, *pieces])
            more.append(Delta(cut.epoch, stored))
        outboxes = [
            outbox
            for egress_id, records in cut.records.items()
            if (outbox := await self._write_outbox(cut.epoch, egress_id, records)) is not None
        ]
        snapshot = Snapshot(
            self._bases.part(*more),
            cut.created_ms,
            cut.positions,
            tuple(outboxes),
            cut.refused,
            cut.progress,
            cut.functions,
        )
        return snapshot, layers

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
        stored = await self._store.put(pieces)
        return Outbox(egress_id, epoch, len(records), stored, egress.waits_for_epoch, self._owner)


def _unacknowledged(outboxes: Iterable[Outbox]) -> dict[str, Outbox]:
    return {outbox.egress: outbox for outbox in outboxes if not outbox.is_transactional}
