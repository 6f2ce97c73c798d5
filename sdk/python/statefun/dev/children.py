"""The processes of `statefun dev`: what they print is told apart, and they end with it, as does what they started."""

import contextlib
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from typing import IO

from statefun.dev.guard import GRACE_S, Guard, is_there, signal_all, wait_for

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

    What it starts in turn ends with it: `go run` and `npm` pass no signal on. With `has_terminal` it has the terminal for
    itself, so that a debugger in it works: its lines are not marked. Otherwise `hears` is told each line after it was
    printed, in a thread of its own.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        guard: Guard,
        *,
        has_terminal: bool = False,
        grace_s: float = GRACE_S,
        hears: Callable[[str], None] = lambda line: None,
    ) -> None:
        self.name = name
        self._command = list(command)
        self._guard = guard
        self._has_terminal = has_terminal
        self._grace_s = grace_s
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
            # A session makes a group that can be signalled whole. Ctrl-C at the terminal does not reach it, and is passed
            # on once. Whoever holds a terminal that is not its session's may read it: no job control stands in the way.
            start_new_session=True,
        )
        self._guard.name(self._process.pid)
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

    def stop(self) -> None:
        """End it and what it has started, and wait for that."""
        process = self._process
        if process is None:
            return
        signal_all([process.pid], signal.SIGTERM)
        if not wait_for(self._has_ended, self._grace_s):
            say("dev", f"{self.name} does not end, and is killed")
            self.kill()
            process.wait()
        if self._reader is not None:
            self._reader.join()
        self._guard.name(process.pid)
        self._process = self._reader = None

    def kill(self) -> None:
        """End it and what it has started at once; whoever stops it finds it ended."""
        if self._process is not None:
            signal_all([self._process.pid], signal.SIGKILL)

    def _has_ended(self) -> bool:
        assert self._process is not None
        return self._process.poll() is not None and not is_there(self._process.pid)

    def _pass_on(self, lines: IO[str]) -> None:
        with lines:
            for line in lines:
                said = line.rstrip("\n")
                say(self.name, said)
                self._hears(said)
