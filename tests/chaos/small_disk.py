"""A small disk that can be filled up: a tmpfs in a mount namespace of its own, gone with its holder."""

import errno
import os
import sys
from pathlib import Path

from tests.support.processes import Process
from tests.support.provisions import ROOT, Unavailable, command_path

_PIECE = bytes(256 * 1024)


class SmallDisk:
    """A disk mounted at `place`; a program started by `python` sees it there, all others see an empty folder."""

    def __init__(self, place: Path, folder: Path, *, size_mib: int) -> None:
        self.folder = folder
        place.mkdir(parents=True)
        mount = f"mount -t tmpfs -o size={size_mib}m tmpfs '{place}' && echo mounted && exec sleep 86400"
        self._holder = Process(
            [command_path("unshare"), "--mount", "sh", "-c", mount], log=folder / "disk.log"
        )
        try:
            self._holder.wait_for_line("^mounted$")
        except AssertionError as error:
            raise Unavailable(
                f"a tmpfs in a private mount namespace is not permitted here: {self._holder.output().strip()}"
            ) from error
        self.python = folder / "python-on-small-disk"
        self.python.write_text(
            f"""#!/bin/sh
exec {command_path("nsenter")} --mount=/proc/{self._holder.pid}/ns/mnt sh -c 'cd "$0" && exec {sys.executable} "$@"' '{ROOT}' "$@"
"""
        )
        self.python.chmod(0o755)
        # The same disk, as it is seen from outside.
        self.seen = Path(f"/proc/{self._holder.pid}/root{place}")
        self._filler = self.seen / "filler"

    def fill(self) -> None:
        """Leave no byte free."""
        with self._filler.open("ab", buffering=0) as file:
            size = len(_PIECE)
            while size:
                try:
                    file.write(_PIECE[:size])
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise
                    size //= 2

    def free(self) -> None:
        """Give the space back."""
        self._filler.unlink(missing_ok=True)

    def free_bytes(self) -> int:
        state = os.statvfs(self.seen)
        return state.f_bavail * state.f_frsize

    def close(self) -> None:
        self._holder.stop()
