"""What storage asks of the operating system besides paths: syncs, links and copies."""

import fcntl
import os
import shutil
from pathlib import Path
from typing import IO, Protocol

# Not every system has the one that leaves times of access alone.
_sync = getattr(os, "fdatasync", os.fsync)


class Disk(Protocol):
    """Calls that make files survive.

    Guarantees: what was written to a file before `sync` is on the platter when it returns, what was named in a
    folder before `sync_folder` is, too. `link` never replaces a name: FileExistsError. Everything may block, and
    raises OSError.
    """

    def sync(self, file: IO[bytes]) -> None:
        """Make the content of an open file survive."""
        ...

    def sync_folder(self, folder: Path) -> None:
        """Make the names in a folder survive."""
        ...

    def link(self, source: Path, target: Path) -> None:
        """Give a file one more name."""
        ...

    def copy(self, source: Path, target: Path) -> None:
        """Copy a file's content."""
        ...

    def lock(self, file: IO[bytes]) -> None:
        """Wait until nobody else has an open file locked, and lock it until it is closed."""
        ...

    def writer(self) -> str:
        """Return a name for files in the making that no other process has."""
        ...


class MachineDisk:
    """The disks of this machine; on one that other machines write to, too, a writer needs a name that none of them has."""

    def __init__(self, writer: str = "") -> None:
        self._writer = writer

    def sync(self, file: IO[bytes]) -> None:
        """Sync content and length; other metadata may be lost."""
        _sync(file.fileno())

    def sync_folder(self, folder: Path) -> None:
        """Sync a folder."""
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def link(self, source: Path, target: Path) -> None:
        """Make a hard link."""
        os.link(source, target)

    def copy(self, source: Path, target: Path) -> None:
        """Copy a file."""
        shutil.copyfile(source, target)

    def lock(self, file: IO[bytes]) -> None:
        """Lock it for all processes that reach it."""
        fcntl.flock(file, fcntl.LOCK_EX)

    def writer(self) -> str:
        """Return the number of this process, if it was given no name."""
        return self._writer or str(os.getpid())


MACHINE_DISK = MachineDisk()
