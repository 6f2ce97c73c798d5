"""One process of embedded functions: `statefun serve` at a socket of its own.

    starting ──says which functions──▶ ready ──told to end, killed, or by itself──▶ ended
        └── says why not, or ends ───────────────────────────────────────────────────┘

Worker and process each hold one end of a pair of sockets. The end of it is noticed on both sides, whoever dies and how:
the process ends with its worker, also when that was killed, and the worker knows when a process is gone. What the
process prints is passed on line by line, with its name in front.
"""

import asyncio
import json
import logging
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from statefun_runtime.adapters.http.connection import Connection

log = logging.getLogger("statefun.worker")
# What processes print, which is theirs: a line that comes often is no fault that repeats itself.
FUNCTIONS_LOG = "statefun.embedded"
_functions_log = logging.getLogger(FUNCTIONS_LOG)

_LINE_MAX = 64 * 1024
_GRACE_S = 5.0
_LOOK_S = 0.02
_LAST_LINES_S = 1.0
PATH = "/statefun"


class Child:
    """A process in the making until `run`; `functions` is there once it is ready, `trouble` once it is not to be.

    `connections` are those that were opened to it.
    """

    def __init__(self, program: str, number: int, at: Path, *, threads: int) -> None:
        self.name = f"{program}/{number}"
        self.path = at
        self.functions: list[str] | None = None
        self.trouble = ""
        self.connections: list[Connection] = []
        self.has_overrun = False
        self._program = program
        self._threads = threads
        self._process: subprocess.Popen[bytes]
        self._control: asyncio.StreamWriter | None = None
        self._output: asyncio.ReadTransport
        self._is_ending = False

    @property
    def is_ready(self) -> bool:
        """Whether connections are welcome."""
        return self.functions is not None and not self._is_ending

    async def run(self, is_ready: Callable[[], None]) -> None:
        """Start the process, and return when it has ended; `is_ready` is called once it serves."""
        try:
            control, lines = await self._start()
        except OSError as error:
            self.trouble = f"its process cannot be started: {error.strerror or error}"
            return
        try:
            async with asyncio.TaskGroup() as tasks:
                passing = tasks.create_task(self._pass_on(lines))
                while line := await control.readline():
                    self._hear(line)
                    if self.is_ready:
                        is_ready()
                await self._reap()
                # A process that it started may hold its output for ever.
                await asyncio.wait([passing], timeout=_LAST_LINES_S)
                passing.cancel()
        finally:
            self._is_ending = True
            self._kill()
            self._process.wait()
            self.path.unlink(missing_ok=True)
            assert self._control is not None
            self._control.close()
            self._output.close()
        how = _how(self._process.returncode)
        self.trouble = self.trouble or f"process {self._process.pid} ended {how}"

    def end(self) -> None:
        """Have the process answer what it was asked, and end; one that does not is killed."""
        self._is_ending = True
        if self._control is not None:
            self._control.close()

    def overran(self) -> None:
        """A request took longer than it may: nothing but the process's end would end what still runs for it."""
        if self._is_ending:
            return
        self._is_ending = self.has_overrun = True
        self.trouble = "an invocation took longer than 'call' allows, and its process was killed"
        log.warning(
            "%s (process %d) is killed: an invocation took longer than 'call' allows",
            self.name,
            self._process.pid,
        )
        self._kill()

    async def _start(self) -> tuple[asyncio.StreamReader, asyncio.StreamReader]:
        ours = self._make_process()
        control, self._control = await asyncio.open_unix_connection(sock=ours)
        lines = asyncio.StreamReader(_LINE_MAX)
        assert self._process.stdout is not None
        self._output, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(lines), self._process.stdout
        )
        if self._is_ending:
            self._control.close()
        return control, lines

    def _make_process(self) -> socket.socket:
        """Make the process, and return our end of the pair.

        It is made by the thread that lives as long as the worker: the kernel ends a process with the thread that made it.
        """
        ours, theirs = socket.socketpair()
        try:
            self._process = subprocess.Popen(
                self._command(theirs.fileno()),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=[theirs.fileno()],
                # Ctrl-C at a terminal is the worker's to pass on.
                start_new_session=True,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        return ours

    def _command(self, descriptor: int) -> list[str]:
        serve = [sys.executable, "-m", "statefun", "serve", self._program, "--path", PATH]
        serve += ["--unix", str(self.path), "--supervised", str(descriptor)]
        serve += ["--threads", str(self._threads)]
        return [*serve, "--grace", f"{_GRACE_S:g}"]

    def _hear(self, line: bytes) -> None:
        said = json.loads(line)
        if "error" in said:
            self.trouble = said["error"]
        else:
            self.functions = said["functions"]

    async def _pass_on(self, lines: asyncio.StreamReader) -> None:
        while True:
            try:
                line = await lines.readuntil(b"\n")
            except asyncio.IncompleteReadError as error:
                if error.partial:
                    self._say(error.partial)
                return
            except asyncio.LimitOverrunError as error:
                line = await lines.read(max(error.consumed, 1))
            self._say(line)

    def _say(self, line: bytes) -> None:
        text = line.decode("utf-8", "replace").rstrip("\r\n")
        _functions_log.info("%s | %s", self.name, text)

    async def _reap(self) -> None:
        """Its end of the pair is gone, or ours: the process ends, or is made to."""
        ends_s = asyncio.get_running_loop().time() + _GRACE_S + 1
        while self._process.poll() is None:
            if asyncio.get_running_loop().time() > ends_s:
                log.warning(
                    "%s (process %d) does not end, and is killed", self.name, self._process.pid
                )
                self._kill()
            await asyncio.sleep(_LOOK_S)

    def _kill(self) -> None:
        """End the process if it still runs, and what it may have started and left in its session."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)


def _how(status: int) -> str:
    if status >= 0:
        return f"with status {status}"
    with suppress(ValueError):
        return f"by {signal.Signals(-status).name}"
    return f"by signal {-status}"
