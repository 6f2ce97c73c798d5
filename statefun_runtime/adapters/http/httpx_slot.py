"""One place in the pool of the okhttp transport: a request at a time, on one connection per origin.

It stands on httpcore, which is httpx without its pool for all: that one is searched once per request and connection,
so that a hundred connections cost milliseconds a request. What httpcore reads is watched, because whether any byte of
a reply came decides what its loss means.
"""

import asyncio
import ssl
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import httpcore
import httpx

from statefun_runtime.adapters.dialling import Dialler
from statefun_runtime.adapters.http.encodings import decode
from statefun_runtime.adapters.http.responses import IDLE_S, announced_idle_s
from statefun_runtime.core.partition.retry import Cause, Failure

Pairs = list[tuple[bytes, bytes]]


class Lost(Exception):
    """There is no reply, for this reason."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.detail)
        self.failure = failure


@dataclass(frozen=True, slots=True)
class Response:
    """A whole response, its body decoded."""

    status: int
    content_type: str
    location: str | None
    body: bytes
    retry_after: str = ""


class Slot:
    """Sends requests one after another. `dies_s` is 0 if it never grows old.

    `opened` is called once: when the first connection is there, or when it is closed without one.
    """

    def __init__(self, dies_s: float, opened: Callable[[], None], dialler: Dialler) -> None:
        self._pools: dict[str, httpcore.AsyncConnectionPool] = {}
        self._backend = _WatchedBackend(opened, dialler)
        self.idle_s = IDLE_S
        self.dies_s = dies_s
        self.idle_since_s = 0.0

    async def send(
        self,
        request: httpcore.Request,
        make_pool: Callable[[httpcore.AsyncNetworkBackend], httpcore.AsyncConnectionPool],
        *,
        bytes_max: int,
    ) -> Response:
        """Return the whole response; raise Lost or what httpcore raises."""
        origin = str(request.url.origin)
        pool = self._pools.get(origin)
        if pool is None:
            pool = self._pools[origin] = make_pool(self._backend)
        self._backend.has_connected = self._backend.has_read = False
        raw = await pool.handle_async_request(request)
        try:
            self.idle_s = _idle_s(raw)
            return await _read(raw, bytes_max)
        finally:
            await raw.aclose()

    @property
    def was_closed_already(self) -> bool:
        """Whether the last request went out on a connection that had been used, and nothing came back."""
        return not self._backend.has_connected and not self._backend.has_read

    async def aclose(self) -> None:
        """Close all connections."""
        self._backend.tell_opened()
        pools, self._pools = self._pools, {}
        for pool in pools.values():
            await pool.aclose()


def _idle_s(raw: httpcore.Response) -> float:
    """Return for how long the server keeps the connection; 0 if it closes it, or is about to."""
    fields = {
        name.lower().decode("latin-1"): value.decode("latin-1") for name, value in raw.headers
    }
    announced_s = announced_idle_s(fields)
    return IDLE_S if announced_s is None else announced_s


async def _read(raw: httpcore.Response, bytes_max: int) -> Response:
    # Not httpx's own decoders: they give what they have of a body that is damaged, and know no limit.
    headers = httpx.Headers(raw.headers)
    parts, size = [], 0
    async for part in raw.aiter_stream():
        size += len(part)
        if size > bytes_max:
            text = f"the response is larger than {bytes_max} bytes"
            raise Lost(Failure(Cause.TOO_LARGE, text))
        parts.append(part)
    body = decode(b"".join(parts), headers.get("content-encoding", ""), bytes_max)
    if isinstance(body, Failure):
        raise Lost(body)
    return Response(
        raw.status,
        headers.get("content-type", ""),
        headers.get("location"),
        body,
        headers.get("retry-after", ""),
    )


def make_pool(
    backend: httpcore.AsyncNetworkBackend,
    *,
    tls: ssl.SSLContext,
    proxy: str | None,
    socket: str | None,
) -> httpcore.AsyncConnectionPool:
    """Return a pool of one connection."""
    return httpcore.AsyncConnectionPool(
        ssl_context=tls,
        proxy=None if proxy is None else _proxy(proxy),
        max_connections=1,
        uds=socket,
        network_backend=backend,
    )


def _proxy(url: str) -> httpcore.Proxy:
    parsed = httpx.URL(url)
    auth = (unquote(parsed.username), unquote(parsed.password)) if parsed.userinfo else None
    return httpcore.Proxy(str(parsed.copy_with(username=None, password=None)), auth=auth)


class _WatchedBackend(httpcore.AsyncNetworkBackend):
    """Opens connections, and remembers whether one was opened and whether anything was read."""

    def __init__(self, opened: Callable[[], None], dialler: Dialler) -> None:
        self._backend = httpcore.AnyIOBackend()
        self._dialler = dialler
        self._opened: Callable[[], None] | None = opened
        self.has_connected = False
        self.has_read = False

    def tell_opened(self) -> None:
        """Tell that the first connection is there or will not come, once."""
        opened, self._opened = self._opened, None
        if opened is not None:
            opened()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        self.has_connected = True
        for place in await self._dialler.known_good(host, port):
            # By its address: the name would be raced anew, with what is known to be dead in front.
            with suppress(httpcore.ConnectError, httpcore.ConnectTimeout):
                stream = await self._backend.connect_tcp(
                    place, port, timeout, local_address, socket_options
                )
                self.tell_opened()
                return _WatchedStream(stream, self)
        stream = await self._backend.connect_tcp(host, port, timeout, local_address, socket_options)
        self.tell_opened()
        return _WatchedStream(stream, self)

    async def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> httpcore.AsyncNetworkStream:
        self.has_connected = True
        stream = await self._backend.connect_unix_socket(path, timeout, socket_options)
        self.tell_opened()
        return _WatchedStream(stream, self)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class _WatchedStream(httpcore.AsyncNetworkStream):
    def __init__(self, stream: httpcore.AsyncNetworkStream, backend: _WatchedBackend) -> None:
        self._stream = stream
        self._backend = backend

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        data = await self._stream.read(max_bytes, timeout)
        if data:
            self._backend.has_read = True
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.AsyncNetworkStream:
        stream = await self._stream.start_tls(ssl_context, server_hostname, timeout)
        return _WatchedStream(stream, self._backend)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
