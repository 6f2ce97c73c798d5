"""One connection of a runtime: requests come one after another, and so do the answers.

reading ──whole request──▶ answering ──answered──▶ reading, or the next that came meanwhile
                                              └─ the server stops, or it was asked to: closed
"""

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import Any, Protocol, cast

import httptools

from statefun.calls.bundle_run import BundleRun, Spawn
from statefun.calls.bundles import BUNDLE, is_bundle
from statefun.calls.failures import OCTETS, RAISED, Response
from statefun.handler import TURN_S, Call, RequestReplyHandler

_REASONS = {200: "OK", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed"}
_REASONS |= {413: "Content Too Large", 500: "Internal Server Error", 503: "Service Unavailable"}
_WAITING_MAX = 64
_REPLY_HEAD = (
    f"HTTP/1.1 200 OK\r\ncontent-type: {OCTETS}\r\nstatefun-bundle: 1\r\ncontent-length: ".encode()
)
_BUNDLE_HEAD = f"HTTP/1.1 200 OK\r\ncontent-type: {BUNDLE}\r\n".encode()


@dataclass(slots=True)
class Request:
    """What matters of a request; `keeps_alive` is whether another may come after it."""

    method: str
    path: str
    content_type: str
    body: bytes
    keeps_alive: bool


class Service(Protocol):
    """What a connection belongs to."""

    handler: RequestReplyHandler
    spawn: Spawn
    is_stopping: bool
    body_bytes_max: int

    def refusal(self, request: Request) -> Response | None:
        """Return the response to a request that is none for functions, or None."""
        ...

    def opened(self, connection: "ServerConnection") -> None: ...
    def closed(self, connection: "ServerConnection") -> None: ...


class ServerConnection(asyncio.Protocol):
    """The protocol object."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport
        self._parser: Any = httptools.HttpRequestParser(self)
        self._path = b""
        self._content_type = ""
        self._expects = False
        self._parts: list[bytes] = []
        self._size = 0
        self._waiting: deque[Request] = deque()
        self._answering: Request | None = None
        self._run: BundleRun | None = None
        self._has_begun = self._is_chunked = False
        self._is_closed = False

    # ── what the transport tells ──

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._service.opened(self)

    def connection_lost(self, error: Exception | None) -> None:
        self._is_closed = True
        self._waiting.clear()
        self._service.closed(self)

    def data_received(self, data: bytes) -> None:
        if self._is_closed:
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._say(Response(400, "text/plain", b"this is not HTTP"), keeps_alive=False)
            return
        if self._size > self._service.body_bytes_max:
            text = f"a request may have {self._service.body_bytes_max} bytes"
            self._say(Response(413, "text/plain", text.encode()), keeps_alive=False)
        elif self._expects and self._answering is None and not self._waiting:
            self._expects = False
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    # ── what the parser tells ──

    def on_message_begin(self) -> None:
        self._path, self._content_type, self._parts, self._size = b"", "", [], 0

    def on_url(self, url: bytes) -> None:
        self._path += url

    def on_header(self, name: bytes, value: bytes) -> None:
        lower = name.lower()
        if lower == b"content-type":
            self._content_type = value.decode("latin-1")
        elif lower == b"expect":
            self._expects = value.lower() == b"100-continue"

    def on_body(self, data: bytes) -> None:
        self._size += len(data)
        if self._size <= self._service.body_bytes_max:
            self._parts.append(data)

    def on_message_complete(self) -> None:
        if self._size > self._service.body_bytes_max:
            return
        parts, self._parts, self._size, self._expects = self._parts, [], 0, False
        request = Request(
            self._parser.get_method().decode("latin-1"),
            self._path.partition(b"?")[0].decode("latin-1"),
            self._content_type,
            parts[0] if len(parts) == 1 else b"".join(parts),
            bool(self._parser.should_keep_alive()),
        )
        self._waiting.append(request)
        if self._answering is None:
            self._next()
        elif len(self._waiting) > _WAITING_MAX:
            self._transport.pause_reading()

    # ── answering ──

    def _next(self) -> None:
        while self._waiting and self._answering is None and not self._is_closed:
            request = self._answering = self._waiting.popleft()
            refusal = self._service.refusal(request)
            if refusal is not None:
                self._say(refusal, keeps_alive=request.keeps_alive)
            elif is_bundle(request.content_type):
                self._answer_bundle(request)
            else:
                self._answer(request)
        if not self._is_closed and not self._transport.is_reading():
            self._transport.resume_reading()

    def _answer(self, request: Request) -> None:
        handler = self._service.handler
        try:
            call = handler.call_for(request.body)
            if isinstance(call, Call):
                if call.may_wait:
                    self._service.spawn(self._answer_waiting(call))
                    return
                call.run()
                call = call.context.response()
        except RAISED as error:
            self._say(handler.failures.respond(error), keeps_alive=request.keeps_alive)
            return
        self._reply(call)

    async def _answer_waiting(self, call: Call) -> None:
        request = self._answering
        assert request is not None
        try:
            await call.run_waiting()
            reply = call.context.response()
        except RAISED as error:
            failures = self._service.handler.failures
            self._say(failures.respond(error), keeps_alive=request.keeps_alive)
        else:
            self._reply(reply)
        self._next()

    def _reply(self, body: bytes) -> None:
        request = self._answering
        assert request is not None
        if self._is_last(request.keeps_alive):
            self._say(Response(200, OCTETS, body, {"statefun-bundle": "1"}), keeps_alive=False)
            return
        self._answering = None
        self._transport.write(b"%b%d\r\n\r\n%b" % (_REPLY_HEAD, len(body), body))

    def _say(self, response: Response, *, keeps_alive: bool) -> None:
        """Answer with a whole response."""
        is_last = self._is_last(keeps_alive)
        reason = _REASONS.get(response.status, "Whatever")
        more = "".join(f"{name}: {value}\r\n" for name, value in response.headers.items())
        head = (
            f"HTTP/1.1 {response.status} {reason}\r\ncontent-type: {response.content_type}\r\n"
            f"{more}{'connection: close' + chr(13) + chr(10) if is_last else ''}"
            f"content-length: {len(response.body)}\r\n\r\n"
        )
        self._transport.write(head.encode("latin-1") + response.body)
        self._answering = None
        if is_last:
            self._close()

    def _is_last(self, keeps_alive: bool) -> bool:
        return not keeps_alive or (self._service.is_stopping and not self._waiting)

    def _answer_bundle(self, request: Request) -> None:
        try:
            run = BundleRun(self._service.handler, request.body, self._write_outcomes)
        except ValueError as error:
            refusal = Response(400, "text/plain", str(error).encode())
            self._say(refusal, keeps_alive=request.keeps_alive)
            return
        self._run = run
        self._has_begun = self._is_chunked = False
        if not run.left:
            self._write_outcomes(b"")
            return
        self._go_on(run)

    def _go_on(self, run: BundleRun) -> None:
        if not run.begin(self._service.spawn, turn_s=TURN_S):
            # Others have a turn before the next batches begin.
            self._loop.call_soon(self._go_on, run)

    def _write_outcomes(self, data: bytes) -> None:
        """Write outcomes, and the end behind the last one; a bundle that is done at once has a length."""
        run, request = self._run, self._answering
        assert run is not None
        assert request is not None
        is_whole = not run.left
        is_last = is_whole and self._is_last(request.keeps_alive)
        if self._is_chunked:
            self._transport.write(b"%x\r\n%b\r\n%b" % (len(data), data, _END[is_whole]))
        elif is_whole:
            close = b"connection: close\r\n" if is_last else b""
            head = b"%b%bcontent-length: %d\r\n\r\n" % (_BUNDLE_HEAD, close, len(data))
            self._transport.write(head + data)
        else:
            self._is_chunked = True
            self._transport.write(
                b"%btransfer-encoding: chunked\r\n\r\n%x\r\n%b\r\n"
                % (_BUNDLE_HEAD, len(data), data)
            )
        if not is_whole:
            return
        self._answering = self._run = None
        if is_last:
            self._close()
        elif self._waiting:
            self._loop.call_soon(self._next)

    # ── stopping ──

    @property
    def is_busy(self) -> bool:
        """Whether a request is being answered, or has begun to come in."""
        return self._answering is not None or bool(self._waiting) or bool(self._parts)

    def stop_when_idle(self) -> None:
        """The server stops: close now, or behind the answers that are asked for."""
        if not self.is_busy:
            self._close()

    def cut(self) -> None:
        """Close at once, whatever was asked."""
        self._is_closed = True
        self._transport.abort()

    def _close(self) -> None:
        if not self._is_closed:
            self._is_closed = True
            self._transport.close()


_END = {True: b"0\r\n\r\n", False: b""}
