"""Small objects of a folder, many to a file: what a checkpoint adds costs one write and one sync.

    add ─▶ unwritten, in memory ─append─▶ in the open segment, synced ─▶ … ─▶ deleted, with the last of its segment

NAME.segment: per object  "SFO1" <SHA-256: 32 bytes> <size: 8 bytes> content, and at the end of a whole one "SFOE"

Invariants: a segment is only ever appended to, by the process that made it; after an append that failed it never is
again, so whatever is behind what was synced is at its end, and is not there unless it is whole. A segment is deleted
when nothing in it is needed, and nobody can append to it any more: it is this process's and full, or of one that has
ended, or says so itself.
"""

import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import IO

from statefun_runtime.adapters.storage.disk import Disk
from statefun_runtime.core.checkpoints.manifest import ObjectId

_MAGIC, _END = b"SFO1", b"SFOE"
_HEAD_BYTES = len(_MAGIC) + 32 + 8
# What is not needed any more is freed with its segment: one must not hold too many checkpoints.
_BYTES_MAX = 4 * 1024 * 1024
_APPENDS_MAX = 128
_SUFFIX = ".segment"

Contents = Sequence[tuple[ObjectId, bytes]]


@dataclass(slots=True)
class _Segment:
    """A file as far as it was read or written; `needed` are the objects in it that were not deleted."""

    path: Path
    is_ours: bool
    is_deletable: bool
    end: int = 0
    needed: set[ObjectId] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Place:
    """Where an object is."""

    path: Path
    begin: int
    size_bytes: int


class Segments:
    """The segments of a folder. Everything blocks, and may be called by several threads."""

    def __init__(self, folder: Path, disk: Disk) -> None:
        self._folder = folder
        self._disk = disk
        self._lock = threading.Lock()
        self._numbers = count()
        self._segments: dict[str, _Segment] = {}
        self._places: dict[ObjectId, tuple[_Segment, Place]] = {}
        self._file: IO[bytes] | None = None
        self._open: _Segment | None = None
        self._appends = 0

    def take_over(self) -> None:
        """Who wrote the segments that are there has ended, or can complete no checkpoint any more."""
        with self._lock:
            for path in self._folder.glob("*" + _SUFFIX):
                segment = self._segments.get(path.name)
                if segment is None:
                    segment = self._segments[path.name] = _Segment(
                        path, is_ours=False, is_deletable=True
                    )
                segment.is_deletable = segment is not self._open

    def ids(self) -> set[ObjectId]:
        """Return which objects there are, whoever wrote them."""
        with self._lock:
            self._look()
            return set(self._places)

    def known(self, object_id: ObjectId) -> Place | None:
        """Return where an object is, as far as is known without a look."""
        found = self._places.get(object_id)
        return found and found[1]

    def find(self, object_id: ObjectId) -> Place | None:
        """Return where an object is, whoever wrote it; None if it is in no segment."""
        with self._lock:
            self._look()
            return self.known(object_id)

    def append(self, contents: Contents) -> bool:
        """Write objects and sync them; return whether the folder has a new name, which is still to be synced.

        Raise OSError if they are not written; then none of them is there.
        """
        with self._lock:
            is_new = self._open is None or not self._open.path.exists()
            try:
                segment, file = self._new() if is_new else self._current()
                places = self._write(segment, file, contents)
            except OSError:
                self._abandon()
                raise
            for object_id, place in places:
                self._know(segment, object_id, place)
            self._appends += 1
            if self._appends >= _APPENDS_MAX or segment.end >= _BYTES_MAX:
                self._close()
            return is_new

    def delete(self, object_ids: Iterable[ObjectId]) -> list[ObjectId]:
        """Forget objects, and delete the segments in which nothing is needed; return those that are in no segment."""
        with self._lock:
            others, emptied = [], {}
            for object_id in object_ids:
                found = self._places.pop(object_id, None)
                if found is None:
                    others.append(object_id)
                else:
                    found[0].needed.discard(object_id)
                    emptied[found[0].path.name] = found[0]
            for segment in emptied.values():
                self._delete_if_empty(segment)
            return others

    # ── with the lock held ──

    def _current(self) -> tuple[_Segment, IO[bytes]]:
        assert self._open is not None
        assert self._file is not None
        return self._open, self._file

    def _new(self) -> tuple[_Segment, IO[bytes]]:
        """Begin a segment under a name that nobody has, also none that another life of this process's number left."""
        self._abandon()
        while True:
            path = self._folder / f"{self._disk.writer()}-{next(self._numbers)}{_SUFFIX}"
            try:
                self._file = path.open("xb")
            except FileExistsError:
                continue
            self._open = self._segments[path.name] = _Segment(
                path, is_ours=True, is_deletable=False
            )
            self._appends = 0
            return self._open, self._file

    def _write(
        self, segment: _Segment, file: IO[bytes], contents: Contents
    ) -> list[tuple[ObjectId, Place]]:
        end, places = segment.end, []
        parts: list[bytes] = []
        for object_id, content in contents:
            size = len(content)
            parts += (_MAGIC, bytes.fromhex(object_id), size.to_bytes(8, "big"), content)
            places.append((object_id, Place(segment.path, end + _HEAD_BYTES, size)))
            end += _HEAD_BYTES + size
        file.write(b"".join(parts))
        file.flush()
        self._disk.sync(file)
        segment.end = end
        return places

    def _close(self) -> None:
        """The open segment is full."""
        segment, file = self._current()
        self._open = self._file = None
        segment.is_deletable = True
        try:
            with file:
                file.write(_END)
        except OSError:
            # It is for others to know; this process and the next know it without.
            pass
        self._delete_if_empty(segment)

    def _abandon(self) -> None:
        """Append nothing more to the open segment: what is at its end is unknown."""
        segment, file = self._open, self._file
        self._open = self._file = None
        if segment is None or file is None:
            return
        segment.is_deletable = True
        try:
            file.close()
            self._delete_if_empty(segment)
        except OSError:
            pass

    def _delete_if_empty(self, segment: _Segment) -> None:
        if segment is self._open or segment.needed:
            return
        if not segment.is_ours:
            self._read_on(segment)
        if segment.is_deletable and not segment.needed:
            segment.path.unlink(missing_ok=True)
            self._segments.pop(segment.path.name, None)

    def _know(self, segment: _Segment, object_id: ObjectId, place: Place) -> None:
        before = self._places.get(object_id)
        if before is not None:
            before[0].needed.discard(object_id)
        self._places[object_id] = segment, place
        segment.needed.add(object_id)

    def _look(self) -> None:
        """Read what others have appended, or left."""
        there = {path.name: path for path in self._folder.glob("*" + _SUFFIX)}
        for name, path in sorted(there.items()):
            segment = self._segments.get(name)
            if segment is None:
                segment = self._segments[name] = _Segment(path, is_ours=False, is_deletable=False)
            if not segment.is_ours:
                self._read_on(segment)

    def _read_on(self, segment: _Segment) -> None:
        try:
            with segment.path.open("rb") as file:
                for object_id, place in _objects(segment, file):
                    self._know(segment, object_id, place)
        except FileNotFoundError:
            # Somebody else has deleted it, with all that was in it.
            for object_id in segment.needed:
                del self._places[object_id]
            segment.needed.clear()


def _objects(segment: _Segment, file: IO[bytes]) -> Iterator[tuple[ObjectId, Place]]:
    """Yield the objects that are whole behind what is known of a segment."""
    file.seek(0, 2)
    size = file.tell()
    while True:
        file.seek(segment.end)
        head = file.read(_HEAD_BYTES)
        if head[: len(_END)] == _END:
            segment.is_deletable = True
        if len(head) < _HEAD_BYTES or head[: len(_MAGIC)] != _MAGIC:
            return
        begin, length = segment.end + _HEAD_BYTES, int.from_bytes(head[-8:], "big")
        if begin + length > size:
            return
        segment.end = begin + length
        yield ObjectId(head[len(_MAGIC) : -8].hex()), Place(segment.path, begin, length)
