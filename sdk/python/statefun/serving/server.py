"""The server of one process: it listens, and stops when it is told to.

listening ──stop──▶ stopping: no new connections, what is asked is answered ──▶ stopped
"""

import asyncio
import logging
import socket

from statefun.calls.bundle_run import Spawn
from statefun.calls.failures import Response
from statefun.handler import RequestReplyHandler
from statefun.serving.connection import Request, ServerConnection

log = logging.getLogger("statefun")

_SWEEP_S = 0.05


class Server:
    """Serves functions at `path`, and below it; `health_path` answers 200 as long as requests are welcome."""

    spawn: Spawn

    def __init__(
        self,
        handler: RequestReplyHandler,
        *,
        path: str = "/statefun",
        health_path: str = "/health",
        body_bytes_max: int = 64 * 1024 * 1024,
    ) -> None:
        self.handler = handler
        self.body_bytes_max = body_bytes_max
        self.is_stopping = False
        self._path = path.rstrip("/")
        self._health_path = health_path
        self._connecting = 0
        self._connections: dict[ServerConnection, None] = {}

    async def serve(self, listener: socket.socket, stop: asyncio.Event, *, grace_s: float) -> bool:
        """Answer what comes until `stop` is set, and then what had come by then, for at most so long.

        Return whether that was enough.
        """
        is_whole = False
        try:
            is_whole = await self._serve(listener, stop, grace_s)
        except* _Over:
            is_whole = True
        except* _Cut:
            pass
        return is_whole

    async def _serve(self, listener: socket.socket, stop: asyncio.Event, grace_s: float) -> bool:
        loop = asyncio.get_running_loop()
        listener.setblocking(False)
        async with asyncio.TaskGroup() as tasks:
            self.spawn = tasks.create_task
            # One for each wake-up: other processes that listen take the next.
            loop.add_reader(listener.fileno(), self._accept, listener)
            await stop.wait()
            loop.remove_reader(listener.fileno())
            await self._drain(listener, grace_s)
        return True

    def _accept(self, listener: socket.socket) -> bool:
        try:
            connection, _ = listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return False
        except OSError as error:
            log.warning("a connection cannot be accepted: %s", error)
            return False
        connection.setblocking(False)
        if connection.family != socket.AF_UNIX:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._connecting += 1
        self.spawn(self._connect(connection))
        return True

    async def _connect(self, connection: socket.socket) -> None:
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: ServerConnection(self), connection
            )
        except OSError:
            connection.close()
        finally:
            self._connecting -= 1

    async def _drain(self, listener: socket.socket, grace_s: float) -> None:
        """Take what was connected already, and answer what is asked; then cut what is left."""
        while self._accept(listener):
            pass
        listener.close()
        self.is_stopping = True
        ends_s = asyncio.get_running_loop().time() + grace_s
        while self._connections or self._connecting:
            for connection in list(self._connections):
                connection.stop_when_idle()
            if asyncio.get_running_loop().time() > ends_s:
                busy = [each for each in self._connections if each.is_busy]
                log.warning("%d requests did not end within %g s, and are cut", len(busy), grace_s)
                for connection in list(self._connections):
                    connection.cut()
                raise _Cut
            await asyncio.sleep(_SWEEP_S)
        # What still runs is for nobody.
        raise _Over

    # ── what connections ask ──

    def refusal(self, request: Request) -> Response | None:
        """Return the response to a request that is none for functions, or None."""
        path = request.path
        if path == self._health_path and request.method == "GET":
            if self.is_stopping:
                return Response(503, "text/plain", b"stopping\n")
            return Response(200, "text/plain", b"ok\n")
        if path == self._path or path.startswith(f"{self._path}/"):
            if request.method == "POST":
                return None
            text = f"functions are called with POST, not {request.method}"
            return Response(405, "text/plain", text.encode(), {"allow": "POST"})
        text = f"functions are at {self._path or '/'}, and nothing is at {path}"
        return Response(404, "text/plain", text.encode("utf-8", "replace"))

    def opened(self, connection: ServerConnection) -> None:
        """A connection is there."""
        self._connections[connection] = None

    def closed(self, connection: ServerConnection) -> None:
        """A connection is gone."""
        self._connections.pop(connection, None)


class _Over(Exception):
    """Ends the tasks that are left when everybody has an answer."""


class _Cut(Exception):
    """Ends the tasks of requests that did not end in time."""
