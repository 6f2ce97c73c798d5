"""The processes of `statefun dev`: what they print is told apart, and they end with it."""

import contextlib
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from typing import IO

_GRACE_S, _TOLD_S = 10.0, 1.0
_COLOURS = {"worker": "36", "functions": "33"}


def say(who: str, line: str) -> None:
    """Print a line with who says it in front."""
    name = f"{who:>9} |"
    if sys.stdout.isatty():
        name = f"\x1b[{_COLOURS.get(who, '32')}m{name}\x1b[0m"
    with contextlib.suppress(BrokenPipeError):
        print(f"{name} {line}", flush=True)


class Child:
    """A process that is started, and started again, with one command.

    With `has_terminal` it has the terminal for itself, so that a debugger in it works: its lines are not marked.
    Otherwise `hears` is told each line after it was printed, in a thread of its own.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        has_terminal: bool = False,
        hears: Callable[[str], None] = lambda line: None,
    ) -> None:
        self.name = name
        self._command = list(command)
        self._has_terminal = has_terminal
        self._hears = hears
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None

    def start(self) -> None:
        """Start it; raise OSError if the command is not there."""
        out = None if self._has_terminal else subprocess.PIPE
        self._process = subprocess.Popen(
            self._command,
            stdin=None if self._has_terminal else subprocess.DEVNULL,
            stdout=out,
            stderr=None if self._has_terminal else subprocess.STDOUT,
            text=True,
            # Ctrl-C at the terminal is for everybody in it, and the worker takes a second signal for haste.
            start_new_session=not self._has_terminal,
        )
        if self._process.stdout is not None:
            self._reader = threading.Thread(target=self._pass_on, args=[self._process.stdout])
            self._reader.start()

    @property
    def exit_status(self) -> int | None:
        """How it ended; None while it runs."""
        return None if self._process is None else self._process.poll()

    def tell(self, number: signal.Signals) -> None:
        """Send it a signal; one that has ended hears nothing."""
        if self._process is not None:
            self._process.send_signal(number)

    def stop(self, *, is_told: bool = False) -> None:
        """End it, and wait for that; one that `is_told` may be ending already, as by Ctrl-C."""
        process = self._process
        if process is None:
            return
        if not (is_told and self._has_terminal and _ends(process, _TOLD_S)):
            process.send_signal(signal.SIGTERM)
            if not _ends(process, _GRACE_S):
                say("dev", f"{self.name} does not end, and is killed")
                process.kill()
                process.wait()
        if self._reader is not None:
            self._reader.join()
        self._process = self._reader = None

    def _pass_on(self, lines: IO[str]) -> None:
        with lines:
            for line in lines:
                said = line.rstrip("\n")
                say(self.name, said)
                self._hears(said)


def _ends(process: "subprocess.Popen[str]", limit_s: float) -> bool:
    try:
        process.wait(limit_s)
    except subprocess.TimeoutExpired:
        return False
    return True
