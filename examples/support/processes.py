"""What the demos share: starting processes beside each other, and ending them in order."""

import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

_READY_S = 30.0
_STOP_S = 10.0


@contextmanager
def running(*command: str | Path, quiet: bool = True) -> Iterator[subprocess.Popen[bytes]]:
    """Run a Python program for as long as the block lasts; Ctrl-C reaches only the demo itself."""
    output = subprocess.DEVNULL if quiet else None
    process = subprocess.Popen(
        [sys.executable, *map(str, command)],
        stdout=output,
        stderr=None,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()


def wait_until(is_so: Callable[[], bool], what: str, *processes: subprocess.Popen[bytes]) -> None:
    """Return when something is so; end the demo if it never is, or a process has ended."""
    ends = time.monotonic() + _READY_S
    while not is_so():
        for process in processes:
            if process.poll() is not None:
                sys.exit(f"{what}: a process ended with status {process.returncode}, see above")
        if time.monotonic() > ends:
            sys.exit(f"{what}: not within {_READY_S:.0f} s")
        time.sleep(0.02)


def answers(url: str) -> bool:
    """Return whether something listens there, whatever it says."""
    try:
        urllib.request.urlopen(url, timeout=1).close()
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


def stay() -> None:
    """Stay up until Ctrl-C."""
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        print("\nstopping")
