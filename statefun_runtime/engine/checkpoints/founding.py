"""Makes the first checkpoint of an application whose past lies elsewhere.

    rows ─▶ a store ─▶ its files become objects: the base ─▶ manifest ─▶ commit log: started, complete

The entry that makes it complete is the last thing written: before it there is no checkpoint.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from statefun_runtime.core.checkpoints.commits import Completed, Started
from statefun_runtime.core.checkpoints.manifest import (
    ONLY_OWNER,
    Base,
    BaseFile,
    KeyGroups,
    Manifest,
    Part,
    Positions,
)
from statefun_runtime.core.checkpoints.overlay import Row, row_slices
from statefun_runtime.core.partition.timers import with_tallies
from statefun_runtime.engine.beginning import Ports
from statefun_runtime.engine.checkpoints.recovery import Names
from statefun_runtime.ports.state_store import StateStore

# The incarnation of what no worker has run yet; that of the first one is 1.
FOUNDING = 0
_EPOCH = 1
_SLICE_ROWS = 2000
_FLUSH_BYTES = 12 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Past:
    """What an application has had before: rows that are asked for once, positions, and its function types."""

    rows: Iterable[Row]
    positions: Positions
    functions: tuple[str, ...]


async def found(
    ports: Ports,
    names: Names,
    past: Past,
    *,
    key_group_count: int,
    partition_count: int,
    now_ms: int,
) -> Manifest:
    """Write the first checkpoint of an application; what giving its rows raises leaves none.

    The commit log must be empty.
    """
    assert not await ports.commit_log.read(), "an application with a past of its own is not founded"
    groups = KeyGroups(0, key_group_count)
    base = Base(_EPOCH, groups, await _write_base(ports, past.rows))
    started = Started(
        names.application,
        FOUNDING,
        names.nonce,
        names.lineage,
        0,
        None,
        None,
        key_group_count,
        names.name,
    )
    manifest = Manifest(
        application=started.application,
        epoch=_EPOCH,
        incarnation=started.incarnation,
        lineage=started.lineage,
        created_ms=now_ms,
        key_group_count=key_group_count,
        partition_count=partition_count,
        positions=past.positions,
        parts=(Part(ONLY_OWNER, groups, (base,), ()),),
        outboxes=(),
        functions=past.functions,
    )
    content = manifest.encode()
    stored = await ports.checkpoints.put([content])
    await ports.checkpoints.sync()
    await ports.commit_log.append(started)
    completed = Completed(_EPOCH, started.incarnation, started.lineage, stored.id)
    await ports.commit_log.append(completed)
    return manifest


async def _write_base(ports: Ports, rows: Iterable[Row]) -> tuple[BaseFile, ...]:
    """Write rows to a store, and take its files in; nothing of it is left besides."""
    live, snapshot = ports.scratch(), ports.scratch()
    try:
        await ports.off_loop(partial(_fill, ports, live, snapshot, rows))
        paths = await ports.off_loop(lambda: sorted(snapshot.iterdir()))
        return tuple(
            [BaseFile(path.name, await ports.checkpoints.put_file(path)) for path in paths]
        )
    finally:
        for folder in (live, snapshot):
            await ports.off_loop(partial(ports.discard, folder))


def _fill(ports: Ports, live: Path, snapshot: Path, rows: Iterable[Row]) -> None:
    live.mkdir(parents=True)
    store: StateStore = ports.open_store(live)
    try:
        unflushed_bytes = 0
        for some in row_slices(with_tallies(rows), _SLICE_ROWS):
            store.write(some)
            unflushed_bytes += sum(len(value or b"") for _, value in some)
            if unflushed_bytes >= _FLUSH_BYTES:
                # Rows come faster than a store writes them to its files, and would pile up in its memory.
                store.flush()
                unflushed_bytes = 0
        store.flush()
        store.snapshot(snapshot)
    finally:
        store.discard()
