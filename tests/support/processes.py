"""Child processes with their output in a file, and waiting for what they do, with a deadline."""

import ctypes
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from tests.support.provisions import ROOT
from tests.support.sockets import is_listening

T = TypeVar("T")
POLL_S, POLL_MAX_S = 0.02, 0.5
# A pause is so many times as long as the question before it took.
PAUSE_SHARE = 3.0
DEADLINE_S = 30.0
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


class Process:
    """A child process that ends when its test process does, whatever way that ends."""

    def __init__(
        self,
        command: Sequence[str | Path],
        *,
        log: Path,
        cwd: Path = ROOT,
        env: Mapping[str, str] | None = None,
        cpus: frozenset[int] | None = None,
    ) -> None:
        self.command = [str(part) for part in command]
        self.log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            self._child = subprocess.Popen(
                self.command,
                cwd=cwd,
                env=dict(os.environ) | {"PYTHONUNBUFFERED": "1"} | dict(env or {}),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                # Ctrl-C at the terminal is for the parent, which stops its children in order.
                start_new_session=True,
                preexec_fn=lambda: _prepare_child(cpus),
            )

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def exit_status(self) -> int | None:
        """None while the process runs; negative after a signal, as in `subprocess`."""
        return self._child.poll()

    def output(self) -> str:
        return self.log.read_text(errors="replace")

    def wait_for_line(self, pattern: str, *, timeout_s: float = DEADLINE_S) -> re.Match[str]:
        """Return the first match of the pattern in the output, once it is there."""
        return self.wait_for(
            lambda: re.search(pattern, self.output(), re.MULTILINE),
            f"a line like {pattern!r}",
            timeout_s=timeout_s,
        )

    def wait_for_port(self, port: int, *, timeout_s: float = DEADLINE_S) -> None:
        self.wait_for(lambda: is_listening(port), f"port {port} open", timeout_s=timeout_s)

    def wait_for(
        self, condition: Callable[[], T | None], wanted: str, *, timeout_s: float = DEADLINE_S
    ) -> T:
        """Wait for the condition; an exit of the process ends the wait at once."""

        def met() -> T | None:
            exited = self.exit_status is not None
            result = condition()
            assert result or not exited, self._story(f"exited instead of: {wanted}")
            return result

        try:
            return wait_until(met, wanted, timeout_s=timeout_s)
        except TimeoutError as error:
            raise TimeoutError(self._story(str(error))) from None

    def sigterm(self, *, timeout_s: float = DEADLINE_S) -> int:
        """Ask the process to stop; return its exit status."""
        return self._end(signal.SIGTERM, timeout_s)

    def sigint(self, *, timeout_s: float = DEADLINE_S) -> int:
        return self._end(signal.SIGINT, timeout_s)

    def kill9(self) -> None:
        self._end(signal.SIGKILL, DEADLINE_S)

    def wait(self, *, timeout_s: float = DEADLINE_S) -> int:
        """Return the exit status once the process has ended by itself."""
        try:
            return self._child.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise TimeoutError(self._story(f"still runs after {timeout_s:g} s")) from None

    def pause(self) -> None:
        self._child.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._child.send_signal(signal.SIGCONT)

    def stop(self, *, timeout_s: float = 10.0) -> None:
        """End the process, politely if it lets us. For tidying up: it may have ended already."""
        if self.exit_status is not None:
            return
        self.resume()
        try:
            self.sigterm(timeout_s=timeout_s)
        except TimeoutError:
            self.kill9()

    def stop_cleanly(self, *, timeout_s: float = DEADLINE_S) -> None:
        """Ask the process to stop, and hold it to exit status 0."""
        assert self.exit_status is None, self._story("had ended before it was asked to")
        status = self.sigterm(timeout_s=timeout_s)
        assert status == 0, self._story("did not stop cleanly")

    def _end(self, number: signal.Signals, timeout_s: float) -> int:
        self._child.send_signal(number)
        try:
            return self._child.wait(timeout_s)
        except subprocess.TimeoutExpired:
            wanted = f"still runs {timeout_s:g} s after {number.name}"
            raise TimeoutError(self._story(wanted)) from None

    def _story(self, what: str) -> str:
        status = "running" if self.exit_status is None else f"exit status {self.exit_status}"
        tail = "\n".join(self.output().splitlines()[-40:])
        return f"{' '.join(self.command)[:200]}: {what} ({status})\n--- its output ---\n{tail}"


def wait_until(
    condition: Callable[[], T | None], wanted: str, *, timeout_s: float = DEADLINE_S
) -> T:
    """Poll until the condition returns something true; return that.

    Who waits takes little from who is waited for: a question that is dear is asked less often.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        asked = time.monotonic()
        result = condition()
        if result:
            return result
        now = time.monotonic()
        if now > deadline:
            raise TimeoutError(f"waited {timeout_s:g} s in vain for: {wanted}")
        time.sleep(min(max(POLL_S, PAUSE_SHARE * (now - asked)), POLL_MAX_S))


def _prepare_child(cpus: frozenset[int] | None) -> None:
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if cpus is not None:
        os.sched_setaffinity(0, cpus)
