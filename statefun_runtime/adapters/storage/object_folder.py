"""A checkpoint store in a folder: one file per object, named by its SHA-256.

A file is written under another name, synced, and renamed: under its own name it is always whole.
"""

import hashlib
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from errno import EINTR, EMFILE, ENFILE, ENOMEM
from io import BufferedReader
from itertools import count
from pathlib import Path

from statefun_runtime.adapters.storage.disk import MACHINE_DISK, Disk
from statefun_runtime.adapters.storage.savepoint_folder import find_savepoint, write_savepoint
from statefun_runtime.core.checkpoints.manifest import ObjectId, StoredObject
from statefun_runtime.core.checkpoints.retention import Savepoint
from statefun_runtime.errors import CorruptionError, UnavailableError

_PIECE_BYTES = 1024 * 1024
# What says nothing about the file: the process or the machine has too little of something.
_TRANSIENT = (EMFILE, ENFILE, ENOMEM, EINTR)


class ObjectFolder:
    """A CheckpointStore on a local or shared disk."""

    def __init__(self, folder: Path, *, sweep: bool = True, disk: Disk = MACHINE_DISK) -> None:
        self.folder = folder
        self._disk = disk
        self._numbers = count()
        folder.mkdir(parents=True, exist_ok=True)
        for leftover in folder.glob("*.tmp") if sweep else ():
            leftover.unlink()

    def put(self, pieces: Iterable[bytes]) -> StoredObject:
        """Write an object and sync its content."""
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
            raise _unavailable(f"an object cannot be written to {self.folder}", error) from error
        return stored

    def put_file(self, path: Path) -> StoredObject:
        """Link a file in; its content is synced, and must never change."""
        try:
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
                self._disk.sync(file)
            stored = StoredObject(ObjectId(digest), path.stat().st_size)
            target = self._path(stored.id)
            if not target.exists():
                self._disk.link(path, target)
        except OSError as error:
            raise _unavailable(f"{path} cannot be taken into {self.folder}", error) from error
        return stored

    def sync(self) -> None:
        """Sync the names of what was put."""
        try:
            self._disk.sync_folder(self.folder)
        except OSError as error:
            raise _unavailable(f"{self.folder} cannot be synced", error) from error

    def get(self, object_id: ObjectId) -> bytes:
        """Return an object's content."""
        return b"".join(self.read(object_id))

    def read(self, object_id: ObjectId) -> Iterator[bytes]:
        """Yield an object's content in pieces."""
        with self._opened(object_id) as file:
            _verify(self._path(object_id), file)
            file.seek(0)
            while piece := file.read(_PIECE_BYTES):
                yield piece

    def place_file(self, stored: StoredObject, path: Path) -> None:
        """Link or copy an object to a path."""
        source = self._path(stored.id)
        with self._opened(stored.id) as file:
            _verify(source, file)
        try:
            if path.suffix == ".sst":
                self._disk.link(source, path)
            else:
                self._disk.copy(source, path)
        except OSError as error:
            raise _unavailable(f"{path} cannot be written", error) from error

    def ids(self) -> set[ObjectId]:
        """Return which objects there are."""
        return {ObjectId(path.name) for path in self.folder.iterdir() if len(path.name) == 64}

    def write_savepoint(self, place: str, savepoint: Savepoint) -> None:
        """Write a savepoint to a new folder."""
        write_savepoint(Path(place), savepoint, self.folder, self._disk)

    def take_in_savepoint(self, place: str) -> ObjectId:
        """Link the objects of a savepoint's folder in; return its manifest."""
        manifest, paths = find_savepoint(Path(place))
        for path in paths:
            self.put_file(path)
        self.sync()
        return manifest

    def delete(self, object_ids: Collection[ObjectId]) -> None:
        """Delete objects; one that is gone already is no error."""
        for object_id in sorted(object_ids):
            self._path(object_id).unlink(missing_ok=True)

    @contextmanager
    def _opened(self, object_id: ObjectId) -> Iterator[BufferedReader]:
        """Open an object to be read; what is not there is damage, what cannot be read now is not."""
        path = self._path(object_id)
        try:
            with path.open("rb") as file:
                yield file
        except OSError as error:
            why = error.strerror or str(error)
            if error.errno in _TRANSIENT:
                raise _unavailable(f"{path} cannot be read now", error) from error
            raise _corrupt(path, why) from error

    def _path(self, object_id: ObjectId) -> Path:
        return self.folder / object_id


def _verify(path: Path, file: BufferedReader) -> None:
    if hashlib.file_digest(file, "sha256").hexdigest() != path.name:
        raise _corrupt(path, "its content is not what its name says")


def _unavailable(what: str, error: OSError) -> UnavailableError:
    return UnavailableError(f"{what}: {error.strerror or error}", code="SF3010")


def _corrupt(path: Path, why: str) -> CorruptionError:
    return CorruptionError(
        f"{path} is damaged: {why}",
        code="SF5002",
        hint="see `statefun-worker checkpoints verify` for what can still be read",
    )
