"""Checkpoints as folders on disk.

STATE_DIR/checkpoints/00000001/state/…          the state's files
                              /unpublished      egress records that have not left
                              /manifest.json    written last, and synced: without it there is no checkpoint
STATE_DIR/live/                                 what the worker works on; thrown away at each start
STATE_DIR/lock, STATE_DIR/running               one worker at a time; and whether it ended cleanly
"""

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import IO

from statefun_runtime.core.checkpoint import Manifest, StoredFile
from statefun_runtime.core.messages import field, read_varint
from statefun_runtime.errors import ConfigError, CorruptionError
from statefun_runtime.ports.checkpoint_store import Unpublished

_FORMAT = 1
_MANIFEST, _STATE, _UNPUBLISHED = "manifest.json", "state", "unpublished"


class StateFolder:
    """The worker's folder, locked against a second worker for as long as this object is open."""

    def __init__(self, folder: Path) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = _lock(folder / "lock")
        except OSError as error:
            raise ConfigError(
                f"the state folder {folder} cannot be used: {error.strerror or error}",
                code="SF1041",
                hint="choose another with --state-dir",
            ) from error
        self._folder = folder
        self._running = folder / "running"
        self.has_crashed = self._running.exists()

    @property
    def checkpoints(self) -> Path:
        """Where checkpoints are."""
        return self._folder / "checkpoints"

    def fresh_live_folder(self) -> Path:
        """Throw the live folder of an earlier life away; return its path, which does not exist now."""
        live = self._folder / "live"
        shutil.rmtree(live, ignore_errors=True)
        self._running.touch()
        return live

    def ended_cleanly(self) -> None:
        """Remember that a checkpoint holds everything."""
        shutil.rmtree(self._folder / "live", ignore_errors=True)
        self._running.unlink(missing_ok=True)

    def never_ran(self) -> None:
        """Nothing was done since the start: this is no crash, but one before it still counts."""
        if not self.has_crashed:
            self._running.unlink(missing_ok=True)

    def close(self) -> None:
        """Let the next worker in."""
        self._lock.close()


def _lock(path: Path) -> IO[str]:
    file = path.open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        owner = file.read().strip() or "unknown"
        file.close()
        raise ConfigError(
            f"the state folder {path.parent} is used by another worker (process {owner})",
            code="SF1042",
            hint="stop that worker, or choose another folder with --state-dir",
        ) from None
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
    return file


class CheckpointFolder:
    """A CheckpointStore in a folder; keeps the newest `kept` checkpoints."""

    def __init__(self, folder: Path, *, kept: int = 3) -> None:
        self._folder = folder
        self._kept = kept

    def latest(self) -> Manifest | None:
        """Return the newest checkpoint that has a manifest."""
        numbers = self._numbers()
        return self._read(numbers[-1]) if numbers else None

    def save(
        self, manifest: Manifest, snapshot: Callable[[Path], None], unpublished: Unpublished
    ) -> None:
        """Write a checkpoint under its number; its files, then its manifest, then the folder's entry."""
        self._folder.mkdir(parents=True, exist_ok=True)
        final = self._path(manifest.number)
        assert not final.exists(), f"checkpoint {manifest.number} exists"
        writing = final.with_suffix(".tmp")
        shutil.rmtree(writing, ignore_errors=True)
        writing.mkdir()
        snapshot(writing / _STATE)
        (writing / _UNPUBLISHED).write_bytes(
            b"".join(
                field(b"", egress.encode()) + field(b"", record) for egress, record in unpublished
            )
        )
        files = tuple(
            _describe(writing, path) for path in sorted(writing.rglob("*")) if path.is_file()
        )
        content = {"format": _FORMAT, **asdict(replace(manifest, files=files))}
        (writing / _MANIFEST).write_text(json.dumps(content, indent=1))
        for path in (*writing.rglob("*"), writing):
            _sync(path)
        writing.rename(final)
        _sync(self._folder)
        for number in self._numbers()[: -self._kept]:
            shutil.rmtree(self._path(number), ignore_errors=True)

    def restore(self, manifest: Manifest, folder: Path) -> Unpublished:
        """Link the state's files into a new folder; nothing of the checkpoint itself is ever opened for writing."""
        source = self._path(manifest.number)
        folder.mkdir(parents=True)
        for file in manifest.files:
            path = source / file.name
            if not path.is_file() or _describe(source, path) != file:
                raise CorruptionError(
                    f"{path} of checkpoint {manifest.number} is missing or damaged",
                    code="SF5002",
                    hint=f"delete {source} to start from the checkpoint before it",
                )
            if not file.name.startswith(f"{_STATE}/"):
                continue
            target = folder / Path(file.name).relative_to(_STATE)
            if path.suffix == ".sst":
                os.link(path, target)
            else:
                shutil.copyfile(path, target)
        return _read_unpublished((source / _UNPUBLISHED).read_bytes())

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:08d}"

    def _numbers(self) -> list[int]:
        if not self._folder.is_dir():
            return []
        return sorted(
            int(path.name)
            for path in self._folder.iterdir()
            if path.name.isdecimal() and (path / _MANIFEST).is_file()
        )

    def _read(self, number: int) -> Manifest:
        path = self._path(number) / _MANIFEST
        try:
            content = json.loads(path.read_text())
            if content.pop("format") != _FORMAT:
                raise ValueError("it is of another format")
            files = tuple(StoredFile(**file) for file in content.pop("files"))
            return Manifest(**content, files=files)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise CorruptionError(
                f"{path} cannot be read: {error}",
                code="SF5003",
                hint=f"delete {path.parent} to start from the checkpoint before it",
            ) from error


def _describe(root: Path, path: Path) -> StoredFile:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return StoredFile(path.relative_to(root).as_posix(), path.stat().st_size, digest)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _read_unpublished(data: bytes) -> list[tuple[str, bytes]]:
    records, offset = [], 0
    while offset < len(data):
        size, offset = read_varint(data, offset)
        egress, offset = data[offset : offset + size].decode(), offset + size
        size, offset = read_varint(data, offset)
        records.append((egress, data[offset : offset + size]))
        offset += size
    return records
