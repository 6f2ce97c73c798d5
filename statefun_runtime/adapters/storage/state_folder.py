"""The worker's folder.

STATE_DIR/lock       one worker at a time
         /log/       the commit log
         /objects/   what checkpoints are made of
         /checkpoints where that is, if it is not here
         /live/      what the worker works on; thrown away at each start
         /importing  there while state is brought in: all else in the folder is half of it
"""

import fcntl
import os
import shutil
from pathlib import Path
from typing import IO

from statefun_runtime.adapters.storage.disk import MACHINE_DISK
from statefun_runtime.errors import ConfigError, UnavailableError

_IMPORTING = "importing"
# What may lie in a folder that counts as empty.
_NOTHING = {"lock", "live", "lost+found", "checkpoints"}


class StateFolder:
    """A folder, locked against a second worker for as long as this object is open.

    One in which an import did not end is opened by another import only, which begins anew.
    """

    def __init__(self, folder: Path, *, for_import: bool = False) -> None:
        self.folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = _lock(folder / "lock")
        except OSError as error:
            raise ConfigError(
                f"the state folder {folder} cannot be used: {error.strerror or error}",
                code="SF1041",
                hint="choose another with --state-dir",
            ) from error
        try:
            _refuse_import(folder, for_import=for_import)
        except ConfigError:
            self._lock.close()
            raise
        shutil.rmtree(folder / "live", ignore_errors=True)
        self._lives = 0

    def begin_import(self) -> None:
        """Clear away what an import left that did not end; from now on no worker begins here."""
        shutil.rmtree(self.folder / "objects", ignore_errors=True)
        shutil.rmtree(self.folder / "log", ignore_errors=True)
        (self.folder / _IMPORTING).touch()
        self._sync()

    def end_import(self, *, is_complete: bool) -> None:
        """Let workers in again: all that was to be imported is there, or nothing is."""
        if not is_complete:
            shutil.rmtree(self.folder / "log", ignore_errors=True)
            shutil.rmtree(self.folder / "objects", ignore_errors=True)
        self._sync()
        (self.folder / _IMPORTING).unlink(missing_ok=True)
        self._sync()

    def _sync(self) -> None:
        MACHINE_DISK.sync_folder(self.folder)

    def fresh_live_folder(self) -> Path:
        """Return a path for live files which does not exist."""
        self._lives += 1
        parent = self.folder / "live"
        parent.mkdir(exist_ok=True)
        return parent / str(self._lives)

    def discard(self, live: Path) -> None:
        """Throw live files away that will not be used."""
        shutil.rmtree(live, ignore_errors=True)

    def clear_live(self) -> None:
        """Throw the live files of workers away that are no more."""
        shutil.rmtree(self.folder / "live", ignore_errors=True)

    def clear_live_of(self, pid: int) -> None:
        """Throw the live files of one worker away that is no more."""
        live = self.folder / "live"
        for path in (live / f"fetched-{pid}", live / f"functions-{pid}", *live.glob(f"{pid}-*")):
            shutil.rmtree(path, ignore_errors=True)

    def close(self) -> None:
        """Throw the live files away, and let the next worker in."""
        self.clear_live()
        self._lock.close()


def _refuse_import(folder: Path, *, for_import: bool) -> None:
    """An import needs a folder with nothing in it, and a worker one in which no import is under way."""
    was_left = (folder / _IMPORTING).exists()
    if not for_import and was_left:
        raise ConfigError(
            f"an import into {folder} did not end, so that what lies there is half of it",
            code="SF1124",
            hint="run the import again: it begins anew; or delete the folder",
        )
    there = sorted({path.name for path in folder.iterdir()} - _NOTHING)
    if for_import and there and not was_left:
        raise ConfigError(
            f"the state folder {folder} is not empty: there is {', '.join(there)}",
            code="SF1123",
            hint="an import begins an application; name a new folder with --state-dir",
        )


def _lock(path: Path) -> IO[str]:
    file = path.open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        owner = file.read().strip() or "unknown"
        file.close()
        raise UnavailableError(
            f"the state folder {path.parent} is used by another worker (process {owner})",
            code="SF3042",
            hint="stop that worker, or choose another folder with --state-dir",
        ) from None
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
    return file
