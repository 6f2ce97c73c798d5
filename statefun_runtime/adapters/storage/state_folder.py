"""The worker's folder.

STATE_DIR/lock       one worker at a time
         /log/       the commit log
         /objects/   what checkpoints are made of
         /live/      what the worker works on; thrown away at each start
"""

import fcntl
import os
import shutil
from pathlib import Path
from typing import IO

from statefun_runtime.errors import ConfigError, UnavailableError


class StateFolder:
    """A folder, locked against a second worker for as long as this object is open."""

    def __init__(self, folder: Path) -> None:
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
        shutil.rmtree(folder / "live", ignore_errors=True)
        self._lives = 0

    def fresh_live_folder(self) -> Path:
        """Return a path for live files which does not exist."""
        self._lives += 1
        parent = self.folder / "live"
        parent.mkdir(exist_ok=True)
        return parent / str(self._lives)

    def discard(self, live: Path) -> None:
        """Throw live files away that will not be used."""
        shutil.rmtree(live, ignore_errors=True)

    def close(self) -> None:
        """Throw the live files away, and let the next worker in."""
        shutil.rmtree(self.folder / "live", ignore_errors=True)
        self._lock.close()


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
