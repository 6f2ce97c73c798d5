"""One kept-alive HTTP/1.1 connection to an endpoint, one request at a time.

    idle ──send──▶ waiting ──whole response──▶ idle
                      └─ limit passed, cut, surplus or broken response ──▶ closed

A request that went out on a connection that had been idle, used or not, and got no byte before the end of it, was not
read: the server had closed while nothing was asked. Whoever owns the request gets it back to send it again.

A response names no request: it belongs to the one that is out. A connection that saw anything unexpected is closed
and never used again. The usual response (length known, not encoded, in one piece) is read without a parser; heads
are remembered by their bytes, since an endpoint sends few different ones.
"""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from typing import Protocol, cast

from statefun_runtime.adapters.dialling import Dialler
from statefun_runtime.adapters.http.responses import IDLE_S, Head, Parsing, parse_head, refusal
from statefun_runtime.adapters.http.tls import ClientTls
from statefun_runtime.core.module.endpoint_url import EndpointUrl
from statefun_runtime.core.partition.backlog import Backlog
from statefun_runtime.core.partition.retry import Cause, Failure

_HEADS_MAX = 512
_HEAD_BYTES_MAX = 64 * 1024
_REQUEST_TIMEOUT = 408
_UNUSED_S = 0.03


class RequestOwner(Protocol):
    """Who is told what became of a request."""

    payload_bytes_max: int

    def asked_for_bundles(self) -> None:
        """A success came in, and the server takes many addresses in one request."""
        ...

    def responded(self, connection: "Connection", backlog: Backlog, body: bytes) -> None:
        """A success came in; the connection is idle again, or closed."""
        ...

    def broke(self, connection: "Connection", backlog: Backlog, failure: Failure) -> None:
        """There will be no success; the connection is idle again, or closed."""
        ...

    def closed(self, connection: "Connection", backlog: Backlog) -> None:
        """The connection is gone, with the request that was out."""
        ...

    def went_stale(self, connection: "Connection", backlog: Backlog, body: bytes) -> None:
        """The connection turned out to be closed before the request was read; `body` is the request's."""
        ...


class PoolUser(RequestOwner, Protocol):
    """A client of the pool: the requests of one function type."""

    out: int
    payload_bytes_max: int

    def told(self) -> None:
        """There may be room."""
        ...

    def expired(self, backlog: Backlog) -> None:
        """A request that was to go again has no time left."""
        ...

    def unopened(self, detail: str, backlog: Backlog | None) -> None:
        """No connection could be opened: for this request, or, with None open, for any."""
        ...

    def freshen(self) -> None:
        """Look whether what a request carries has changed."""
        ...

    def swept(self, now_s: float) -> None:
        """A moment has passed."""
        ...

    def resend(
        self, connection: "Connection", backlog: Backlog, body: bytes, ends_s: float
    ) -> None:
        """Send a request again, on a connection that nobody used."""
        ...


class Guest(asyncio.Protocol):
    """Who has a connection for an exchange that is none of one request and one reply."""

    def expire(self) -> None:
        """The limit has passed."""


class ConnectionHome(Protocol):
    """Where a connection is while it has no request."""

    def lost(self, connection: "Connection") -> None:
        """It is gone."""
        ...


class Connection(asyncio.Protocol):
    """The protocol object; `backlog` is the address whose request is out, `ends_s` when it has to be back.

    `refusal` is what the server said against TLS when it closed; `idle_since_s` is its pool's to set, and `has_waited`:
    whether there was no request for it when it was opened. `overran` is told of a request that ran into its limit.
    """

    def __init__(self, home: ConnectionHome, heads: dict[bytes, Head]) -> None:
        self._home = home
        self._heads = heads
        self._body = b""
        self._idle_s = IDLE_S
        self.owner: RequestOwner | None = None
        self._transport: asyncio.Transport | None = None
        self._received: bytes | bytearray = b""
        self._wanted_bytes = 0
        self._parsing: Parsing | None = None
        self._guest: Guest | None = None
        self.is_used = False
        self.has_waited = False
        self.idle_since_s = 0.0
        self.backlog: Backlog | None = None
        self.ends_s = 0.0
        self.dies_s = 0.0
        self.is_open = False
        self.refusal: ssl.SSLError | None = None
        self.overran: Callable[[], None] = _nobody

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self.is_open = True

    def send(
        self, owner: RequestOwner, head: bytes, backlog: Backlog, body: bytes, ends_s: float
    ) -> None:
        """Send one request; `head` lacks only the length."""
        assert self.is_free
        assert self._transport is not None
        self.owner = owner
        self.backlog = backlog
        self.ends_s = ends_s
        if self.may_be_stale:
            self._body = body
        self._transport.write(b"%b%d\r\n\r\n%b" % (head, len(body), body))

    def is_left_over(self, now_s: float) -> bool:
        """Return whether an idle connection was not needed, or is old, or idle for so long that the server closes it."""
        limit_s = self._idle_s if self.is_used else _UNUSED_S
        return now_s - self.idle_since_s >= limit_s or 0 < self.dies_s <= now_s

    def close(self) -> None:
        """Close at once; nobody is told."""
        self.is_open = False
        self.backlog = None
        if self._transport is not None:
            self._transport.abort()

    def lend(self, guest: Guest, ends_s: float) -> asyncio.Transport:
        """Have somebody else be told of everything, until the connection is taken back or closed."""
        assert self.is_free
        assert self._transport is not None
        self._guest = guest
        self.ends_s = ends_s
        self._transport.set_protocol(guest)
        return self._transport

    def take_back(self, idle_s: float | None) -> None:
        """The exchange is done, and the connection is good; the server keeps it for so long, if it said so."""
        assert self._transport is not None
        self._guest = None
        self.is_used = True
        self._idle_s = self._idle_s if idle_s is None else idle_s
        self._transport.set_protocol(self)

    @property
    def is_free(self) -> bool:
        """Whether nothing is out on it."""
        return self.backlog is None and self._guest is None

    @property
    def may_be_stale(self) -> bool:
        """Whether it has been idle, so that the server may have closed it before a request came."""
        return self.is_used or self.has_waited

    def expire(self) -> None:
        """The limit has passed: give the request up, and the connection with it."""
        if self._guest is not None:
            self._guest.expire()
            return
        self._give_up(Failure(Cause.TIMEOUT, "no reply within the time limit"))
        self.overran()

    def data_received(self, data: bytes) -> None:
        if self.backlog is None:
            # Nobody asked: whatever this is, no later response can be trusted.
            if self.is_open:
                self.close()
                self._home.lost(self)
            return
        if self._parsing is not None:
            self._parse(data)
            return
        if self._received:
            self._received = (
                bytearray(self._received) if isinstance(self._received, bytes) else self._received
            )
            self._received += data
            if len(self._received) < self._wanted_bytes:
                return
            data = bytes(self._received)
            self._wanted_bytes = 0
        end = data.find(b"\r\n\r\n")
        if end < 0:
            if len(data) > _HEAD_BYTES_MAX:
                text = f"the response's head is larger than {_HEAD_BYTES_MAX} bytes"
                self._give_up(Failure(Cause.TOO_LARGE, text))
            elif not self._received:
                self._received = data
            return
        head = self._heads.get(data[:end]) or self._read_head(data[:end])
        if head is None or head.size is None:
            self._received = b""
            assert self.owner is not None
            self._parsing = Parsing(self.owner.payload_bytes_max)
            self._parse(data)
            return
        missing = head.size - (len(data) - end - 4)
        if missing > 0:
            self._wanted_bytes = end + 4 + head.size
            if not self._received:
                self._received = data
        else:
            self._received = b""
            # Bytes behind the reply are no part of it: they could decode as effects that nobody asked for.
            body = data[end + 4 : missing] if missing else data[end + 4 :]
            self._done(head, body, has_surplus=missing < 0)

    def _read_head(self, text: bytes) -> Head | None:
        head = parse_head(text)
        if head is not None and head.size is not None:
            assert self.owner is not None
            if head.size > self.owner.payload_bytes_max:
                # The parser counts, and stops at the maximum.
                return None
            if len(self._heads) >= _HEADS_MAX:
                self._heads.clear()
            self._heads[text] = head
        return head

    def _parse(self, data: bytes) -> None:
        """Let a real parser find the end of a response that is not of the usual kind."""
        parsing = self._parsing
        assert parsing is not None
        failure = parsing.feed(data)
        if failure is not None:
            self._give_up(failure)
        elif parsing.is_complete:
            self._parsed(parsing, has_surplus=parsing.has_surplus)

    def _parsed(self, parsing: Parsing, *, has_surplus: bool) -> None:
        self._parsing = None
        body = parsing.body()
        if isinstance(body, Failure):
            self._give_up(body)
        else:
            self._done(parsing.head(), body, has_surplus=has_surplus)

    def eof_received(self) -> bool:
        parsing = self._parsing
        if self.backlog is not None and parsing is not None and parsing.ends_with_connection:
            self._parsed(parsing, has_surplus=True)
        return False

    def _done(self, head: Head, body: bytes, *, has_surplus: bool) -> None:
        backlog, owner = self.backlog, self.owner
        assert backlog is not None
        assert owner is not None
        if has_surplus or not head.keeps_alive:
            if head.status == _REQUEST_TIMEOUT and self.may_be_stale:
                # Said to a connection on which nothing was asked for long; the request crossed it.
                self._end_stale(backlog)
                return
            self.close()
        elif head.idle_s is not None:
            self._idle_s = head.idle_s
        self.backlog = None
        self.is_used = True
        self._body = b""
        if 200 <= head.status < 300 and head.is_octets:
            if head.asks_for_bundles:
                owner.asked_for_bundles()
            owner.responded(self, backlog, body)
        else:
            why = refusal(head.status, head.content_type, body, head.retry_after)
            owner.broke(self, backlog, why)

    def _give_up(self, failure: Failure) -> None:
        backlog = self.backlog
        assert backlog is not None
        assert self.owner is not None
        self.close()
        self.owner.broke(self, backlog, failure)

    def _end_stale(self, backlog: Backlog) -> None:
        assert self.owner is not None
        body, self._body = self._body, b""
        self.close()
        self.owner.went_stale(self, backlog, body)

    def connection_lost(self, error: Exception | None) -> None:
        if not self.is_open:
            return
        self.is_open = False
        if isinstance(error, ssl.SSLError):
            self.refusal = error
        backlog = self.backlog
        if backlog is None:
            self._home.lost(self)
        elif self.may_be_stale and not self._received and self._parsing is None:
            self._end_stale(backlog)
        else:
            assert self.owner is not None
            self.backlog = None
            self.owner.closed(self, backlog)


# Opens a connection that `make` makes, to wherever there is one to be had; raises OSError.
Opener = Callable[[Callable[[], Connection]], Awaitable[Connection]]


def _nobody() -> None:
    """Nobody has to know."""


async def connect(
    url: EndpointUrl, dialler: Dialler, tls: ClientTls | None, make: Callable[[], Connection]
) -> Connection:
    """Open a connection to where a URL leads; raises OSError and its kin."""
    loop = asyncio.get_running_loop()
    if url.socket:
        return (await loop.create_unix_connection(make, url.socket))[1]
    return (
        await loop.create_connection(
            make,
            sock=await dialler.dial(url.host, url.port),
            ssl=tls.context() if tls else None,
            server_hostname=url.host if tls else None,
        )
    )[1]
