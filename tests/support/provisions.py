"""What tests need from outside: fetched into .cache once, or named as missing."""

import fcntl
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache"


class Unavailable(Exception):
    """Something outside of this repository is missing; the text says what."""


def made_once(name: str, make: Callable[[Path], None]) -> Path:
    """Return `.cache/name`, made by `make(directory)` if it is not there yet.

    Safe when several processes ask at once: one makes it, the others wait. The
    directory appears under its name only when it is whole.
    """
    target = CACHE / name
    if target.exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with _locked(target.with_name(target.name + ".lock")):
        if target.exists():
            return target
        unfinished = target.with_name(f"{target.name}.{os.getpid()}.unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir()
        try:
            make(unfinished)
            unfinished.rename(target)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
    return target


def command_path(name: str) -> str:
    """Return where the command is, or raise `Unavailable`."""
    path = shutil.which(name)
    if path is None:
        raise Unavailable(f"the command '{name}' is not on the PATH")
    return path


def run_or_unavailable(command: Sequence[str | Path], *, cwd: Path, timeout_s: float) -> str:
    """Run a command that fetches or checks something; return its output."""
    shown = " ".join(str(part) for part in command[:4])
    try:
        done = subprocess.run(
            [str(part) for part in command],
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(f"'{shown} …' did not run: {error}") from error
    if done.returncode != 0:
        last = (done.stdout + done.stderr).strip().splitlines()[-3:]
        raise Unavailable(f"'{shown} …' failed with {done.returncode}: {' | '.join(last)}")
    return done.stdout


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
