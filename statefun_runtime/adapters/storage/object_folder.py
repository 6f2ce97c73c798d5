"""A checkpoint store in a folder: one file per object, named by its SHA-256.

A file is written under another name, synced, and renamed: under its own name it is always whole.
"""

import fcntl
import hashlib
from collections.abc import AsyncGenerator, Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from errno import EINTR, EMFILE, EMLINK, ENFILE, ENOMEM, ENOTSUP, EPERM, EXDEV
from io import BufferedReader
from itertools import count
from pathlib import Path

from statefun_runtime.adapters.storage.disk import MACHINE_DISK, Disk
from statefun_runtime.adapters.storage.savepoint_folder import find_savepoint, write_savepoint
from statefun_runtime.core.checkpoints.commits import fenced
from statefun_runtime.core.checkpoints.manifest import ObjectId, StoredObject
from statefun_runtime.core.checkpoints.retention import Savepoint
from statefun_runtime.errors import CorruptionError, UnavailableError
from statefun_runtime.ports.off_loop import OffLoop

_PIECE_BYTES = 1024 * 1024
_HOLDER = "holder.json"
# What says nothing about the file: the process or the machine has too little of something.
_TRANSIENT = (EMFILE, ENFILE, ENOMEM, EINTR)
_NO_LINKS = (EXDEV, EPERM, EMLINK, ENOTSUP)


class ObjectFolder:
    """A CheckpointStore on a local or shared disk; a savepoint's place is what `path` makes a folder of."""

    def __init__(
        self,
        folder: Path,
        off_loop: OffLoop,
        *,
        sweep: bool = True,
        disk: Disk = MACHINE_DISK,
        path: Callable[[str], Path] = Path,
    ) -> None:
        self.folder = folder
        self._off_loop = off_loop
        self._place = path
        self._disk = disk
        self._numbers = count()
        self._held: bytes | None = None
        folder.mkdir(parents=True, exist_ok=True)
        for leftover in folder.glob("*.tmp") if sweep else ():
            leftover.unlink()

    async def put(self, pieces: Iterable[bytes]) -> StoredObject:
        """Write an object and sync its content."""
        return await self._off_loop(lambda: self._put(pieces))

    async def put_file(self, path: Path) -> StoredObject:
        """Link a file in; its content is synced, and must never change."""
        return await self._off_loop(lambda: self._put_file(path))

    async def sync(self) -> None:
        """Sync the names of what was put."""
        await self._off_loop(self._sync)

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
        await self._off_loop(lambda: write_savepoint(folder, savepoint, self.folder, self._disk))

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
        except OSError as error:
            raise unavailable(f"{path} cannot be taken into {self.folder}", error) from error
        return stored

    def _sync(self) -> None:
        try:
            self._disk.sync_folder(self.folder)
        except OSError as error:
            raise unavailable(f"{self.folder} cannot be synced", error) from error

    def _get(self, object_id: ObjectId) -> bytes:
        with self._open(object_id) as file, self._reading(object_id):
            return file.read()

    def _open(self, object_id: ObjectId) -> BufferedReader:
        """Return an object's file, verified, at its beginning."""
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

    def _piece(self, object_id: ObjectId, file: BufferedReader) -> bytes:
        with self._reading(object_id):
            return file.read(_PIECE_BYTES)

    def _place_file(self, stored: StoredObject, path: Path) -> None:
        self._open(stored.id).close()
        source = self._path(stored.id)
        try:
            if path.suffix == ".sst":
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
        return {ObjectId(path.name) for path in self.folder.iterdir() if len(path.name) == 64}

    def _take_in_savepoint(self, place: Path) -> ObjectId:
        manifest, paths = find_savepoint(place)
        for path in paths:
            self._put_file(path)
        self._sync()
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
            with (self.folder / f"{_HOLDER}.lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
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
        return True

    def _delete(self, object_ids: Collection[ObjectId]) -> None:
        if object_ids and self._held is not None and self._holder() != self._held:
            raise fenced(str(self.folder))
        for object_id in sorted(object_ids):
            self._path(object_id).unlink(missing_ok=True)

    @contextmanager
    def _reading(self, object_id: ObjectId) -> Iterator[None]:
        """What is not there is damage, what cannot be read now is not."""
        try:
            yield
        except OSError as error:
            path, why = self._path(object_id), error.strerror or str(error)
            if error.errno in _TRANSIENT:
                raise unavailable(f"{path} cannot be read now", error) from error
            raise damaged(path, why) from error

    def _path(self, object_id: ObjectId) -> Path:
        return self.folder / object_id


def _verify(path: Path, file: BufferedReader) -> None:
    if hashlib.file_digest(file, "sha256").hexdigest() != path.name:
        raise damaged(path, "its content is not what its name says")


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
