"""A small HTTP/1.1 server for the worker's own ports: ingress, egress, metrics and health.

One handler answers all requests of a port, on the loop: at once, or with a `Deferred` that is resolved later; either
way a connection's answers leave in the order of its requests. Bodies have a maximum, heads too, and a request that is
no proper HTTP gets a 400 and the end of its connection.
"""

import asyncio
import errno
import os
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, Protocol, cast
from urllib.parse import unquote

import httptools

from statefun_runtime.adapters.off_loop import in_a_thread
from statefun_runtime.errors import ConfigError, UnavailableError

_HEAD_BYTES_MAX = 64 * 1024
_IDLE_S = 75.0


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request: `path` as it was sent, without query; header names in lower case, the first value of each."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes

    def segments(self) -> list[str]:
        """Return the parts of the path between slashes, percent-decoded; an encoded slash stays inside its part."""
        return [unquote(part, errors="replace") for part in self.path.split("/")[1:]]


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """A response; the server adds length and connection headers."""

    status: int
    body: bytes = b""
    content_type: str | None = "text/plain; charset=utf-8"
    headers: tuple[tuple[str, str], ...] = ()


class Deferred:
    """A response that comes later; resolved once, by whoever knows it."""

    __slots__ = ("_then", "response")

    def __init__(self) -> None:
        self.response: HttpResponse | None = None
        self._then: Callable[[], None] | None = None

    def resolve(self, response: HttpResponse) -> None:
        """Answer."""
        assert self.response is None, "a response was deferred, and came twice"
        self.response = response
        if self._then is not None:
            self._then()

    def then(self, work: Callable[[], None]) -> None:
        """Have something done when the response is there."""
        self._then = work


Handler = Callable[[HttpRequest], HttpResponse | Deferred]


class Server(Protocol):
    """What the worker's own ports need of a server."""

    refused: dict[str, int]

    @property
    def port(self) -> int:
        """The port, also when any free one was asked for."""

    async def start(self, *, what: str) -> None:
        """Listen; raise ConfigError if the port cannot be had. `what` names the user of the port."""

    async def close(self) -> None:
        """Stop listening."""


class ServerFactory(Protocol):
    """Makes a server for one port."""

    def __call__(self, handler: Handler, /, *, host: str, port: int, body_bytes_max: int) -> Server:
        """Return a server that does not listen yet."""


class HttpServer:
    """Listens on one port; `start` before, `close` after."""

    def __init__(
        self,
        handler: Handler,
        *,
        host: str,
        port: int,
        body_bytes_max: int,
        connections_max: int = 1 << 16,
    ) -> None:
        self._connections_max = connections_max
        self._handler = handler
        self._host = host
        self._port = port
        self._body_bytes_max = body_bytes_max
        self._server: asyncio.AbstractServer | None = None
        self._connections: set[_Connection] = set()
        # Requests that did not get as far as the handler, by reason.
        self.refused: dict[str, int] = {}

    @property
    def port(self) -> int:
        """The port, also when any free one was asked for."""
        return self._port

    async def start(self, *, what: str) -> None:
        """Listen; raise UnavailableError while another process has the port, ConfigError if it cannot be had.

        `what` names the user of the port.
        """
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(
                self._connect, self._host, self._port, backlog=1024
            )
        except OSError as error:
            said = f"{what} cannot listen on {self._host}:{self._port}: {_words(error)}"
            if error.errno == errno.EADDRINUSE:
                hint = "choose another port, or end the process that has it"
                raise UnavailableError(said, code="SF3040", hint=hint) from error
            hint = (
                "--host must be an address of this machine, and ports below 1024 need a privilege"
            )
            raise ConfigError(said, code="SF1040", hint=hint) from error
        self._port = self._server.sockets[0].getsockname()[1]

    async def start_unix(self, path: Path) -> None:
        """Listen on a Unix socket, for this user alone."""
        await in_a_thread(lambda: path.unlink(missing_ok=True))
        self._server = await asyncio.get_running_loop().create_unix_server(self._connect, str(path))
        await in_a_thread(lambda: path.chmod(0o600))

    def _connect(self) -> asyncio.Protocol:
        if len(self._connections) >= self._connections_max:
            return _TurnedAway()
        return _Connection(self._handler, self._connections, self.refused, self._body_bytes_max)

    async def close(self) -> None:
        """Stop listening and close all connections."""
        if self._server is not None:
            self._server.close()
        for connection in list(self._connections):
            connection.close()


def _words(error: OSError) -> str:
    """The system's own words; the event loop puts the address in front of them once more."""
    if error.errno is not None and error.errno > 0:
        return os.strerror(error.errno).lower()
    return str(error.strerror or error)


@dataclass(frozen=True, slots=True)
class _Answer:
    """What a request is to be answered with; `is_head_only` leaves only the head of it."""

    deferred: Deferred
    keep_alive: bool
    is_head_only: bool


class _TurnedAway(asyncio.Protocol):
    """One client too many: more would leave no file to be opened."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        there = cast(asyncio.Transport, transport)
        there.write(
            b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nconnection: close\r\n"
            b"content-length: 0\r\n\r\n"
        )
        there.close()


class _Connection(asyncio.Protocol):
    """One client; requests are answered in the order in which they come."""

    def __init__(
        self,
        handler: Handler,
        siblings: "set[_Connection]",
        refused: dict[str, int],
        body_bytes_max: int,
    ) -> None:
        self._handler = handler
        self._siblings = siblings
        self._refusals = refused
        self._is_counted = False
        self._body_bytes_max = body_bytes_max
        self._parser: Any = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._answers: deque[_Answer] = deque()
        self._alarm: asyncio.TimerHandle | None = None
        self._reset()

    def _reset(self) -> None:
        self._url = b""
        self._headers: dict[str, str] = {}
        self._head_bytes = 0
        self._parts: list[bytes] = []
        self._body_bytes = 0
        self._refused: HttpResponse | None = None
        self._has_head = False
        self._unread_bytes = 0
        self._is_head_method = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._siblings.add(self)
        self._wait()

    def connection_lost(self, error: Exception | None) -> None:
        self._siblings.discard(self)
        if self._alarm is not None:
            self._alarm.cancel()
        if self._unread_bytes or self._has_head:
            self._count("cut-off")

    def _count(self, reason: str) -> None:
        """Count a request that is refused; it is the last one of its connection."""
        if not self._is_counted:
            self._is_counted = True
            self._refusals[reason] = self._refusals.get(reason, 0) + 1

    def close(self) -> None:
        """Close at once."""
        if self._transport is not None:
            self._transport.close()

    def _wait(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm = asyncio.get_running_loop().call_later(_IDLE_S, self.close)

    def data_received(self, data: bytes) -> None:
        self._wait()
        if not self._has_head:
            self._unread_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            # Already refused.
            self.close()
        except httptools.HttpParserCallbackError as error:
            # Not the client's fault: whoever watches the loop must hear of it.
            self._respond(HttpResponse(500, b"the worker failed\n"), keep_alive=False)
            raise (error.__context__ or error) from None
        except httptools.HttpParserError as error:
            if self._transport is not None and not self._transport.is_closing():
                text = f"not a proper HTTP request: {error}\n"
                self._refuse(HttpResponse(400, text.encode()), "bad-http")
        if not self._has_head and self._unread_bytes > _HEAD_BYTES_MAX:
            # The parser tells of a header when it has all of it.
            self._refuse_head()

    def on_url(self, url: bytes) -> None:
        self._url += url
        self._count_head(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count_head(len(name) + len(value))
        self._headers.setdefault(name.lower().decode("latin-1"), value.decode("latin-1").strip())

    def _count_head(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > _HEAD_BYTES_MAX:
            self._refuse_head()

    def _refuse_head(self) -> None:
        response = HttpResponse(431, b"the request's head is too large\n")
        self._refuse(response, "head-too-large")

    def on_headers_complete(self) -> None:
        self._has_head = True
        self._unread_bytes = 0
        self._is_head_method = self._parser.get_method() == b"HEAD"
        size = self._headers.get("content-length", "0")
        if size.isdecimal() and int(size) > self._body_bytes_max:
            self._refuse_body()
        elif (
            self._headers.get("expect", "").lower() == "100-continue"
            and self._transport is not None
        ):
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, data: bytes) -> None:
        self._body_bytes += len(data)
        if self._body_bytes > self._body_bytes_max:
            self._refuse_body()
        else:
            self._parts.append(data)

    def _refuse_body(self) -> None:
        if self._refused is None:
            self._refused = HttpResponse(
                413, f"the body is larger than {self._body_bytes_max} bytes\n".encode()
            )
            self._parts.clear()
            self._refuse(self._refused, "body-too-large")

    def on_message_complete(self) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        if self._parser.should_upgrade():
            # The body, if there is one, was not read.
            self._refuse(HttpResponse(400, b"upgrades are not supported\n"), "bad-http")
            return
        keep_alive = bool(self._parser.should_keep_alive()) and self._refused is None
        answer = self._refused or self._answer()
        self._answers.append(
            _Answer(
                answer if isinstance(answer, Deferred) else _resolved(answer),
                keep_alive=keep_alive,
                is_head_only=self._is_head_method,
            )
        )
        self._reset()
        self._answers[-1].deferred.then(self._flush)
        self._flush()

    def _flush(self) -> None:
        """Send the answers that are known, as long as none before them is missing."""
        while self._answers and (response := self._answers[0].deferred.response) is not None:
            answer = self._answers.popleft()
            self._respond(response, keep_alive=answer.keep_alive, has_body=not answer.is_head_only)

    def _answer(self) -> HttpResponse | Deferred:
        path, _, query = self._url.decode("latin-1").partition("?")
        if not path.startswith("/"):
            self._refusals["bad-path"] = self._refusals.get("bad-path", 0) + 1
            return HttpResponse(400, b"the request's target must be a path\n")
        method = self._parser.get_method().decode()
        return self._handler(HttpRequest(method, path, query, self._headers, b"".join(self._parts)))

    def _refuse(self, response: HttpResponse, reason: str) -> None:
        """Answer what is no request that could be handled, and end the connection."""
        self._count(reason)
        self._respond(response, keep_alive=False)

    def _respond(self, response: HttpResponse, *, keep_alive: bool, has_body: bool = True) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        lines = [f"HTTP/1.1 {response.status} {HTTPStatus(response.status).phrase}"]
        lines += [f"{name}: {value}" for name, value in response.headers]
        if response.content_type is not None:
            lines.append(f"Content-Type: {response.content_type}")
        lines.append(f"Content-Length: {len(response.body)}")
        lines.append(f"Connection: {'keep-alive' if keep_alive else 'close'}")
        body = response.body if has_body else b""
        self._transport.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        if not keep_alive:
            self._transport.close()


def _resolved(response: HttpResponse) -> Deferred:
    deferred = Deferred()
    deferred.resolve(response)
    return deferred
