"""A checkpoint store in a folder: one file per large object, named by its SHA-256, and many small ones in one.

A file is written under another name, synced, and renamed: under its own name it is always whole. What is small waits in
memory for the next sync, and is appended to a segment (segments.py) with all else that waits.
"""

import hashlib
from collections.abc import AsyncGenerator, Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from errno import EINTR, EMFILE, EMLINK, ENFILE, ENOMEM, ENOTSUP, EPERM, EXDEV
from io import BufferedReader, BytesIO
from itertools import count
from pathlib import Path

from statefun_runtime.adapters.storage.disk import MACHINE_DISK, Disk
from statefun_runtime.adapters.storage.savepoint_folder import find_savepoint, write_savepoint
from statefun_runtime.adapters.storage.segments import Contents, Place, Segments
from statefun_runtime.core.checkpoints.commits import fenced
from statefun_runtime.core.checkpoints.manifest import ObjectId, StoredObject
from statefun_runtime.core.checkpoints.retention import Savepoint
from statefun_runtime.errors import CorruptionError, UnavailableError
from statefun_runtime.ports.off_loop import OffLoop

_PIECE_BYTES = 1024 * 1024
_SMALL_BYTES_MAX = 64 * 1024
_HOLDER = "holder.json"
# What says nothing about the file: the process or the machine has too little of something.
_TRANSIENT = (EMFILE, ENFILE, ENOMEM, EINTR)
_NO_LINKS = (EXDEV, EPERM, EMLINK, ENOTSUP)


class ObjectFolder:
    """A CheckpointStore on a local or shared disk; a savepoint's place is what `path` makes a folder of.

    Of several that write to one folder, none may have segments (`small_bytes_max` 0): what lies in one only its writer
    can delete. With `may_be_away` the folder is on a disk that may not be mounted: only who first holds it makes it.
    """

    def __init__(
        self,
        folder: Path,
        off_loop: OffLoop,
        *,
        sweep: bool = True,
        disk: Disk = MACHINE_DISK,
        path: Callable[[str], Path] = Path,
        small_bytes_max: int = _SMALL_BYTES_MAX,
        may_be_away: bool = False,
    ) -> None:
        self.folder = folder
        self._off_loop = off_loop
        self._place = path
        self._disk = disk
        self._numbers = count()
        self._held: bytes | None = None
        (folder.parent if may_be_away else folder).mkdir(parents=True, exist_ok=True)
        for leftover in folder.glob("*.tmp") if sweep else ():
            leftover.unlink()
        self._small_bytes_max = small_bytes_max
        self._segments = Segments(folder, disk)
        if sweep:
            self._segments.take_over()
        self._unwritten: dict[ObjectId, bytes] = {}
        self._waiting: list[tuple[ObjectId, bytes]] = []
        self._has_new_names = True

    async def put(self, pieces: Iterable[bytes]) -> StoredObject:
        """Write an object and sync its content; a small one is kept for the next sync."""
        if isinstance(pieces, list) and sum(map(len, pieces)) <= self._small_bytes_max:
            return self._keep(b"".join(pieces))
        return await self._off_loop(lambda: self._put(pieces))

    def _keep(self, content: bytes) -> StoredObject:
        object_id = ObjectId(hashlib.sha256(content).hexdigest())
        self._unwritten[object_id] = content
        self._waiting.append((object_id, content))
        return StoredObject(object_id, len(content))

    async def put_file(self, path: Path) -> StoredObject:
        """Link a file in; its content is synced, and must never change."""
        return await self._off_loop(lambda: self._put_file(path))

    async def sync(self) -> None:
        """Write what is small, and sync the names of the rest.

        What cannot be written is not there any more, or a disk that is full would have it pile up in memory.
        """
        waiting, self._waiting = self._waiting, []
        await self._off_loop(lambda: self._sync(waiting))

    async def get(self, object_id: ObjectId) -> bytes:
        """Return an object's content."""
        return await self._off_loop(lambda: self._get(object_id))

    async def read(self, object_id: ObjectId) -> AsyncGenerator[bytes, None]:
        """Yield an object's content in pieces."""
        file = await self._off_loop(lambda: self._open(object_id))
        with file:
            size = _PIECE_BYTES
            # A short piece is the last one: most objects are one.
            while size == _PIECE_BYTES:
                piece = await self._off_loop(lambda: self._piece(object_id, file))
                size = len(piece)
                if piece:
                    yield piece

    async def place_file(self, stored: StoredObject, path: Path) -> None:
        """Link or copy an object to a path."""
        await self._off_loop(lambda: self._place_file(stored, path))

    async def ids(self) -> set[ObjectId]:
        """Return which objects there are."""
        return await self._off_loop(self._ids)

    async def write_savepoint(self, place: str, savepoint: Savepoint) -> None:
        """Write a savepoint to a new folder."""
        folder = self._place(place)
        await self._off_loop(
            lambda: write_savepoint(folder, savepoint, self._place_durably, self._disk)
        )

    async def take_in_savepoint(self, place: str) -> ObjectId:
        """Link the objects of a savepoint's folder in; return its manifest."""
        return await self._off_loop(lambda: self._take_in_savepoint(self._place(place)))

    async def delete(self, object_ids: Collection[ObjectId]) -> None:
        """Delete objects; one that is gone already is no error.

        Raise FencedError if somebody else holds the folder by now: what is unneeded here may be needed there.
        """
        await self._off_loop(lambda: self._delete(object_ids))

    async def holder(self) -> bytes | None:
        """Return what the last one wrote who held the folder, None if nobody ever did."""
        return await self._off_loop(self._holder)

    async def hold(self, content: bytes, *, instead_of: bytes | None) -> bool:
        """Hold the folder from now on, if it still has this holder; return whether it had."""
        return await self._off_loop(lambda: self._hold(content, instead_of))

    # ── what blocks ──

    def _put(self, pieces: Iterable[bytes]) -> StoredObject:
        writing = self.folder / f"{self._disk.writer()}-{next(self._numbers)}.tmp"
        digest, size = hashlib.sha256(), 0
        try:
            with writing.open("wb") as file:
                for piece in pieces:
                    digest.update(piece)
                    size += len(piece)
                    file.write(piece)
                file.flush()
                self._disk.sync(file)
            stored = StoredObject(ObjectId(digest.hexdigest()), size)
            writing.rename(self._path(stored.id))
            self._has_new_names = True
        except OSError as error:
            writing.unlink(missing_ok=True)
            raise unavailable(f"an object cannot be written to {self.folder}", error) from error
        return stored

    def _put_file(self, path: Path) -> StoredObject:
        try:
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
                self._disk.sync(file)
            stored = StoredObject(ObjectId(digest), path.stat().st_size)
            target = self._path(stored.id)
            if not target.exists():
                self._link(path, target)
            self._has_new_names = True
        except OSError as error:
            raise unavailable(f"{path} cannot be taken into {self.folder}", error) from error
        return stored

    def _sync(self, waiting: Contents) -> None:
        try:
            if waiting and self._segments.append(waiting):
                self._has_new_names = True
            if self._has_new_names:
                # What gets a name meanwhile is synced by the next.
                self._has_new_names = False
                self._sync_names()
        except OSError as error:
            raise unavailable(f"{self.folder} cannot be written or synced", error) from error
        finally:
            for object_id, content in waiting:
                if self._unwritten.get(object_id) is content:
                    del self._unwritten[object_id]

    def _sync_names(self) -> None:
        try:
            self._disk.sync_folder(self.folder)
        except BaseException:
            self._has_new_names = True
            raise

    def _get(self, object_id: ObjectId) -> bytes:
        small = self._small(object_id)
        if small is not None:
            return small
        with self._open(object_id) as file, self._reading(object_id):
            return file.read()

    def _small(self, object_id: ObjectId) -> bytes | None:
        """Return an object that is not in a file of its own, verified."""
        content = self._unwritten.get(object_id)
        if content is not None:
            return content
        place = self._segments.known(object_id)
        if place is None:
            with self._reading(object_id):
                is_alone = self._path(object_id).exists()
                place = None if is_alone else self._segments.find(object_id)
        return None if place is None else _part(object_id, place)

    def _open(self, object_id: ObjectId) -> BufferedReader | BytesIO:
        """Return what an object can be read from, verified, at its beginning."""
        small = self._small(object_id)
        if small is not None:
            return BytesIO(small)
        path = self._path(object_id)
        with self._reading(object_id):
            file = path.open("rb")
            try:
                _verify(path, file)
                file.seek(0)
            except BaseException:
                file.close()
                raise
        return file

    def _piece(self, object_id: ObjectId, file: BufferedReader | BytesIO) -> bytes:
        with self._reading(object_id):
            return file.read(_PIECE_BYTES)

    def _place_file(self, stored: StoredObject, path: Path) -> None:
        small = self._small(stored.id)
        if small is None:
            self._open(stored.id).close()
        source = self._path(stored.id)
        try:
            if small is not None:
                _write(small, path)
            elif path.suffix == ".sst":
                self._link(source, path)
            else:
                self._disk.copy(source, path)
        except OSError as error:
            raise unavailable(f"{path} cannot be written", error) from error

    def _link(self, source: Path, target: Path) -> None:
        """Give a file one more name, or copy it where it cannot have one: on another disk, or one without links."""
        try:
            self._disk.link(source, target)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            writing = target.with_name(f"{self._disk.writer()}-{next(self._numbers)}.tmp")
            self._disk.copy(source, writing)
            with writing.open("r+b") as file:
                self._disk.sync(file)
            writing.rename(target)

    def _ids(self) -> set[ObjectId]:
        # Where nobody has held it yet there may be none.
        paths = list(self.folder.iterdir()) if self.folder.is_dir() else []
        alone = {ObjectId(path.name) for path in paths if len(path.name) == 64}
        return alone | self._segments.ids() | set(self._unwritten)

    def _place_durably(self, object_id: ObjectId, path: Path) -> None:
        """Give a savepoint an object, as a file whose content is synced."""
        small = self._small(object_id)
        if small is None:
            self._link(self._path(object_id), path)
            return
        _write(small, path)
        with path.open("r+b") as file:
            self._disk.sync(file)

    def _take_in_savepoint(self, place: Path) -> ObjectId:
        manifest, paths = find_savepoint(place)
        self.folder.mkdir(exist_ok=True)
        for path in paths:
            self._put_file(path)
        self._sync([])
        return manifest

    def _holder(self) -> bytes | None:
        try:
            return (self.folder / _HOLDER).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise unavailable(f"{self.folder / _HOLDER} cannot be read", error) from error

    def _hold(self, content: bytes, instead_of: bytes | None) -> bool:
        writing = self.folder / f"{self._disk.writer()}-{_HOLDER}.tmp"
        try:
            if instead_of is None:
                self.folder.mkdir(exist_ok=True)
            with (self.folder / f"{_HOLDER}.lock").open("wb") as lock:
                self._disk.lock(lock)
                if self._holder() != instead_of:
                    return False
                with writing.open("wb") as file:
                    file.write(content)
                    file.flush()
                    self._disk.sync(file)
                writing.rename(self.folder / _HOLDER)
                self._disk.sync_folder(self.folder)
        except OSError as error:
            raise unavailable(f"{self.folder} cannot be held", error) from error
        self._held = content
        self._segments.take_over()
        return True

    def _delete(self, object_ids: Collection[ObjectId]) -> None:
        if object_ids and self._held is not None and self._holder() != self._held:
            raise fenced(str(self.folder))
        for object_id in self._segments.delete(sorted(object_ids)):
            self._path(object_id).unlink(missing_ok=True)

    @contextmanager
    def _reading(self, object_id: ObjectId) -> Iterator[None]:
        """What is not there is damage, what cannot be read now is not."""
        try:
            yield
        except OSError as error:
            raise _unreadable(self._path(object_id), error) from error

    def _path(self, object_id: ObjectId) -> Path:
        return self.folder / object_id


def _write(content: bytes, path: Path) -> None:
    with path.open("wb") as file:
        file.write(content)


def _part(object_id: ObjectId, place: Place) -> bytes:
    """Return an object that is in a segment, verified."""
    try:
        with place.path.open("rb") as file:
            file.seek(place.begin)
            content = file.read(place.size_bytes)
    except OSError as error:
        raise _unreadable(place.path, error) from error
    if hashlib.sha256(content).hexdigest() != object_id:
        why = f"the content at byte {place.begin} is not object {object_id}"
        raise damaged(place.path, why)
    return content


def _verify(path: Path, file: BufferedReader) -> None:
    if hashlib.file_digest(file, "sha256").hexdigest() != path.name:
        raise damaged(path, "its content is not what its name says")


def _unreadable(path: Path, error: OSError) -> UnavailableError | CorruptionError:
    # Where there is no folder, its disk is not mounted; it may be again by now, so that is asked before and after.
    is_mounted = path.parent.is_dir()
    is_back = path.exists() and not isinstance(error, PermissionError)
    if error.errno in _TRANSIENT or is_back or not (is_mounted and path.parent.is_dir()):
        return unavailable(f"{path} cannot be read now", error)
    return damaged(path, error.strerror or str(error))


def unavailable(what: str, error: OSError) -> UnavailableError:
    """Return the error of storage that cannot be used now."""
    return UnavailableError(f"{what}: {error.strerror or error}", code="SF3010")


def damaged(path: object, why: str) -> CorruptionError:
    """Return the error of an object that is not what was written."""
    return CorruptionError(
        f"{path} is damaged: {why}",
        code="SF5002",
        hint="see `statefun-worker checkpoints verify` for what can still be read",
    )
