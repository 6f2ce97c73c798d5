"""The HTTP client of the transport okhttp, on httpx: redirects and proxies, for a price per request.

Whether the endpoint can be reached is found out with a bare connection before the first request, and again after
a connection could not be opened, so that requests do not pay for it.
"""

import asyncio
import random
import re
import ssl
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpcore
import httpx

from statefun_runtime.adapters.http.encodings import ACCEPTED
from statefun_runtime.adapters.http.header_lines import Headers
from statefun_runtime.adapters.http.httpx_slot import Lost, Pairs, Response, Slot, make_pool
from statefun_runtime.adapters.http.responses import is_octets, refusal
from statefun_runtime.adapters.http.sigv4 import Signer
from statefun_runtime.adapters.http.slots import Slots
from statefun_runtime.adapters.http.tls import ClientTls
from statefun_runtime.core.module.endpoint_url import EndpointUrl
from statefun_runtime.core.module.specs import OkHttpTransport, TlsSpec
from statefun_runtime.core.partition.backlog import Backlog
from statefun_runtime.core.partition.retry import Cause, Failure
from statefun_runtime.ports.function_client import ReplyListener

_REPLY_BYTES_MAX = 32 * 1024 * 1024
_FOLLOW_UPS_MAX = 20
_TO_GET = frozenset({300, 301, 302, 303})
_AGAIN = frozenset({307, 308})
_HEADERS = (
    (b"accept", b"application/octet-stream"),
    (b"accept-encoding", ACCEPTED.encode()),
    (b"user-agent", b"statefun"),
)
_CUTS = (httpcore.NetworkError, httpcore.RemoteProtocolError)
# The last two come from names that cannot be resolved.
_UNREACHED = (
    httpcore.ConnectError,
    httpcore.ConnectTimeout,
    httpcore.ProxyError,
    OSError,
    UnicodeError,
)
_LOSSES = (*_CUTS, *_UNREACHED, httpcore.TimeoutException, httpcore.ProtocolError)
_ENDED = re.compile("disconnected|closed connection")

Spawn = Callable[[Coroutine[Any, Any, None]], "asyncio.Task[None]"]


class HttpxClient:
    """A FunctionClient that follows redirects as OkHttp does; `spawn` starts a task under the worker's own."""

    def __init__(
        self,
        url: str,
        spawn: Spawn,
        spec: OkHttpTransport,
        slots: Slots,
        *,
        tls: ClientTls | None = None,
        headers: Headers | None = None,
        signer: Signer | None = None,
    ) -> None:
        self._endpoint = EndpointUrl.parse(url)
        self._url = httpx.URL(str(self._endpoint))
        self._spawn = spawn
        self._spec = spec
        self._slots = slots
        self._dialler = slots.dialler
        self._tls = tls
        self._no_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._headers = headers or Headers()
        self._signer = signer
        self._timeout = {
            "connect": spec.connect_s,
            "read": spec.read_s,
            "write": spec.write_s,
            "pool": None,
        }
        self._loop = asyncio.get_running_loop()
        self._tasks: dict[asyncio.Task[None], None] = {}
        self._sent: dict[Backlog, asyncio.Task[None]] = {}
        self.out = 0
        self._is_reachable = False
        self._is_probing = False
        self._is_closed = False
        self._listener: ReplyListener
        slots.join(self)

    def attach(self, listener: ReplyListener) -> None:
        """Tell who listens."""
        self._listener = listener

    def can_send(self, wanted: int, *, is_alone: bool = False) -> bool:
        """Return whether a request may go out; else find out whether the endpoint is there."""
        if self._is_reachable:
            return self._slots.has_room(self)
        if not self._is_probing:
            self._is_probing = True
            self._start(self._probe())
        return False

    def send(
        self, backlog: Backlog, body: bytes, *, limit_s: float, is_alone: bool = False
    ) -> None:
        """Send one request, on the connection that was used last if it is still young."""
        self.out += 1
        slot = self._slots.take() or self._make_slot()
        self._sent[backlog] = self._start(self._request(slot, backlog, body, limit_s))

    def capacity(self) -> int:
        """Return how many requests may be out, as far as is known by now."""
        return self._slots.capacity()

    def cancel(self, backlog: Backlog) -> bool:
        """Forget a request, and close its connection."""
        task = self._sent.pop(backlog, None)
        if task is None:
            return False
        task.cancel()
        self.out -= 1
        self._slots.put_back(None)
        self._slots.tell()
        return True

    def in_flight(self) -> int:
        """Return how many requests are out."""
        return self.out

    @property
    def connection_count(self) -> int:
        """How many connections may be open to the endpoint."""
        return self._slots.count

    def close(self) -> None:
        """Leave the slots; requests that are out are forgotten."""
        if self._is_closed:
            return
        self._is_closed = True
        for task in self._tasks:
            task.cancel()
        self._slots.leave(self)
        self.out = 0

    def told(self) -> None:
        """There may be room."""
        if not self._is_closed:
            self._listener.has_room()

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self._spawn(work)
        self._tasks[task] = None
        task.add_done_callback(self._tasks.pop)
        return task

    def _make_slot(self) -> Slot:
        ttl_s = self._spec.pool_ttl_s
        dies_s = self._loop.time() + ttl_s + random.uniform(1, 3) if ttl_s > 0 else 0.0
        return Slot(dies_s, self._slots.opening(), self._dialler)

    def _make_pool(
        self, url: httpx.URL, backend: httpcore.AsyncNetworkBackend
    ) -> httpcore.AsyncConnectionPool:
        is_socket = self._endpoint.socket is not None and self._is_own(url)
        return make_pool(
            backend,
            tls=self._context() if url.scheme == "https" else self._no_tls,
            proxy=None if is_socket else self._proxy(str(url)),
            socket=self._endpoint.socket if is_socket else None,
        )

    def _proxy(self, url: str) -> str | None:
        return self._spec.proxy or proxy_of(url)

    def _context(self) -> ssl.SSLContext:
        if self._tls is None:
            # The endpoint itself has none, but it may redirect to one that has.
            self._tls = ClientTls(TlsSpec())
        return self._tls.context()

    def _is_own(self, url: httpx.URL) -> bool:
        return (url.scheme, url.netloc) == (self._url.scheme, self._url.netloc)

    # ── one request ──

    async def _request(self, slot: Slot, backlog: Backlog, body: bytes, limit_s: float) -> None:
        is_good, ends_s = False, self._loop.time() + limit_s
        try:
            outcome = await self._attempt(slot, body, limit_s)
            if outcome is None:
                # The server had closed it while nothing was asked: on a new connection it is read, or lost.
                stale, slot = slot, self._make_slot()
                await stale.aclose()
                outcome = await self._attempt(slot, body, ends_s - self._loop.time())
                assert outcome is not None
            is_good = isinstance(outcome, bytes) or outcome.cause in (
                Cause.STATUS,
                Cause.CONTENT_TYPE,
            )
            if not self._is_closed:
                del self._sent[backlog]
                self.out -= 1
                self._slots.put_back(slot if is_good else None)
                self._tell(backlog, outcome)
        finally:
            if not is_good or self._is_closed:
                await slot.aclose()

    async def _attempt(self, slot: Slot, body: bytes, limit_s: float) -> bytes | Failure | None:
        """Return the reply, or why there is none; None if the connection turned out to be closed already."""
        try:
            async with asyncio.timeout(limit_s):
                response = await self._exchange(slot, body)
        except Lost as lost:
            return lost.failure
        except TimeoutError:
            return Failure(Cause.TIMEOUT, "no reply within the time limit")
        except _LOSSES as error:
            is_cut = isinstance(error, _CUTS)
            return None if is_cut and slot.was_closed_already else self._failure(error)
        if 200 <= response.status < 300 and is_octets(response.content_type):
            return response.body
        return refusal(response.status, response.content_type, response.body, response.retry_after)

    def _tell(self, backlog: Backlog, outcome: bytes | Failure) -> None:
        if isinstance(outcome, Failure):
            self._listener.failed(backlog, outcome)
        else:
            self._listener.replied(backlog, outcome)
        self._slots.tell()

    def _failure(self, error: Exception) -> Failure:
        detail = str(error) or type(error).__name__
        match error:
            case _ if isinstance(error, _UNREACHED):
                self._is_reachable = False
                where = f"cannot connect to {self._endpoint.authority}: {detail}"
                return Failure(Cause.CONNECT, where)
            case httpcore.ReadTimeout():
                return Failure(Cause.TIMEOUT, f"nothing came for {self._spec.read_s:g} s")
            case httpcore.WriteTimeout():
                text = f"nothing could be sent for {self._spec.write_s:g} s"
                return Failure(Cause.TIMEOUT, text)
            case httpcore.NetworkError():
                return Failure(Cause.DISCONNECT, _DISCONNECTED)
        if _ENDED.search(detail):
            return Failure(Cause.DISCONNECT, _DISCONNECTED)
        return Failure(Cause.BAD_HTTP, f"the response is not proper HTTP: {detail}")

    async def _exchange(self, slot: Slot, body: bytes) -> Response:
        """Send a request, go where it is redirected to, and return the last response."""
        method, url, content = "POST", self._url, body
        for _ in range(_FOLLOW_UPS_MAX + 1):
            request = self._make_request(method, url, content)
            make = partial(self._make_pool, url)
            try:
                response = await slot.send(request, make, bytes_max=_REPLY_BYTES_MAX)
            except _UNREACHED as error:
                if self._is_own(url):
                    raise
                where = f"redirected to {url.netloc.decode()}, and cannot connect to it: {error}"
                raise Lost(Failure(Cause.CONNECT, where)) from error
            target = _redirect(response, url)
            if target is None:
                return response
            if response.status in _TO_GET:
                method, content = "GET", b""
            url = target
        text = f"redirected more than {_FOLLOW_UPS_MAX} times"
        raise Lost(Failure(Cause.DISCONNECT, text))

    def _make_request(self, method: str, url: httpx.URL, body: bytes) -> httpcore.Request:
        headers: Pairs = [(b"host", url.netloc), *_HEADERS]
        if method == "POST":
            headers += [
                (b"content-type", b"application/octet-stream"),
                (b"content-length", b"%d" % len(body)),
            ]
        if self._is_own(url):
            # Elsewhere nobody is to learn them.
            self._headers.have_changed()
            headers += self._headers.pairs
            if self._signer is not None:
                headers += _pairs(self._signer.sign(method, str(url), body))
        where = httpcore.URL(
            scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
        )
        return httpcore.Request(
            method, where, headers=headers, content=body, extensions={"timeout": self._timeout}
        )

    # ── whether the endpoint is there ──

    async def _probe(self) -> None:
        """Open a connection and close it: to the proxy, if there is one in between."""
        where = self._endpoint
        proxy = None if where.socket else self._proxy(str(self._url))
        if proxy is not None:
            where = EndpointUrl.parse(proxy)
        failure = None
        try:
            async with asyncio.timeout(self._spec.connect_s):
                await self._knock(where, with_tls=proxy is None)
        except TimeoutError:
            failure = f"no connection within {self._spec.connect_s:g} s"
        except (OSError, UnicodeError) as error:
            failure = str(error) or type(error).__name__
        finally:
            self._is_probing = False
        if self._is_closed:
            return
        self._is_reachable = failure is None
        if failure is None:
            self._listener.has_room()
        else:
            text = f"cannot connect to {where.authority}: {failure}"
            self._listener.unreachable(Failure(Cause.CONNECT, text))

    async def _knock(self, where: EndpointUrl, *, with_tls: bool) -> None:
        if where.socket:
            transport, _ = await self._loop.create_unix_connection(asyncio.Protocol, where.socket)
        else:
            is_tls = where.is_tls and with_tls
            transport, _ = await self._loop.create_connection(
                asyncio.Protocol,
                sock=await self._dialler.dial(where.host, where.port),
                ssl=self._context() if is_tls else None,
                server_hostname=where.host if is_tls else None,
            )
        transport.abort()


_DISCONNECTED = "the connection was closed before a whole reply came"


def _pairs(lines: bytes) -> Pairs:
    parted = (line.partition(b": ") for line in lines.split(b"\r\n"))
    return [(name, value) for name, colon, value in parted if colon]


def _redirect(response: Response, url: httpx.URL) -> httpx.URL | None:
    """Return where a response sends the request, if it does, and there is a way."""
    if response.location is None or response.status not in _TO_GET | _AGAIN:
        return None
    try:
        target = url.join(response.location)
    except (httpx.InvalidURL, ValueError):
        return None
    return target if target.scheme in ("http", "https") and target.host else None


def proxy_of(url: str) -> str | None:
    """Return the proxy that the environment names for a URL, as every HTTP tool takes it.

    HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY count, in either case.
    """
    parts = urlsplit(url)
    proxies = getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    if not proxy or proxy_bypass(parts.netloc):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"
