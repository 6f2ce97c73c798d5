"""The lean HTTP client: a pool of kept-alive connections for the requests of one function type.

Connections are opened in steps as requests wait for them, and live for a bounded time, so that new servers behind
a name get their share; the name is resolved for every new connection. More are opened only while demand is unmet
and replies come slower than one pair of cores could make them: beyond that, more requests at a time only wait in
the endpoint, while messages that wait here leave in larger batches.
"""

import asyncio
import random
import ssl
from collections.abc import Callable, Coroutine
from typing import Any

from statefun_runtime.adapters.http.connection import Connection
from statefun_runtime.adapters.http.encodings import ACCEPTED
from statefun_runtime.adapters.http.header_lines import Headers
from statefun_runtime.adapters.http.sigv4 import Signer
from statefun_runtime.adapters.http.tls import ClientTls
from statefun_runtime.core.module.endpoint_url import EndpointUrl
from statefun_runtime.core.partition.backlog import Backlog
from statefun_runtime.core.partition.retry import Cause, Failure
from statefun_runtime.ports.function_client import ReplyListener

_CONNECTING_MAX = 64
_AT_ONCE = 32
_SWEEP_S = 0.02
_REPLIES_PER_S_ENOUGH = 20_000
_IDLE_SWEEP_S = 5.0

Spawn = Callable[[Coroutine[Any, Any, None]], object]


class HttpClient:
    """A FunctionClient over HTTP/1.1; `spawn` starts a connection attempt under the worker's own tasks."""

    def __init__(
        self,
        url: str,
        spawn: Spawn,
        *,
        connect_s: float,
        pool_size: int,
        pool_ttl_s: float,
        payload_bytes_max: int,
        tls: ClientTls | None = None,
        headers: Headers | None = None,
        signer: Signer | None = None,
    ) -> None:
        self._url = EndpointUrl.parse(url)
        self._tls = tls if self._url.is_tls else None
        self._headers = headers or Headers()
        self._signer = signer
        self._head = self._make_head()
        self._spawn = spawn
        self._connect_s = connect_s
        self._pool_size = pool_size
        self._pool_ttl_s = pool_ttl_s
        self.payload_bytes_max = payload_bytes_max
        self._loop = asyncio.get_running_loop()
        self._heads: dict[bytes, Any] = {}
        self._idle: list[Connection] = []
        self._busy: dict[Connection, None] = {}
        self._connecting = 0
        self._wanted = 0
        self._replies = 0
        self._sweep_alarm: asyncio.TimerHandle | None = None
        self._is_watching = False
        self._swept_s = 0.0
        self._is_closed = False
        self._is_telling = False
        self._listener: ReplyListener

    def attach(self, listener: ReplyListener) -> None:
        """Tell who listens."""
        self._listener = listener

    def can_send(self, wanted: int) -> bool:
        """Return whether an idle connection is there; else see to it that one will be."""
        if self._idle:
            return True
        self._wanted = wanted
        if not self._is_watching:
            self._watch(self._loop.time())
        self._open_more(_AT_ONCE)
        return False

    def send(self, backlog: Backlog, body: bytes, *, limit_s: float) -> None:
        """Send one request on an idle connection."""
        connection = self._idle.pop()
        self._busy[connection] = None
        now_s = self._loop.time()
        head = self._head if self._signer is None else self._sign(body)
        connection.send(head, backlog, body, now_s + limit_s)
        if not self._is_watching:
            self._watch(now_s)

    def in_flight(self) -> int:
        """Return how many requests are out."""
        return len(self._busy)

    @property
    def connection_count(self) -> int:
        """How many connections are open."""
        return len(self._idle) + len(self._busy)

    def close(self) -> None:
        """Close all connections; requests that are out are forgotten."""
        self._is_closed = True
        if self._sweep_alarm:
            self._sweep_alarm.cancel()
        for connection in (*self._idle, *self._busy):
            connection.close()
        self._idle.clear()
        self._busy.clear()

    def _sign(self, body: bytes) -> bytes:
        """Return the head for this body alone; a signature says what was sent, and when."""
        assert self._signer is not None
        signature = self._signer.sign("POST", str(self._url), body)
        return _request_head(self._url, self._headers.lines + signature)

    def _make_head(self) -> bytes:
        return _request_head(self._url, self._headers.lines)

    def _freshen(self) -> None:
        if self._headers.have_changed():
            self._head = self._make_head()

    # ── what connections tell ──

    def responded(self, connection: Connection, backlog: Backlog, body: bytes) -> None:
        """A success came in."""
        self._replies += 1
        self._put_back(connection)
        self._listener.replied(backlog, body)
        if not self._is_telling:
            self._tell()

    def broke(self, connection: Connection, backlog: Backlog, failure: Failure) -> None:
        """A request is lost; the connection may be good."""
        self._put_back(connection)
        self._listener.failed(backlog, failure)
        self._tell()

    def closed(self, connection: Connection, backlog: Backlog | None, *, is_stale: bool) -> None:
        """A connection is gone."""
        if backlog is None:
            if connection in self._idle:
                self._idle.remove(connection)
            return
        self._busy.pop(connection, None)
        if is_stale:
            self._listener.went_stale(backlog)
        else:
            detail = "the connection was closed before a whole reply came"
            if connection.refusal:
                detail += f": {connection.refusal}"
            self._listener.failed(backlog, Failure(Cause.DISCONNECT, detail))
        self._tell()

    def _tell(self) -> None:
        """Have the next requests sent when all replies of this turn of the loop are read.

        Requests that leave together wake the endpoint once: half the price of one wake-up for each.
        """
        if not self._is_telling:
            self._is_telling = True
            self._loop.call_soon(self._told)

    def _told(self) -> None:
        self._is_telling = False
        if not self._is_closed:
            self._listener.has_room()

    def _put_back(self, connection: Connection) -> None:
        del self._busy[connection]
        if not connection.is_open:
            return
        if self._is_over_age(connection, self._loop.time()):
            connection.close()
        else:
            self._idle.append(connection)

    def _is_over_age(self, connection: Connection, now_s: float) -> bool:
        return 0 < connection.dies_s <= now_s

    # ── opening ──

    def _open_more(self, total_max: int) -> None:
        """Open connections for the requests that wait, up to a total and in steps."""
        limit = min(total_max, self._pool_size)
        room = limit - self.connection_count - self._connecting
        count = min(self._wanted - self._connecting, room, _CONNECTING_MAX - self._connecting)
        for _ in range(count):
            self._connecting += 1
            self._spawn(self._open())

    async def _open(self) -> None:
        try:
            async with asyncio.timeout(self._connect_s):
                connection = await self._connect()
        except TimeoutError:
            self._failed_to_open(f"no connection within {self._connect_s:g} s")
        except (OSError, ssl.SSLError, UnicodeError) as error:
            self._failed_to_open(str(error) or type(error).__name__)
        else:
            self._opened(connection)
        finally:
            self._connecting -= 1

    async def _connect(self) -> Connection:
        url, loop = self._url, self._loop
        if url.socket:
            return (await loop.create_unix_connection(self._make_connection, url.socket))[1]
        _, connection = await loop.create_connection(
            self._make_connection,
            url.host,
            url.port,
            ssl=self._tls.context() if self._tls else None,
            server_hostname=url.host if self._tls else None,
        )
        return connection

    def _make_connection(self) -> Connection:
        return Connection(self, self._heads)

    def _opened(self, connection: Connection) -> None:
        if self._is_closed:
            connection.close()
            return
        now_s = self._loop.time()
        if self._pool_ttl_s > 0:
            connection.dies_s = now_s + self._pool_ttl_s + random.uniform(1, 3)
        self._idle.append(connection)
        self._tell()

    def _failed_to_open(self, detail: str) -> None:
        if not self._is_closed and not self.connection_count:
            where = f"cannot connect to {self._url.authority}: {detail}"
            self._listener.unreachable(Failure(Cause.CONNECT, where))

    # ── the sweep: one timer for all limits ──

    def _watch(self, now_s: float) -> None:
        """Requests are out or wanted: sweep often, until none is."""
        if self._sweep_alarm:
            self._sweep_alarm.cancel()
        self._is_watching = True
        self._swept_s = now_s
        if self._headers.can_change:
            self._freshen()
        self._sweep_alarm = self._loop.call_later(_SWEEP_S, self._sweep)

    def _sweep(self) -> None:
        self._sweep_alarm = None
        now_s = self._loop.time()
        for connection in [c for c in self._busy if c.ends_s <= now_s]:
            connection.expire()
        elapsed_s = max(now_s - self._swept_s, 0.001)
        if self._wanted and not self._idle and self._replies / elapsed_s < _REPLIES_PER_S_ENOUGH:
            self._open_more(2 * self.connection_count + _AT_ONCE)
        self._drop_old(now_s)
        if self._headers.can_change:
            self._freshen()
        self._is_watching = bool(self._busy or self._connecting)
        if self._is_watching or self._idle:
            # With nothing out, come back only to close what got old.
            pause_s = _SWEEP_S if self._is_watching else _IDLE_SWEEP_S
            self._sweep_alarm = self._loop.call_later(pause_s, self._sweep)
        self._replies, self._wanted, self._swept_s = 0, 0, now_s

    def _drop_old(self, now_s: float) -> None:
        for connection in [c for c in self._idle if self._is_over_age(c, now_s)]:
            self._idle.remove(connection)
            connection.close()


def _request_head(url: EndpointUrl, more: bytes) -> bytes:
    """Return all that stands in front of a body's length; `more` are header lines."""
    start = (
        f"POST {url.target} HTTP/1.1\r\n"
        f"host: {url.host_header}\r\n"
        "content-type: application/octet-stream\r\n"
        "accept: application/octet-stream\r\n"
        f"accept-encoding: {ACCEPTED}\r\n"
        "connection: keep-alive\r\n"
        "user-agent: statefun\r\n"
    )
    return b"%b%bcontent-length: " % (start.encode(), more)
