"""Ends the process groups of somebody who is gone, killed or not: a process of its own, at the end of a pipe.

It is run as a file, with nothing but Python's own library, so that it is there at once and costs little.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import suppress

GRACE_S = 10.0
_LOOK_S = 0.02


class Guard:
    """Whoever makes this may be killed: the groups that were named then end all the same."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", __file__],
            stdin=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def name(self, group: int) -> None:
        """Say that a group is there and, with the same word once more, that it is not."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            print(group, file=self._process.stdin, flush=True)

    def close(self) -> None:
        """End it: groups that are named and still there end, too."""
        self._process.communicate()


def signal_all(groups: Iterable[int], number: int) -> None:
    """Send a signal to all processes of the groups; a group that has ended hears nothing."""
    for group in groups:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(group, number)


def is_there(group: int) -> bool:
    """Whether the group has a process, also one that its first process left behind."""
    try:
        os.killpg(group, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def wait_for(has_ended: Callable[[], bool], limit_s: float) -> bool:
    """Return True once it has ended, and False if it has not by then."""
    deadline = time.monotonic() + limit_s
    while not has_ended():
        if time.monotonic() > deadline:
            return False
        time.sleep(_LOOK_S)
    return True


def _main() -> None:
    groups: set[int] = set()
    for line in sys.stdin:
        groups ^= {int(line)}
    signal_all(groups, signal.SIGTERM)
    if not wait_for(lambda: not any(map(is_there, groups)), GRACE_S):
        signal_all(groups, signal.SIGKILL)


if __name__ == "__main__":
    _main()
