"""Ports and plain HTTP, as a test sees them from outside."""

import fcntl
import random
import socket
import tempfile
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import IO

# Locks on the names of ports, until this process ends.
_TAKEN: list[IO[str]] = []
_LOCKS = Path(tempfile.gettempdir()) / "statefun-test-ports"

# Loopback is never reached through a proxy, whatever the environment says.
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def http_status(url: str, *, timeout_s: float = 2.0) -> int | None:
    """Return the status of a GET, or None when nothing answers."""
    answer = http_get(url, timeout_s=timeout_s)
    return None if answer is None else answer[0]


def http_get(url: str, *, timeout_s: float = 2.0) -> tuple[int, bytes] | None:
    return http_request("GET", url, timeout_s=timeout_s)


def http_request(
    method: str,
    url: str,
    body: bytes | None = None,
    *,
    headers: Mapping[str, str] | None = None,
    timeout_s: float = 10.0,
) -> tuple[int, bytes] | None:
    """Return status and body, or None when the connection came to nothing."""
    request = urllib.request.Request(url, body, dict(headers or {}), method=method)
    try:
        with _DIRECT.open(request, timeout=timeout_s) as reply:
            return reply.status, reply.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()
    except OSError:
        return None


def is_listening(port: int, host: str = "127.0.0.1") -> bool:
    try:
        socket.create_connection((host, port), timeout=1.0).close()
    except OSError:
        return False
    return True


def free_port() -> int:
    """Return a port that nothing listens on, and that no other process of tests is given while this one lives.

    It lies below the ports the kernel gives to outgoing connections: while a
    server is down for a restart, no client's own end can sit on its port.
    """
    for _ in range(1000):
        port = random.randrange(15000, 32000)
        if not _take(port):
            continue
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("no free port between 15000 and 32000")


def _take(port: int) -> bool:
    """Lock a port's name; return whether nobody had it."""
    _LOCKS.mkdir(exist_ok=True)
    file = (_LOCKS / str(port)).open("a")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return False
    _TAKEN.append(file)
    return True
