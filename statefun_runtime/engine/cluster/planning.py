"""The plan of a life that several workers share, and where each of them begins."""

from collections.abc import Collection
from dataclasses import replace
from typing import Any

from statefun_runtime.core.checkpoints.commits import Completed, History
from statefun_runtime.core.checkpoints.manifest import read_outboxes
from statefun_runtime.core.cluster.plan import assign
from statefun_runtime.core.cluster.troubles import beginning_again
from statefun_runtime.engine.beginning import Beginning, Ports
from statefun_runtime.engine.checkpoints.ledger import Ledger
from statefun_runtime.engine.checkpoints.recovery import (
    StartingPoint,
    pending_outboxes,
    read_manifest,
)


def planned(beginning: Beginning, slots: Collection[int]) -> Beginning:
    """Return where a life of workers in these slots begins, with a plan near to that of the life before."""
    start, entries = beginning.start, beginning.history.entries[:-1]
    before = History(entries).last_started
    plan = assign(start.started.key_group_count, slots, before.plan if before is not None else None)
    started = replace(start.started, members=plan.members)
    return replace(
        beginning, start=replace(start, started=started), history=History((*entries, started))
    )


def gone_on(beginning: Beginning, ledger: Ledger, nonce: str) -> Beginning | None:
    """Return where a life begins behind one that its leader has seen to its end: what it knows is not read again.

    None if that one has not ended with a checkpoint of its own.
    """
    before, manifest, last_id = beginning.start.started, ledger.last_complete, ledger.last_id
    if manifest is None or last_id is None or manifest.incarnation != before.incarnation:
        return None
    started = replace(
        before,
        incarnation=before.incarnation + 1,
        nonce=nonce,
        from_epoch=manifest.epoch,
        from_manifest=last_id,
        from_lineage=None,
        members=(),
    )
    completed = Completed(manifest.epoch, before.incarnation, before.lineage, last_id)
    start = StartingPoint(
        started, manifest, ledger.kept, ledger.there, manifest.epoch + 1, is_ours=True
    )
    history = History((*beginning.history.entries, completed, started))
    return Beginning(start, history, tuple(pending_outboxes(manifest, ledger.kept)))


async def member_beginning(ports: Ports, request: dict[str, Any]) -> Beginning:
    """Return where one of the workers begins, from its leader's request and the entry that this has written."""
    history = History(tuple(await ports.commit_log.read()))
    started = history.last_started
    if started is None or started.nonce != request["nonce"]:
        raise beginning_again("another life has begun meanwhile")
    chosen = started.from_manifest
    manifest = await read_manifest(ports.checkpoints, chosen) if chosen else None
    start = StartingPoint(
        started, manifest, (), frozenset(), request["first_epoch"], request["is_ours"]
    )
    return Beginning(start, history, read_outboxes(request["outboxes"]), request["slot"])
