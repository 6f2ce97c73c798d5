"""The commit log of a standalone worker: one file per entry, made by `link()`.

A link never replaces a file, so of two workers that want the same number one gets EEXIST, and is fenced. The folder
is synced before `append` returns, also when the entry was found there.
"""

import json
from pathlib import Path

from statefun_runtime.adapters.storage.disk import MACHINE_DISK, Disk
from statefun_runtime.core.checkpoints.commits import (
    Completed,
    Entry,
    entry_form,
    fenced,
    read_entry,
    unreadable,
)
from statefun_runtime.errors import UnavailableError
from statefun_runtime.ports.off_loop import OffLoop


class CommitLogFolder:
    """A CommitLog in a folder."""

    def __init__(self, folder: Path, off_loop: OffLoop, *, disk: Disk = MACHINE_DISK) -> None:
        self._folder = folder
        self._off_loop = off_loop
        self._disk = disk
        self._last = 0
        # Of entries that were read or added here: a prune reads none.
        self._epochs: dict[int, int] = {}
        folder.mkdir(parents=True, exist_ok=True)

    async def read(self) -> list[Entry]:
        """Return all entries; from now on `append` goes behind the last one read."""
        return await self._off_loop(self._read)

    async def append(self, entry: Entry) -> None:
        """Add an entry; raise FencedError if another worker has added one since."""
        await self._off_loop(lambda: self._append(entry))

    async def prune(self, oldest_epoch: int) -> None:
        """Delete the entries of checkpoints before an epoch, but never the newest entry."""
        await self._off_loop(lambda: self._prune(oldest_epoch))

    # ── what blocks ──

    def _read(self) -> list[Entry]:
        """The folder is synced first: an entry that is found may have been left by an append that failed at that."""
        try:
            self._disk.sync_folder(self._folder)
        except OSError as error:
            raise _unavailable(self._folder, error) from error
        entries = []
        for number in self._numbers():
            path = self._path(number)
            try:
                entry = read_entry(json.loads(path.read_bytes()))
            except (OSError, ValueError, KeyError, TypeError) as error:
                raise unreadable(str(path), error) from error
            entries.append(entry)
            self._added(number, entry)
        return entries

    def _append(self, entry: Entry) -> None:
        content = json.dumps(entry_form(entry)).encode()
        writing = self._folder / f"{self._disk.writer()}.tmp"
        number = self._last + 1
        try:
            with writing.open("wb") as file:
                file.write(content)
                file.flush()
                self._disk.sync(file)
            try:
                self._disk.link(writing, self._path(number))
            except FileExistsError:
                if self._path(number).read_bytes() != content:
                    raise fenced(str(self._folder)) from None
            self._disk.sync_folder(self._folder)
            writing.unlink()
        except OSError as error:
            raise _unavailable(self._folder, error) from error
        self._added(number, entry)

    def _added(self, number: int, entry: Entry) -> None:
        self._last = number
        if isinstance(entry, Completed):
            self._epochs[number] = entry.epoch

    def _prune(self, oldest_epoch: int) -> None:
        for number, epoch in list(self._epochs.items()):
            if epoch < oldest_epoch and number != self._last:
                self._path(number).unlink(missing_ok=True)
                del self._epochs[number]

    def _numbers(self) -> list[int]:
        return sorted(int(path.name) for path in self._folder.iterdir() if path.name.isdecimal())

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:012d}"


def _unavailable(folder: Path, error: OSError) -> UnavailableError:
    return UnavailableError(f"{folder} cannot be written: {error.strerror or error}", code="SF3011")
