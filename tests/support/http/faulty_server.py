"""An HTTP function server that misbehaves as told: raw asyncio, so that it can.

    async with FaultyServer(handler, parse_plan("lost-reply, every5*status:500")) as server:
        ... requests to server.url ...
        assert [r.fault for r in server.requests] == [...]

`tests/support/http/faulty_process.py` runs it in a process of its own.
"""

import asyncio
import gzip
import socket
import struct
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from email.utils import formatdate
from types import TracebackType

from tests.support.http.faults import Fault, FaultKind, Plan

OCTETS = "application/octet-stream"
Handler = Callable[[bytes], Awaitable[bytes]]
# Answers a request about the server itself (method, target, body) with JSON; None for all others.
Control = Callable[[str, str, bytes], bytes | None]
_PIECE = 64 * 1024


@dataclass(frozen=True, slots=True)
class Request:
    """A request as the server saw it; `connection` numbers the connection that it came on."""

    number: int
    connection: int
    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    fault: Fault


class FaultyServer:
    """Serves the handler on loopback; what it saw stays in `requests`, in order of arrival."""

    def __init__(
        self,
        handler: Handler,
        plan: Plan | None = None,
        *,
        port: int = 0,
        control: Control | None = None,
    ) -> None:
        self.plan = plan or Plan()
        self.port = port
        self.requests: list[Request] = []
        self.connections = 0
        self._handler = handler
        self._control = control
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._closed = asyncio.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/statefun"

    async def start(self) -> None:
        self._server = await asyncio.start_server(
            self._run_connection, "127.0.0.1", self.port, backlog=1024
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        assert self._server is not None, "the server was not started"
        self._closed.set()
        self._server.close()
        self.drop_connections()
        await self._server.wait_closed()

    def drop_connections(self) -> None:
        """Cut every open connection, idle or busy; the server goes on."""
        for writer in list(self._open):
            writer.transport.abort()

    async def __aenter__(self) -> "FaultyServer":
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def _run_connection(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.connections += 1
        connection = self.connections
        self._open.add(writer)
        try:
            while await self._serve(reader, writer, connection):
                pass
        except (OSError, asyncio.IncompleteReadError):
            # The other side went away, as it may at any time.
            pass
        finally:
            self._open.discard(writer)
            writer.close()

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, connection: int
    ) -> bool:
        """Treat one request; return whether the connection stays open."""
        head = await reader.readuntil(b"\r\n\r\n")
        method, target, headers = _parse_head(head)
        if headers.get("expect", "").lower() == "100-continue":
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = await _read_body(reader, headers)
        answer = self._control(method, target, body) if self._control else None
        if answer is not None:
            writer.write(_reply(answer, content_type="application/json"))
            return True
        fault = self.plan.next(body)
        number = len(self.requests) + 1
        self.requests.append(Request(number, connection, method, target, headers, body, fault))
        return await self._treat(fault, body, reader, writer)

    async def _treat(
        self,
        fault: Fault,
        body: bytes,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> bool:
        match fault.kind:
            case FaultKind.STATUS:
                status = int(fault.number)
                writer.write(_reply(b"told to fail", status=status, content_type="text/plain"))
                return True
            case FaultKind.LATER | FaultKind.LATER_DATE:
                writer.write(_later(fault))
                return True
            case FaultKind.CLOSE_EARLY:
                return False
            case FaultKind.RESET:
                _reset_on_close(writer)
                return False
            case FaultKind.SLOW:
                await self._pause(fault.number)
        try:
            result = await self._handler(body)
        except Exception as error:  # noqa: BLE001
            writer.write(_reply(str(error).encode(), status=500, content_type="text/plain"))
            return True
        return await self._answer(fault, result, reader, writer)

    async def _answer(
        self,
        fault: Fault,
        result: bytes,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> bool:
        match fault.kind:
            case FaultKind.OK | FaultKind.SLOW:
                writer.write(_reply(result))
            case FaultKind.LOST_REPLY:
                return False
            case FaultKind.NOT_HTTP:
                writer.write(b"\x16\x03\x01\x00 this is no HTTP reply\r\n\r\n")
            case FaultKind.GARBAGE:
                writer.write(_reply(b"\xff\xff\xff\xff" + result))
            case FaultKind.CONTENT_TYPE:
                writer.write(_reply(result, content_type=fault.detail))
            case FaultKind.CHUNKED:
                writer.write(_chunked(result))
            case FaultKind.GZIP:
                writer.write(_reply(gzip.compress(result), extra="content-encoding: gzip\r\n"))
            case FaultKind.BYTEWISE:
                await self._write_bytewise(writer, _reply(result))
            case FaultKind.UNTIL_CLOSE:
                writer.write(f"HTTP/1.1 200 OK\r\ncontent-type: {OCTETS}\r\n\r\n".encode() + result)
                return False
            case FaultKind.TRUNCATED:
                whole = _reply(result + b"\0" * 2)
                writer.write(whole[: -len(result) // 2 - 1])
                return False
            case FaultKind.LATE:
                await self._pause(fault.number)
                writer.write(_reply(result))
            case FaultKind.HANG:
                await reader.read()
                return False
            case FaultKind.SURPLUS:
                writer.write(_reply(result) + b"surplus")
            case FaultKind.HUGE:
                await _write_huge(writer, int(fault.number))
            case FaultKind.INFORMATIONAL:
                hints = b"HTTP/1.1 103 Early Hints\r\nlink: </x>; rel=preload\r\n\r\n"
                writer.write(b"HTTP/1.1 100 Continue\r\n\r\n" + hints + _reply(result))
            case FaultKind.CLOSE_AFTER:
                writer.write(_reply(result))
                return False
            case FaultKind.CONNECTION_CLOSE:
                writer.write(_reply(result, extra="connection: close\r\n"))
                return False
            case _:
                raise AssertionError(f"{fault} is treated before the handler runs")
        await writer.drain()
        return True

    async def _write_bytewise(self, writer: asyncio.StreamWriter, reply: bytes) -> None:
        _set_no_delay(writer)
        for at in range(len(reply)):
            writer.write(reply[at : at + 1])
            await writer.drain()
            await asyncio.sleep(0)

    async def _pause(self, seconds: float) -> None:
        """Wait, but not longer than the server lives."""
        try:
            async with asyncio.timeout(seconds):
                await self._closed.wait()
        except TimeoutError:
            pass


def _parse_head(head: bytes) -> tuple[str, str, dict[str, str]]:
    first, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
    method, target, _ = first.split(" ", 2)
    pairs = (line.partition(":") for line in lines)
    return method, target, {name.strip().lower(): value.strip() for name, _, value in pairs}


async def _read_body(reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
    if headers.get("transfer-encoding", "").lower() != "chunked":
        return await reader.readexactly(int(headers.get("content-length", "0")))
    parts = []
    while size := int(await reader.readuntil(b"\r\n"), 16):
        parts.append(await reader.readexactly(size))
        await reader.readexactly(2)
    await reader.readuntil(b"\r\n")
    return b"".join(parts)


def _reply(body: bytes, *, status: int = 200, content_type: str = OCTETS, extra: str = "") -> bytes:
    typed = f"content-type: {content_type}\r\n" if content_type else ""
    head = f"HTTP/1.1 {status} Told\r\n{typed}{extra}content-length: {len(body)}\r\n\r\n"
    return head.encode("latin-1") + body


def _later(fault: Fault) -> bytes:
    if fault.kind is FaultKind.LATER:
        return _reply(b"busy", status=503, extra=f"retry-after: {fault.detail}\r\n")
    date = formatdate(time.time() + fault.number, usegmt=True)
    return _reply(b"slow down", status=429, extra=f"retry-after: {date}\r\n")


def _chunked(body: bytes) -> bytes:
    head = f"HTTP/1.1 200 OK\r\ncontent-type: {OCTETS}\r\ntransfer-encoding: chunked\r\n\r\n"
    cut = len(body) // 2
    pieces = [piece for piece in (body[:cut], body[cut:]) if piece]
    return head.encode() + b"".join(b"%x\r\n%b\r\n" % (len(p), p) for p in pieces) + b"0\r\n\r\n"


async def _write_huge(writer: asyncio.StreamWriter, size_bytes: int) -> None:
    head = f"HTTP/1.1 200 OK\r\ncontent-type: {OCTETS}\r\ncontent-length: {size_bytes}\r\n\r\n"
    writer.write(head.encode())
    left = size_bytes
    while left:
        piece = min(left, _PIECE)
        writer.write(b"\0" * piece)
        await writer.drain()
        left -= piece


def _set_no_delay(writer: asyncio.StreamWriter) -> None:
    writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _reset_on_close(writer: asyncio.StreamWriter) -> None:
    linger = struct.pack("ii", 1, 0)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
