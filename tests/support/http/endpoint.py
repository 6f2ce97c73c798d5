"""An Endpoint served by a real HTTP server on this machine."""

import asyncio
import ssl
import time
from email.utils import formatdate
from pathlib import Path

from tests.fakes.endpoint import OCTETS, Answer, Endpoint, Fate
from tests.support.http.bundles import CONTENT_TYPE, framed, outcome, split


class HttpEndpoint:
    """Serves an Endpoint on any free port, or on a socket in a folder; `async with` starts and ends it."""

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        tls: ssl.SSLContext | None = None,
        folder: Path | None = None,
        takes_bundles: bool = False,
    ) -> None:
        self._endpoint = endpoint
        self._takes_bundles = takes_bundles
        self._tls = tls
        self._socket = None if folder is None else folder / "fns.sock"
        self._connections: set[_Connection] = set()
        self._server: asyncio.Server
        self.opened = 0
        self.heads: list[bytes] = []
        self.port = 0

    @property
    def url(self) -> str:
        if self._socket is not None:
            return f"http+unix://{self._socket}/statefun"
        return f"http{'s' if self._tls else ''}://127.0.0.1:{self.port}/statefun"

    async def __aenter__(self) -> "HttpEndpoint":
        await self.listen()
        return self

    async def listen(self) -> None:
        loop = asyncio.get_running_loop()
        if self._socket is not None:
            self._server = await loop.create_unix_server(self._accept, self._socket)
            return
        self._server = await loop.create_server(self._accept, "127.0.0.1", self.port, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]

    def leave(self) -> None:
        """Refuse new connections and cut those that are open."""
        self._server.close()
        if self._socket is not None:
            self._socket.unlink(missing_ok=True)
        self.cut_all()

    def cut_all(self) -> None:
        for connection in list(self._connections):
            connection.transport.abort()

    async def __aexit__(self, *_: object) -> None:
        self.leave()

    def _accept(self) -> "_Connection":
        self.opened += 1
        make = _BundleConnection if self._takes_bundles else _Connection
        return make(self._endpoint, self._connections, self.heads)


def _retry_after(answer: Answer) -> str:
    seconds = answer.retry_after_s
    if seconds is None:
        return ""
    if answer.is_retry_after_date:
        return f"retry-after: {formatdate(time.time() + seconds, usegmt=True)}\r\n"
    return f"retry-after: {seconds:.0f}\r\n"


class _Connection(asyncio.Protocol):
    transport: asyncio.Transport
    offer = ""

    def __init__(
        self, endpoint: Endpoint, siblings: "set[_Connection]", heads: list[bytes]
    ) -> None:
        self._endpoint = endpoint
        self._siblings = siblings
        self._heads = heads
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._siblings.add(self)

    def connection_lost(self, error: Exception | None) -> None:
        self._siblings.discard(self)

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, body = self._received.partition(b"\r\n\r\n")
        if not end:
            return
        size = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
        if len(body) < size:
            return
        assert len(body) == size, "a connection carries one request at a time"
        self._received = b""
        self._heads.append(head)
        self._take(head, body)

    def _take(self, head: bytes, body: bytes) -> None:
        answer = self._endpoint.take(body)
        asyncio.get_running_loop().call_later(answer.after_s, self._answer, answer)

    def _answer(self, answer: Answer) -> None:
        if answer.fate is Fate.LOST or self.transport.is_closing():
            return
        if answer.fate is Fate.STALE:
            self.transport.close()
            return
        head = (
            f"HTTP/1.1 {answer.status} Whatever\r\ncontent-type: {answer.content_type}\r\n"
            f"content-length: {len(answer.body)}\r\n{_retry_after(answer)}{self.offer}\r\n"
        )
        whole = head.encode() + answer.body
        if answer.fate is Fate.CUT:
            self.transport.write(whole[: len(head) // 2])
            self.transport.close()
        else:
            self.transport.write(whole)


class _BundleConnection(_Connection):
    """Takes bundles, too, and answers them in parts, each batch as the endpoint says."""

    offer = "statefun-bundle: 1\r\n"

    def _take(self, head: bytes, body: bytes) -> None:
        if CONTENT_TYPE.encode() not in head:
            super()._take(head, body)
            return
        answers = [self._endpoint.take(request) for request in split(body)]
        if any(answer.fate is Fate.STALE for answer in answers):
            self.transport.close()
            return
        foreign = next((each for each in answers if each.content_type != OCTETS), None)
        if foreign is not None:
            self._answer(foreign)
            return
        self._left = len(answers)
        self.transport.write(
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n"
            b"content-type: %b\r\n\r\n" % CONTENT_TYPE.encode()
        )
        for index, answer in enumerate(answers):
            asyncio.get_running_loop().call_later(answer.after_s, self._write, index, answer)

    def _write(self, index: int, answer: Answer) -> None:
        if answer.fate is Fate.LOST or self.transport.is_closing():
            return
        if answer.fate is Fate.CUT:
            self.transport.close()
            return
        if 200 <= answer.status < 300:
            data = framed(outcome(index, reply=answer.body))
        else:
            data = framed(outcome(index, status=answer.status, later_s=answer.retry_after_s))
        self._left -= 1
        end = b"" if self._left else b"0\r\n\r\n"
        self.transport.write(b"%x\r\n%b\r\n%b" % (len(data), data, end))
