"""A proxy in front of an object store that has requests fail as told, before they reach it or after.

async with FaultyStore(server.port, [Fault.SLOW_DOWN, Fault.LOST_ANSWER]) as proxy:
    ... requests to proxy.port: the first two fail ...
"""

import asyncio
from collections.abc import Iterable
from enum import Enum
from types import TracebackType

_SLOW_DOWN = (
    b'<?xml version="1.0" encoding="UTF-8"?><Error><Code>SlowDown</Code>'
    b"<Message>Please reduce your request rate.</Message></Error>"
)


class Fault(Enum):
    """What becomes of a request."""

    NONE = "none"
    SLOW_DOWN = "503 SlowDown, and nothing is done"
    FAILED_AFTER = "500, though it was done"
    LOST_ANSWER = "it is done, and the connection is cut"
    CUT = "the connection is cut, and nothing is done"
    SILENCE = "no answer, and nothing is done"


class FaultyStore:
    """Passes requests on; each takes the next fault, and when those are used up `otherwise`."""

    def __init__(
        self, target: int, faults: Iterable[Fault] = (), *, otherwise: Fault = Fault.NONE
    ) -> None:
        self.port = 0
        self.faults = list(faults)
        self.otherwise = otherwise
        # Method and path of each request that came in.
        self.requests: list[str] = []
        self._target = target
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> "FaultyStore":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._server is not None
        self._server.close()
        for writer in list(self._open):
            writer.transport.abort()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            await self._request(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self._open.discard(writer)
            writer.close()

    async def _request(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        body = await reader.readexactly(_length(head))
        self.requests.append(b" ".join(head.split(b" ", 2)[:2]).decode())
        fault = self.faults.pop(0) if self.faults else self.otherwise
        match fault:
            case Fault.SLOW_DOWN:
                writer.write(_answer(b"503 Service Unavailable", _SLOW_DOWN))
                await writer.drain()
                return
            case Fault.CUT:
                writer.transport.abort()
                return
            case Fault.SILENCE:
                await reader.read()
                return
        answer = await self._pass_on(head, body)
        if fault is Fault.FAILED_AFTER:
            answer = _answer(b"500 Internal Server Error", b"")
        if fault is Fault.LOST_ANSWER:
            writer.transport.abort()
            return
        writer.write(answer)
        await writer.drain()

    async def _pass_on(self, head: bytes, body: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._target)
        try:
            writer.write(head[:-2] + b"Connection: close\r\n\r\n" + body)
            await writer.drain()
            return await reader.read()
        finally:
            writer.close()


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0


def _answer(status: bytes, body: bytes) -> bytes:
    length = str(len(body)).encode()
    return (
        b"HTTP/1.1 "
        + status
        + b"\r\nContent-Length: "
        + length
        + b"\r\nConnection: close\r\n\r\n"
        + body
    )
