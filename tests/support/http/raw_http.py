"""A server that answers with bytes as they are, and a proxy: for what an Endpoint cannot say."""

import asyncio
import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

OCTETS = "application/octet-stream"


@dataclass(frozen=True)
class RawRequest:
    """A request as it came in; header names are in lower case."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


def response(body: bytes = b"", status: int = 200, **headers: str) -> bytes:
    """Return a response; underscores in header names stand for dashes."""
    fields = {"content-type": OCTETS, "content-length": str(len(body)), **headers}
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in fields.items()]
    return "\r\n".join((f"HTTP/1.1 {status} Whatever", *lines, "", "")).encode() + body


class RawServer:
    """Answers each request with the bytes that `answer` makes; None: never. `async with` starts and ends it.

    An abrupt one closes after each response without having said so.
    """

    def __init__(
        self,
        answer: Callable[[RawRequest], bytes | None],
        *,
        tls: ssl.SSLContext | None = None,
        socket: Path | None = None,
        is_abrupt: bool = False,
    ) -> None:
        self._answer = answer
        self._is_abrupt = is_abrupt
        self._changed = asyncio.Event()
        self.open_max = 0
        self._tls = tls
        self._socket = socket
        self._writers: set[asyncio.StreamWriter] = set()
        self.requests: list[RawRequest] = []
        self.peers: list[dict[str, object]] = []
        self.port = 0

    @property
    def opened(self) -> int:
        """How many connections were made, and had a request."""
        return len(self.peers)

    def url(self, path: str = "/statefun", host: str = "127.0.0.1") -> str:
        return f"http{'s' if self._tls else ''}://{host}:{self.port}{path}"

    async def __aenter__(self) -> "RawServer":
        if self._socket is not None:
            self._server = await asyncio.start_unix_server(self._serve, self._socket)
        else:
            self._server = await asyncio.start_server(
                self._serve, "127.0.0.1", self.port, ssl=self._tls
            )
            self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for writer in list(self._writers):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        self.open_max = max(self.open_max, len(self._writers))
        is_first = True
        with suppress(OSError, asyncio.IncompleteReadError):
            while True:
                request = await read_request(reader)
                if is_first:
                    self.peers.append(writer.get_extra_info("peercert") or {})
                    is_first = False
                self.requests.append(request)
                answer = self._answer(request)
                if answer is not None:
                    writer.write(answer)
                    if self._is_abrupt:
                        break
        self._writers.discard(writer)
        self._changed.set()
        writer.close()

    @property
    def open_count(self) -> int:
        """How many connections are open."""
        return len(self._writers)

    def cut(self) -> None:
        """Close all connections, without a word."""
        for writer in list(self._writers):
            writer.transport.abort()

    async def left(self) -> None:
        """Wait until all connections are closed by those who opened them."""
        async with asyncio.timeout(20):
            while self._writers:
                self._changed.clear()
                await self._changed.wait()


async def read_request(reader: asyncio.StreamReader) -> RawRequest:
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    method, target, _ = head[0].split(" ")
    pairs = (line.partition(": ") for line in head[1:] if line)
    headers = {name.lower(): value for name, _, value in pairs}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return RawRequest(method, target, headers, body)


class Tunnel:
    """A proxy for CONNECT: remembers who asked for what, and carries bytes."""

    def __init__(self) -> None:
        self.requests: list[RawRequest] = []
        self.port = 0

    async def __aenter__(self) -> "Tunnel":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            request = await read_request(reader)
            self.requests.append(request)
            host, _, port = request.target.rpartition(":")
            there, back = await asyncio.open_connection(host, int(port))
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(_carry(reader, back))
                tasks.create_task(_carry(there, writer))
        writer.close()


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
    writer.close()
