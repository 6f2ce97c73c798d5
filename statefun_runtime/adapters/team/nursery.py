"""Starts worker processes by forking one that has loaded everything and does nothing else.

    leader ─(slot, sockets)─▶ nursery ═fork═▶ worker
           ◀─(pid, exited)──

A worker is there in some tens of milliseconds, and shares the memory of what it loaded with all others. The nursery
lives in a session of its own, so that signals of a terminal reach the leader alone; when the leader is gone, whatever ended
it, the nursery kills all workers and ends: a frozen one is nobody's either.
"""

import array
import contextlib
import json
import logging
import os
import select
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from typing import Any

log = logging.getLogger("statefun.worker")

_REQUEST_BYTES_MAX = 64 * 1024
_SOCKETS_MAX = 250

# Runs a worker in its process, with what the leader says of it and its sockets.
RunWorker = Callable[[dict[str, Any], list[socket.socket]], None]


class Nursery:
    """The leader's side; make it before there is a loop or a thread in this process."""

    def __init__(self, run: RunWorker) -> None:
        self._socket, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._pid = os.fork()
        if self._pid == 0:
            self._socket.close()
            _nurse(other, run)
        other.close()

    @property
    def reports(self) -> socket.socket:
        """Says `{"pid": N}` of each worker that was started, in order, and `{"exited": N, "status": S}` of any that ended."""
        return self._socket

    def start(self, request: dict[str, Any], sockets: Sequence[socket.socket]) -> None:
        """Have a worker started with these sockets; they are closed here."""
        assert len(sockets) <= _SOCKETS_MAX
        numbers = array.array("i", [one.fileno() for one in sockets])
        self._socket.sendmsg(
            [json.dumps(request).encode()], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, numbers)]
        )
        for one in sockets:
            one.close()

    def kill(self, pid: int) -> None:
        """End a worker at once."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)

    def close(self) -> None:
        """End the nursery, and all workers there are."""
        self._socket.close()
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self._pid, 0)


def _nurse(leader: socket.socket, run: RunWorker) -> None:
    """Start and bury workers until the leader is gone."""
    os.setsid()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    wake_read, wake_write = os.pipe()
    os.set_blocking(wake_write, False)
    signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    workers: set[int] = set()
    try:
        while True:
            waiting: list[Any] = [leader, wake_read]
            ready, _, _ = select.select(waiting, [], [])
            if wake_read in ready:
                os.read(wake_read, 4096)
                _bury(leader, workers)
            if leader in ready and not _start(leader, run, workers, (wake_read, wake_write)):
                return
    except OSError:
        return
    finally:
        for pid in workers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        os._exit(0)


def _bury(leader: socket.socket, workers: set[int]) -> None:
    while workers:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        workers.discard(pid)
        code = os.waitstatus_to_exitcode(status)
        leader.send(json.dumps({"exited": pid, "status": code}).encode())


def _start(leader: socket.socket, run: RunWorker, workers: set[int], wake: tuple[int, int]) -> bool:
    """Start the worker that the leader asks for; return False if the leader is gone."""
    size = array.array("i").itemsize
    data, ancillary, _, _ = leader.recvmsg(
        _REQUEST_BYTES_MAX, socket.CMSG_SPACE(_SOCKETS_MAX * size)
    )
    if not data:
        return False
    numbers = array.array("i")
    for _, _, content in ancillary:
        numbers.frombytes(content[: len(content) - len(content) % size])
    sockets = [socket.socket(fileno=number) for number in numbers]
    pid = os.fork()
    if pid == 0:
        _be_worker(leader, wake, run, json.loads(data), sockets)
    for one in sockets:
        one.close()
    workers.add(pid)
    leader.send(json.dumps({"pid": pid}).encode())
    return True


def _be_worker(
    leader: socket.socket,
    wake: tuple[int, int],
    run: RunWorker,
    request: dict[str, Any],
    sockets: list[socket.socket],
) -> None:
    """Run a worker in this process, which ends with it."""
    status = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        leader.close()
        for number in wake:
            os.close(number)
        run(request, sockets)
        status = 0
    except BaseException as error:
        log.critical("a bug ended the worker", exc_info=error)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
