"""The processes of a server: one, or a parent whose children share a socket."""

import asyncio
import ctypes
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress

from statefun.serving.server import Server

log = logging.getLogger("statefun")

_PAUSE_FIRST_S = 0.1
_PAUSE_LAST_S = 5.0
_SIGNALS = (signal.SIGTERM, signal.SIGINT)
# Options of glibc by their numbers: what lies free at the end and is kept, and from which size a buffer is a mapping of its own.
_REUSED = {-1: 64 * 1024 * 1024, -3: 32 * 1024 * 1024}


def listen(host: str, port: int, unix: str | None = None, *, backlog: int = 1024) -> socket.socket:
    """Return a socket that listens; raises OSError."""
    if unix is not None:
        if os.path.exists(unix):
            os.unlink(unix)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(unix)
    else:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    listener.listen(backlog)
    return listener


def run(
    make: Callable[[], Server],
    listener: socket.socket,
    *,
    grace_s: float,
    parent: int | None = None,
) -> int:
    """Serve in this process until SIGTERM or SIGINT; return its exit status.

    `parent` is a pipe that nobody writes to: at its end whoever started this process is gone.
    """
    new_loop: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop
    with suppress(ImportError):
        from uvloop import new_event_loop as new_loop
    _reuse_memory()
    with asyncio.Runner(loop_factory=new_loop) as runner:
        return runner.run(_run(make(), listener, grace_s, parent))


def _reuse_memory() -> None:
    """Have what is freed used again: to have a large buffer anew from the machine costs more than to fill it."""
    set_option = getattr(ctypes.CDLL(None), "mallopt", None)
    if set_option is not None:
        for option, number in _REUSED.items():
            set_option(option, number)


async def _run(server: Server, listener: socket.socket, grace_s: float, parent: int | None) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def told() -> None:
        if stop.is_set():
            # A second one means now.
            os._exit(1)
        stop.set()

    def orphaned() -> None:
        assert parent is not None
        loop.remove_reader(parent)
        stop.set()

    for number in _SIGNALS:
        loop.add_signal_handler(number, told)
    if parent is not None:
        loop.add_reader(parent, orphaned)
    is_whole = await server.serve(listener, stop, grace_s=grace_s)
    return 0 if is_whole else 1


class Family:
    """A parent and its children, each of which serves; one that dies is replaced, soon or, again and again, later."""

    def __init__(self, count: int, child: Callable[[int], int]) -> None:
        self._count = count
        self._child = child
        self._children: dict[int, float] = {}
        self._pipe = os.pipe()
        self._is_stopping = False
        self._pause_s = _PAUSE_FIRST_S

    def run(self) -> int:
        """Keep so many children until SIGTERM or SIGINT, and return when they have ended."""
        for number in _SIGNALS:
            signal.signal(number, self._stop)
        for _ in range(self._count):
            self._fork()
        status = 0
        while self._children:
            pid, code = os.wait()
            began_s = self._children.pop(pid)
            exit_status = os.waitstatus_to_exitcode(code)
            if self._is_stopping:
                # One that had not begun to serve yet ends by the signal.
                status = status or int(exit_status not in (0, -signal.SIGTERM))
                continue
            log.error("process %d ended with %d and is replaced", pid, exit_status)
            is_early = time.monotonic() - began_s < _PAUSE_LAST_S
            self._pause_s = min(2 * self._pause_s, _PAUSE_LAST_S) if is_early else _PAUSE_FIRST_S
            self._fork(self._pause_s)
        return status

    def _fork(self, pause_s: float = 0.0) -> None:
        pid = os.fork()
        if pid:
            self._children[pid] = time.monotonic()
            return
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        # Ctrl-C at a terminal is the parent's to pass on.
        os.setpgid(0, 0)
        os.close(self._pipe[1])
        time.sleep(pause_s)
        status = 1
        try:
            status = self._child(self._pipe[0])
        except KeyboardInterrupt:
            status = 130
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)

    def _stop(self, number: int, frame: object) -> None:
        self._is_stopping = True
        for pid in self._children:
            os.kill(pid, signal.SIGTERM)
