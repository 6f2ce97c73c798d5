"""The admin socket of a running worker: HTTP on a Unix socket in the state folder, for commands on this machine."""

import asyncio
import http.client
import json
import os
import socket
import tempfile
from collections.abc import Awaitable, Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

from statefun_runtime.adapters.http.server import Deferred, HttpRequest, HttpResponse, HttpServer
from statefun_runtime.errors import StatefunError, UnavailableError

Json = dict[str, Any]
Arguments = Json
Command = Callable[[Arguments], Awaitable[Json]]
_ANSWER_LIMIT_S = 300.0
_SOCKET_NAME_MAX = 104
_REQUEST_BYTES_MAX = 64 * 1024 * 1024


class AdminSocket:
    """Serves commands by name: POST /name with a JSON object, answered with one."""

    def __init__(self, path: Path, commands: dict[str, Command]) -> None:
        self._commands = commands
        self._path = path
        self._server = HttpServer(self._take, host="", port=0, body_bytes_max=_REQUEST_BYTES_MAX)
        self._asked: asyncio.Queue[tuple[str, Arguments, Deferred]] = asyncio.Queue(16)

    async def start(self) -> None:
        """Listen."""
        await self._server.start_unix(self._path)

    async def run(self) -> None:
        """Carry out one command after the other until cancelled."""
        while True:
            name, arguments, answer = await self._asked.get()
            try:
                content = await self._commands[name](arguments)
                answer.resolve(_json(200, content))
            except StatefunError as error:
                answer.resolve(_json(409, {"error": str(error)}))

    async def close(self) -> None:
        """Stop listening."""
        await self._server.close()
        self._path.unlink(missing_ok=True)

    def _take(self, request: HttpRequest) -> HttpResponse | Deferred:
        name = request.path.removeprefix("/")
        if name not in self._commands:
            return _json(404, {"error": f"no such command: {name}"})
        try:
            arguments = json.loads(request.body or b"{}")
        except ValueError as error:
            return _json(400, {"error": f"not JSON: {error}"})
        answer = Deferred()
        try:
            self._asked.put_nowait((name, arguments, answer))
        except asyncio.QueueFull:
            return _json(503, {"error": "too many commands at once"})
        return answer


def _json(status: int, content: Json) -> HttpResponse:
    return HttpResponse(status, json.dumps(content).encode(), "application/json")


def admin_socket(state_dir: Path) -> Path:
    """Return where the admin socket of a state folder is: in it, or elsewhere if its name would be too long."""
    path = state_dir.absolute() / "admin.sock"
    if len(os.fsencode(path)) < _SOCKET_NAME_MAX:
        return path
    return (
        Path(tempfile.gettempdir()) / f"statefun-{sha256(os.fsencode(path)).hexdigest()[:16]}.sock"
    )


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=_ANSWER_LIMIT_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def ask_worker(path: Path, command: str, arguments: Arguments) -> Json:
    """Have a running worker carry out a command; raise UnavailableError if it cannot, or none runs."""
    connection = _UnixConnection(path)
    try:
        connection.request("POST", f"/{command}", json.dumps(arguments))
        response = connection.getresponse()
        content: Json = json.loads(response.read())
    except (OSError, ValueError) as error:
        raise UnavailableError(
            f"no worker answers at {path}: {error}",
            code="SF3014",
            hint="is it running, and is --state-dir the folder it was started with?",
        ) from error
    finally:
        connection.close()
    if response.status != 200:
        raise UnavailableError(str(content.get("error")), code="SF3015")
    return content
