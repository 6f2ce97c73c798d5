"""Where an application in a test keeps its state: in memory, for as long as the test lives."""

import hashlib
from collections.abc import AsyncGenerator, Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from statefun_runtime.core.checkpoints.commits import Completed, Entry, fenced
from statefun_runtime.core.checkpoints.manifest import ObjectId, StoredObject
from statefun_runtime.core.checkpoints.overlay import Row
from statefun_runtime.core.checkpoints.retention import Savepoint
from statefun_runtime.engine.beginning import Ports
from statefun_runtime.testing.virtual_time import VirtualClock

T = TypeVar("T")


class MemoryObjects:
    """A CheckpointStore; bases are never taken of so small an application, and savepoints nowhere kept."""

    def __init__(self) -> None:
        self._objects: dict[ObjectId, bytes] = {}

    async def put(self, pieces: Iterable[bytes]) -> StoredObject:
        """Keep an object."""
        content = b"".join(pieces)
        object_id = ObjectId(hashlib.sha256(content).hexdigest())
        self._objects[object_id] = content
        return StoredObject(object_id, len(content))

    async def put_file(self, path: Path) -> StoredObject:
        """Files are of bases."""
        raise AssertionError("nothing is on a disk in a test")

    async def sync(self) -> None:
        """Nothing is lost."""

    async def get(self, object_id: ObjectId) -> bytes:
        """Return an object."""
        return self._objects[object_id]

    async def read(self, object_id: ObjectId) -> AsyncGenerator[bytes, None]:
        """Yield an object."""
        yield await self.get(object_id)

    async def place_file(self, stored: StoredObject, path: Path) -> None:
        """Files are of bases."""
        raise AssertionError("nothing is on a disk in a test")

    async def ids(self) -> set[ObjectId]:
        """Return which objects there are."""
        return set(self._objects)

    async def write_savepoint(self, place: str, savepoint: Savepoint) -> None:
        """There is no place for one."""
        raise AssertionError("there are no savepoints in a test")

    async def take_in_savepoint(self, place: str) -> ObjectId:
        """There is none."""
        raise AssertionError("there are no savepoints in a test")

    async def delete(self, object_ids: Collection[ObjectId]) -> None:
        """Forget objects."""
        for object_id in object_ids:
            self._objects.pop(object_id, None)


class MemoryLog:
    """A CommitLog over a list that several of them may share."""

    def __init__(self, entries: list[Entry] | None = None) -> None:
        self.entries = entries if entries is not None else []
        self._known = 0

    async def read(self) -> list[Entry]:
        """Return all entries."""
        self._known = len(self.entries)
        return list(self.entries)

    async def append(self, entry: Entry) -> None:
        """Add one; raise FencedError if somebody else has since this was read."""
        if len(self.entries) > self._known:
            raise fenced("the list")
        self.entries.append(entry)
        self._known = len(self.entries)

    async def prune(self, oldest_epoch: int) -> None:
        """Forget the checkpoints before an epoch."""
        newest = self.entries[-1:]
        self.entries[:] = [
            entry
            for entry in self.entries
            if entry in newest or not isinstance(entry, Completed) or entry.epoch >= oldest_epoch
        ]
        self._known = len(self.entries)


class MemoryStore:
    """A StateStore of one life."""

    def __init__(self, folder: Path) -> None:
        self._rows: dict[bytes, bytes] = {}

    def get(self, key: bytes) -> bytes | None:
        """Return a row."""
        return self._rows.get(key)

    def write(self, rows: Sequence[Row]) -> None:
        """Write rows, or delete them."""
        for key, value in rows:
            if value is None:
                self._rows.pop(key, None)
            else:
                self._rows[key] = value

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield the rows whose keys begin so."""
        return iter(sorted(one for one in self._rows.items() if one[0].startswith(prefix)))

    def scan_sizes(self, prefix: bytes) -> Iterator[tuple[bytes, int]]:
        """Yield their keys and sizes."""
        return ((key, len(row)) for key, row in self.scan(prefix))

    def scan_keys(self, prefix: bytes, start: bytes) -> Iterator[bytes]:
        """Yield their keys from `start` on."""
        return (key for key, _ in self.scan(prefix) if key >= start)

    def flush(self) -> None:
        """Nothing is in between."""

    def snapshot(self, folder: Path) -> None:
        """Files are of bases."""
        raise AssertionError("nothing is on a disk in a test")

    def close(self) -> None:
        """Nothing is open."""

    def discard(self) -> None:
        """Nothing is open."""


class _Nowhere:
    """A folder that nothing is put into."""

    def mkdir(self, *, parents: bool) -> None:
        assert parents


async def at_once(work: Callable[[], T]) -> T:
    """Do what blocks without another thread: it does not, here."""
    return work()


def nowhere() -> Any:
    """Return a folder for live files of a store that has none."""
    return _Nowhere()


def leave(folder: Path) -> None:
    """Nowhere is nothing to delete."""


def memory_ports(objects: MemoryObjects, log: MemoryLog, clock: VirtualClock) -> Ports:
    """Return the ports of one life."""
    return Ports(
        checkpoints=objects,
        commit_log=log,
        open_store=MemoryStore,
        scratch=nowhere,
        discard=leave,
        make_clock=lambda not_before_ms: clock,
        off_loop=at_once,
    )
