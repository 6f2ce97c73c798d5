"""The whole way back to work: from the commit log to the live state of the last complete checkpoint."""

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from statefun_runtime.core.checkpoints.commits import Completed, History, Started
from statefun_runtime.core.checkpoints.delta import DeltaReader
from statefun_runtime.core.checkpoints.manifest import (
    Base,
    Delta,
    Manifest,
    ObjectId,
    Outbox,
    Part,
)
from statefun_runtime.core.checkpoints.overlay import Row, row_slices
from statefun_runtime.core.checkpoints.retention import Kept
from statefun_runtime.core.model.address import KeyGroup
from statefun_runtime.core.model.keys import group_prefix, is_head
from statefun_runtime.core.model.messages import read_varint
from statefun_runtime.errors import ConfigError, CorruptionError
from statefun_runtime.ports.checkpoint_store import CheckpointStore
from statefun_runtime.ports.off_loop import OffLoop
from statefun_runtime.ports.state_store import StateStore

_SLICE_ROWS = 2000
_FLUSH_BYTES = 12 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class StartingPoint:
    """Where a life begins: its entry for the commit log, the checkpoint, and what is kept besides.

    `there` are all objects of the store, also those that nobody names. `first_epoch` is above every epoch that was ever completed here; `is_ours` is False for a savepoint of another
    application, or with no checkpoint.
    """

    started: Started
    manifest: Manifest | None
    kept: tuple[Kept, ...]
    there: frozenset[ObjectId]
    first_epoch: int
    is_ours: bool


@dataclass(frozen=True, slots=True)
class Names:
    """Fresh names, used where the past gives none; `name` is what the operator calls the application, if it has one."""

    application: str
    nonce: str
    lineage: str
    name: str = ""


async def choose_start(
    history: History,
    store: CheckpointStore,
    names: Names,
    *,
    key_group_count: int,
    origin: ObjectId | None = None,
) -> StartingPoint:
    """Decide where to begin.

    At `origin`, the manifest of a savepoint or older checkpoint, if one is given: that begins a new lineage, unless
    the newest lineage began there already, which is then continued. Else at the last complete checkpoint of the
    newest lineage, or at nothing.
    """
    before = history.last_started
    if before is not None and before.name and names.name and before.name != names.name:
        raise ConfigError(
            f"the state is that of application '{before.name}', not of '{names.name}'",
            code="SF1043",
            hint="name the right folder with --state-dir, or the right application with --application",
        )
    is_new_lineage = origin is not None and history.origin != origin
    chosen = origin if is_new_lineage else _newest(history)
    manifest = await read_manifest(store, chosen) if chosen else None
    if manifest and manifest.key_group_count != key_group_count:
        raise ConfigError(
            f"the state has {manifest.key_group_count} key groups, the worker {key_group_count}",
            code="SF1045",
            hint="the number of key groups is fixed for the life of an application",
        )
    application = before.application if before else names.application
    is_ours = manifest is not None and manifest.application == application
    started = Started(
        application=application,
        incarnation=before.incarnation + 1 if before else 1,
        nonce=names.nonce,
        lineage=before.lineage if before and not is_new_lineage else names.lineage,
        from_epoch=manifest.epoch if manifest else 0,
        from_manifest=chosen,
        from_lineage=manifest.lineage if manifest and is_new_lineage and is_ours else None,
        key_group_count=key_group_count,
        name=names.name or (before.name if before else ""),
    )
    first_epoch = max([history.last_epoch, started.from_epoch]) + 1
    # What a complete checkpoint names is there, whatever a list says: some stores' lists are late.
    chain = await _chain(store, chosen)
    there = frozenset(await store.ids()) | _named(chain)
    kept = await _kept(store, there, history, chain)
    return StartingPoint(started, manifest, tuple(kept), there, first_epoch, is_ours)


def _newest(history: History) -> ObjectId | None:
    """Return the last complete checkpoint of the newest lineage, or while it has none of its own, where it began.

    The log may have forgotten that one, or never knew it; what it remembers of before is older.
    """
    completed, before = history.completed, history.last_started
    if completed and before is not None and completed[-1].lineage == before.lineage:
        return completed[-1].manifest
    return history.origin


async def read_manifest(store: CheckpointStore, object_id: ObjectId) -> Manifest:
    """Return a manifest; raise CorruptionError if it cannot be read."""
    content = await store.get(object_id)
    try:
        return Manifest.from_json(json.loads(content))
    except (ValueError, KeyError, TypeError) as error:
        raise CorruptionError(
            f"manifest {object_id} cannot be read: {error}", code="SF5003"
        ) from error


async def is_whole(
    object_id: ObjectId, store: CheckpointStore, there: Collection[ObjectId]
) -> bool:
    """Return whether everything is there that a start from a checkpoint needs; raise CorruptionError if damaged."""
    if object_id not in there:
        return False
    manifest = await read_manifest(store, object_id)
    needed = [stored.id for stored in manifest.objects()]
    link = manifest.pending_parent
    while link is not None:
        if link not in there:
            return False
        older = await read_manifest(store, link)
        needed += [outbox.object.id for outbox in older.outboxes if outbox.is_transactional]
        link = older.pending_parent
    return all(one in there for one in needed)


async def _chain(store: CheckpointStore, chosen: ObjectId | None) -> list[Kept]:
    """Return a checkpoint, and those that it looks back to as far as they can be read."""
    chain: list[Kept] = []
    while chosen is not None:
        try:
            kept = Kept(chosen, await read_manifest(store, chosen))
        except CorruptionError:
            # Whoever looks for what it may have to publish says that it is missing.
            break
        chain.append(kept)
        chosen = kept.manifest.pending_parent
    return chain


def _named(chain: Sequence[Kept]) -> set[ObjectId]:
    """Return what a start from the first of a chain needs."""
    named = {stored.id for kept in chain[:1] for stored in kept.manifest.objects()}
    for kept in chain:
        named |= {kept.id, *(outbox.object.id for outbox in kept.manifest.outboxes)}
    return named


async def _kept(
    store: CheckpointStore,
    there: Collection[ObjectId],
    history: History,
    chain: Iterable[Kept],
) -> list[Kept]:
    """Return the checkpoints whose manifests are still there, with those that they look back to, oldest first."""
    found = {kept.id: kept for kept in chain}
    waiting = [entry.manifest for entry in history.entries if isinstance(entry, Completed)]
    while waiting:
        object_id = waiting.pop()
        if object_id in found or object_id not in there:
            continue
        try:
            kept = Kept(object_id, await read_manifest(store, object_id))
        except CorruptionError:
            # An older checkpoint that is damaged is told by `checkpoints verify`; it does not stop this start.
            continue
        found[object_id] = kept
        if kept.manifest.pending_parent is not None:
            waiting.append(kept.manifest.pending_parent)
    whole = [kept for kept in found.values() if _is_whole(kept, found, there)]
    return sorted(whole, key=lambda kept: kept.manifest.epoch)


def _is_whole(kept: Kept, found: Mapping[ObjectId, Kept], there: Collection[ObjectId]) -> bool:
    """Return whether all outboxes are there that a manifest, and those it looks back to, may need.

    One that is not was being collected when a life ended: nothing of it is pending, and nothing may look back to it.
    """
    link: Kept | None = kept
    while link is not None:
        manifest = link.manifest
        if any(outbox.object.id not in there for outbox in manifest.outboxes):
            return False
        if manifest.pending_parent is None:
            return True
        link = found.get(manifest.pending_parent)
    return False


Heads = dict[bytes, bytes]


async def open_live(
    part: Part | None,
    objects: CheckpointStore,
    scratch: Callable[[], Path],
    open_store: Callable[[Path], StateStore],
    off_loop: OffLoop,
) -> tuple[StateStore, Heads]:
    """Open the live store of what somebody goes on from in a new folder; return it with the heads of backlogs.

    One base of all of it is gone on with where it lies; of others, each gives the rows of its key groups. Raise
    UnavailableError if the store cannot be made now; then nothing is open.
    """
    bases = part.bases if part is not None else ()
    is_one = part is not None and [base.key_groups for base in bases] == [part.key_groups]
    placed = [await _placed(base, objects, scratch, off_loop) for base in bases]
    folder = placed[0] if is_one else await _made(scratch, off_loop)
    store = await off_loop(lambda: open_store(folder))
    try:
        for base, place in () if is_one else zip(bases, placed, strict=True):
            await off_loop(partial(_copy, base, place, store, open_store))
        heads: Heads = {}
        if part is not None:
            await apply_deltas(part.deltas, objects, store, heads, off_loop)
        return store, heads
    except BaseException:
        await off_loop(store.discard)
        raise


async def _made(scratch: Callable[[], Path], off_loop: OffLoop) -> Path:
    folder = scratch()
    await off_loop(lambda: folder.mkdir(parents=True))
    return folder


async def _placed(
    base: Base, objects: CheckpointStore, scratch: Callable[[], Path], off_loop: OffLoop
) -> Path:
    """Return a new folder with the files of a base."""
    folder = await _made(scratch, off_loop)
    for file in base.files:
        await objects.place_file(file.object, folder / file.name)
    return folder


def _copy(
    base: Base, folder: Path, live: StateStore, open_store: Callable[[Path], StateStore]
) -> None:
    """Bring the rows of a base's key groups into the live store; what else its files hold is somebody else's."""
    store = open_store(folder)
    try:
        for group in range(base.key_groups.first, base.key_groups.end):
            for some in row_slices(store.scan(group_prefix(KeyGroup(group))), _SLICE_ROWS):
                live.write(some)
            live.flush()
    finally:
        store.discard()


class _Applying:
    """Applies deltas to a live store, in order; the heads of backlogs are not kept there. It blocks."""

    def __init__(self, live: StateStore, heads: Heads) -> None:
        self._heads = heads
        self._live = live
        self._unflushed_bytes = 0

    def apply(self, delta: Delta, reader: DeltaReader, piece: bytes) -> None:
        """Apply the rows that one more piece of a delta makes whole."""
        for some in row_slices(_counting(delta, reader.rows(piece)), _SLICE_ROWS):
            self._live.write([row for row in some if not is_head(row[0])])
            for key, value in some:
                if is_head(key):
                    _put(self._heads, key, value)
            self._unflushed_bytes += sum(len(value or b"") for _, value in some)
            if self._unflushed_bytes >= _FLUSH_BYTES:
                # Rows come faster than a store writes them to its files, and would pile up in its memory.
                self._live.flush()
                self._unflushed_bytes = 0


def _counting(delta: Delta, rows: Iterable[Row]) -> Iterable[Row]:
    """Return those rows of a delta that count."""
    groups = delta.key_groups
    if groups is None:
        return rows
    first, end = group_prefix(KeyGroup(groups.first)), group_prefix(KeyGroup(groups.end))
    return (row for row in rows if first <= row[0][:2] < end)


async def apply_deltas(
    deltas: Iterable[Delta],
    store: CheckpointStore,
    live: StateStore,
    heads: Heads,
    off_loop: OffLoop,
) -> None:
    """Apply deltas to a live store and the heads of its backlogs, in order, a piece of one in memory at a time."""
    applying = _Applying(live, heads)
    for delta in deltas:
        reader = DeltaReader()
        try:
            async with aclosing(store.read(delta.object.id)) as pieces:
                async for piece in pieces:
                    await off_loop(partial(applying.apply, delta, reader, piece))
            reader.end()
        except ValueError as error:
            raise CorruptionError(
                f"delta {delta.object.id} is damaged: {error}", code="SF5009"
            ) from error


def _put(heads: Heads, key: bytes, value: bytes | None) -> None:
    if value is None:
        heads.pop(key, None)
    else:
        heads[key] = value


def pending_outboxes(manifest: Manifest | None, kept: Iterable[Kept]) -> list[Outbox]:
    """Return what may not have left, in order of epochs."""
    if manifest is None:
        return []
    by_id = {one.id: one.manifest for one in kept}
    outboxes = list(manifest.outboxes)
    parent = manifest.pending_parent
    while parent is not None:
        older = by_id.get(parent)
        if older is None:
            raise CorruptionError(
                f"manifest {parent} is missing, which may name unpublished records", code="SF5004"
            )
        outboxes += [outbox for outbox in older.outboxes if outbox.is_transactional]
        parent = older.pending_parent
    outboxes.sort(key=lambda outbox: outbox.epoch)
    return outboxes


async def read_outbox(
    object_id: ObjectId, objects: CheckpointStore, off_loop: OffLoop
) -> list[bytes]:
    """Return the records of an outbox's object."""
    data = await objects.get(object_id)
    return await off_loop(lambda: _records(data))


def _records(data: bytes) -> list[bytes]:
    records, offset = [], 0
    while offset < len(data):
        size, offset = read_varint(data, offset)
        records.append(data[offset : offset + size])
        offset += size
    return records
