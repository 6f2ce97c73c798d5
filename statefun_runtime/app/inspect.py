"""What is in a state folder, for `statefun-worker checkpoints`: read only, also while a worker runs."""

import itertools
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir

from statefun_runtime.adapters.off_loop import in_a_thread
from statefun_runtime.adapters.storage.commit_log_folder import CommitLogFolder
from statefun_runtime.adapters.storage.object_folder import ObjectFolder
from statefun_runtime.adapters.storage.rocksdb import RocksDbStore
from statefun_runtime.app.start.places import kept_place, open_place
from statefun_runtime.connectors.playground.ingress_log import LOG_SPLIT, first_kept
from statefun_runtime.core.checkpoints.commits import Completed, History
from statefun_runtime.core.checkpoints.manifest import Manifest, Positions
from statefun_runtime.core.model.keys import (
    CHUNK,
    STATE,
    TIMER,
    parse_address_key,
    parse_chunk_key,
)
from statefun_runtime.core.model.position import Position
from statefun_runtime.core.printable import printable
from statefun_runtime.engine.checkpoints.recovery import (
    Heads,
    is_whole,
    open_live,
    read_manifest,
)
from statefun_runtime.errors import ConfigError, CorruptionError
from statefun_runtime.ports.checkpoint_store import CheckpointStore
from statefun_runtime.ports.state_store import StateStore


@dataclass(frozen=True, slots=True)
class Found:
    """A complete checkpoint and whether its manifest can be read."""

    entry: Completed
    manifest: Manifest | None
    is_current_lineage: bool


class StateFolderView:
    """The commit log and objects of a state folder; raises ConfigError if there is none."""

    def __init__(self, folder: Path) -> None:
        if not (folder / "log").is_dir():
            raise ConfigError(
                f"{folder} is not a worker's state folder: it has no commit log",
                code="SF1051",
                hint="name the folder that the worker was started with: --state-dir DIR",
            )
        self._folder = folder
        self._log = CommitLogFolder(folder / "log", in_a_thread)
        self.objects = _objects(folder)

    async def found(self) -> list[Found]:
        """Return the complete checkpoints whose objects are kept, oldest first."""
        history = History(tuple(await self._log.read()))
        there = await self.objects.ids()
        current = history.completed
        entries = [e for e in history.entries if isinstance(e, Completed) and e.manifest in there]
        return [Found(entry, await self._manifest(entry), entry in current) for entry in entries]

    async def startable(self) -> list[Found]:
        """Return those that a start is possible from, and those that are damaged, which a repair may bring back.

        Of one that is only looked back to nothing but its outboxes is kept, and the log of an HTTP ingress begins at the
        oldest of those that are kept.
        """
        there = await self.objects.ids()
        return [
            one
            for one in await self.found()
            if one.manifest is None
            or (
                await is_whole(one.entry.manifest, self.objects, there)
                and self._has_log(one.manifest.positions)
            )
        ]

    def _has_log(self, positions: Positions) -> bool:
        for ingress, splits in positions.items():
            first = first_kept(self._folder / "ingress" / ingress.replace("/", "."))
            position = splits.get(LOG_SPLIT)
            if first is not None and isinstance(position, int) and position < first:
                return False
        return True

    async def one(self, epoch: int | None) -> Manifest:
        """Return the manifest of an epoch, or of the last; raise ConfigError or CorruptionError."""
        found = [one for one in await self.found() if epoch is None or one.entry.epoch == epoch]
        if not found:
            which = "complete checkpoint" if epoch is None else f"complete checkpoint {epoch}"
            raise ConfigError(f"there is no {which} in this folder", code="SF1052")
        return await read_manifest(self.objects, found[-1].entry.manifest)

    async def _manifest(self, entry: Completed) -> Manifest | None:
        try:
            return await read_manifest(self.objects, entry.manifest)
        except CorruptionError:
            return None


def _objects(folder: Path) -> CheckpointStore:
    place = kept_place(folder)
    if place is not None:
        return open_place(place, Path(gettempdir()))
    return ObjectFolder(folder / "objects", in_a_thread, sweep=False)


async def list_lines(view: StateFolderView) -> AsyncIterator[str]:
    """Yield a table of the checkpoints that can be started from."""
    yield f"{'epoch':>8}  {'time':19}  {'size':>10}  {'deltas':>6}  {'unpublished':>11}  note"
    for one in await view.startable():
        manifest = one.manifest
        note = "" if one.is_current_lineage else "of an older lineage"
        if manifest is None:
            yield f"{one.entry.epoch:8}  damaged: see `statefun-worker checkpoints verify`"
            continue
        size = sum(stored.size_bytes for stored in manifest.objects())
        unpublished = sum(outbox.count for outbox in manifest.outboxes)
        yield (
            f"{manifest.epoch:8}  {_time(manifest)}  {_size(size):>10}  {_delta_count(manifest):6}"
            f"  {unpublished:11}  {note}".rstrip()
        )


async def show_lines(view: StateFolderView, manifest: Manifest) -> AsyncIterator[str]:
    """Yield what is in a checkpoint: positions, keys per function type, backlogs, unpublished records."""
    yield f"checkpoint   {manifest.epoch} of {_time(manifest)}"
    yield f"application  {manifest.application}, lineage {manifest.lineage}, incarnation {manifest.incarnation}"
    bases = [base for part in manifest.parts for base in part.bases]
    base_bytes = sum(file.object.size_bytes for base in bases for file in base.files)
    deltas = sum(delta.object.size_bytes for part in manifest.parts for delta in part.deltas)
    yield f"size         base {_size(base_bytes)}, {_delta_count(manifest)} deltas {_size(deltas)}"
    for ingress, positions in sorted(manifest.positions.items()):
        for split, position in sorted(positions.items()):
            yield f"position     {ingress}  {printable(split)}  {_in_words(position)}"
    for outbox in manifest.outboxes:
        kind = "outbox of this epoch" if outbox.is_transactional else "not acknowledged"
        yield f"egress       {outbox.egress}  {outbox.count} records, {kind}"
    with TemporaryDirectory(prefix="statefun-show-") as folder:
        numbers = itertools.count()
        store, heads = await open_live(
            manifest.whole(),
            view.objects,
            lambda: Path(folder) / str(next(numbers)),
            RocksDbStore,
            in_a_thread,
        )
        try:
            for line in _content_lines(store, heads):
                yield line
        finally:
            store.close()


def _in_words(position: Position) -> str:
    """Return a position for people; what its parts mean is the ingress's business, and so are their names."""
    if not isinstance(position, Mapping):
        return printable(str(position))
    return printable(", ".join(f"{name} {part}" for name, part in position.items()))


def _delta_count(manifest: Manifest) -> int:
    return sum(len(part.deltas) for part in manifest.parts)


def _content_lines(store: StateStore, heads: Heads) -> Iterator[str]:
    keys: Counter[str] = Counter()
    waiting: Counter[str] = Counter()
    for key, row in heads.items():
        waiting[str(parse_address_key(key).type)] += len(row)
    delayed = 0
    for key, row in store.scan(b""):
        kind = key[2:3]
        if kind == STATE:
            keys[str(parse_address_key(key).type)] += 1
        elif kind == CHUNK:
            waiting[str(parse_chunk_key(key)[0].type)] += len(row)
        elif kind == TIMER:
            delayed += 1
    for function_type, count in sorted(keys.items()):
        yield f"state        {printable(function_type)}  {count} ids with state"
    for function_type, size in sorted(waiting.items()):
        yield f"backlog      {printable(function_type)}  {_size(size)} waiting"
    yield f"delayed      {delayed} messages"


async def verify_lines(view: StateFolderView) -> AsyncIterator[tuple[bool, str]]:
    """Yield, per kept checkpoint, whether every object is there and is what was written."""
    for one in await view.found():
        problems = []
        try:
            manifest = await read_manifest(view.objects, one.entry.manifest)
            for stored in manifest.objects():
                async for _ in view.objects.read(stored.id):
                    pass
        except CorruptionError as error:
            problems.append(error.message)
        verdict = problems[0] if problems else "good"
        yield not problems, f"checkpoint {one.entry.epoch}: {verdict}"


def _time(manifest: Manifest) -> str:
    return datetime.fromtimestamp(manifest.created_ms / 1000).isoformat(" ", "seconds")


def _size(size_bytes: int) -> str:
    size, unit = float(size_bytes), "B"
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024 or unit == "GiB":
            break
        size /= 1024
    return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
