"""The lean HTTP client: the requests of one function type, over the connections of its endpoint."""

import asyncio

from statefun_runtime.adapters.http.bundles.agreement import VERSION, Agreement
from statefun_runtime.adapters.http.bundles.bundler import Bundler
from statefun_runtime.adapters.http.bundles.wire import CONTENT_TYPE
from statefun_runtime.adapters.http.connection import Connection
from statefun_runtime.adapters.http.encodings import ACCEPTED
from statefun_runtime.adapters.http.header_lines import Headers
from statefun_runtime.adapters.http.pool import HttpPool
from statefun_runtime.adapters.http.sigv4 import Signer
from statefun_runtime.core.module.endpoint_url import EndpointUrl
from statefun_runtime.core.partition.backlog import Backlog
from statefun_runtime.core.partition.retry import Cause, Failure
from statefun_runtime.ports.function_client import ReplyListener


class HttpClient:
    """A FunctionClient over HTTP/1.1; `out` is how many requests are out."""

    def __init__(
        self,
        url: str | EndpointUrl,
        pool: HttpPool,
        *,
        payload_bytes_max: int,
        bundle_bytes_max: int = 1024 * 1024,
        headers: Headers | None = None,
        signer: Signer | None = None,
    ) -> None:
        self._url = EndpointUrl.parse(url) if isinstance(url, str) else url
        self._headers = headers or Headers()
        self._signer = signer
        self._head, self._bundle_head = self._make_heads()
        self._pool = pool
        self._idle = pool.idle
        self.payload_bytes_max = payload_bytes_max
        self._loop = asyncio.get_running_loop()
        self.out = 0
        self._is_closed = False
        self.listener: ReplyListener
        agreement = pool.agreements.setdefault(self._url.target, Agreement(bundle_bytes_max))
        self._agreement = agreement
        self._bundler = Bundler(self, pool, agreement)
        pool.join(self)

    def attach(self, listener: ReplyListener) -> None:
        """Tell who listens."""
        self.listener = listener

    def can_send(self, wanted: int, *, is_alone: bool = False) -> bool:
        """Return whether an idle connection is there for it, or room in a bundle; else see to it that there will be."""
        pool = self._pool
        if self._agreement.is_on:
            if not is_alone:
                return self._bundler.can_gather(wanted)
            if self.out - self._bundler.connections >= pool.allowance.limit:
                pool.want(self, wanted)
                return False
        if pool.is_shared and self.out >= pool.cap:
            return False
        if len(self._idle) > pool.reserved and (pool.hungry is None or pool.hungry is self):
            return True
        pool.want(self, wanted)
        return False

    def capacity(self) -> int:
        """Return how many requests may be out, as far as is known by now."""
        pool = self._pool
        if self._agreement.is_on:
            # Those that go alone have the connections of the allowance to themselves, and may use half of this: all of
            # them and one that is missed, or nobody would see that more are wanted.
            return min(2 * (pool.allowance.limit + 1), pool.cap)
        return min(pool.allowance.limit, pool.cap)

    def send(
        self, backlog: Backlog, body: bytes, *, limit_s: float, is_alone: bool = False
    ) -> None:
        """Send one request on an idle connection, or with others at the end of this turn."""
        if self._agreement.is_on and not is_alone:
            self._bundler.gather(backlog, body, self._loop.time() + limit_s)
            return
        pool = self._pool
        connection = self._idle.pop()
        pool.busy[connection] = None
        self.out += 1
        now_s = self._loop.time()
        if not connection.is_used:
            pool.first(connection, now_s)
        if pool.hungry is self:
            pool.hungry = None
            pool.tell()
        head = self._head if self._signer is None else self._sign(body)
        connection.send(self, head, backlog, body, now_s + limit_s)
        if not pool.is_watching:
            pool.watch()

    def cancel(self, backlog: Backlog) -> bool:
        """Forget a request, and close its connection."""
        pool = self._pool
        connection = next((each for each in pool.busy if each.backlog is backlog), None)
        if connection is not None:
            connection.close()
            pool.lost(connection)
        elif self._bundler.cancel(backlog):
            pool.tell()
            return True
        elif not pool.forget(backlog):
            return False
        self.out -= 1
        pool.tell()
        return True

    def in_flight(self) -> int:
        """Return how many requests are out."""
        bundler = self._bundler
        return self.out - bundler.connections + bundler.addresses

    @property
    def connection_count(self) -> int:
        """How many connections are open to the endpoint."""
        return self._pool.connection_count

    def close(self) -> None:
        """Leave the pool; requests that are out are forgotten."""
        if self._is_closed:
            return
        self._is_closed = True
        self._bundler.close()
        self.out = 0
        self._pool.leave(self)

    def _sign(self, body: bytes, *, is_bundle: bool = False) -> bytes:
        """Return the head for this body alone; a signature says what was sent, and when."""
        assert self._signer is not None
        signature = self._signer.sign("POST", str(self._url), body)
        make = _bundle_head if is_bundle else _request_head
        return make(self._url, self._headers.lines + signature)

    def head_for(self, body: bytes, *, is_bundle: bool) -> bytes:
        """Return all that stands in front of a body's length."""
        if self._signer is not None:
            return self._sign(body, is_bundle=is_bundle)
        return self._bundle_head if is_bundle else self._head

    def _make_heads(self) -> tuple[bytes, bytes]:
        self._lines = self._headers.lines
        return _request_head(self._url, self._lines), _bundle_head(self._url, self._lines)

    def freshen(self) -> None:
        """Take up headers that have changed."""
        if not self._headers.can_change:
            return
        # They are shared by all types of the endpoint: another may have heard of the change.
        self._headers.have_changed()
        if self._headers.lines != self._lines:
            self._head, self._bundle_head = self._make_heads()

    def swept(self, now_s: float) -> None:
        """A moment has passed."""
        if self._bundler.is_busy:
            self._bundler.sweep(now_s)

    # ── what connections tell ──

    def asked_for_bundles(self) -> None:
        """The server takes many addresses in one request."""
        self._agreement.asked(self._loop.time())

    def responded(self, connection: Connection, backlog: Backlog, body: bytes) -> None:
        """A success came in."""
        pool = self._pool
        self.out -= 1
        pool.put_back(connection)
        self.listener.replied(backlog, body)
        if not pool.is_telling:
            pool.tell()

    def broke(self, connection: Connection, backlog: Backlog, failure: Failure) -> None:
        """A request is lost; the connection may be good."""
        self._pool.put_back(connection)
        self._fail(backlog, failure)

    def closed(self, connection: Connection, backlog: Backlog) -> None:
        """A connection is gone, and the request on it."""
        self._pool.lost(connection)
        detail = "the connection was closed before a whole reply came"
        if connection.refusal:
            detail += f": {connection.refusal}"
        self._fail(backlog, Failure(Cause.DISCONNECT, detail))

    def went_stale(self, connection: Connection, backlog: Backlog, body: bytes) -> None:
        """The server had closed a connection before it read the request."""
        self._pool.lost(connection)
        self._pool.again(self, backlog, body, connection)

    def _fail(self, backlog: Backlog, failure: Failure) -> None:
        self.out -= 1
        self.listener.failed(backlog, failure)
        self._pool.tell()

    # ── what the pool tells ──

    def told(self) -> None:
        """There may be room."""
        if not self._is_closed:
            self.listener.has_room()

    def resend(self, connection: Connection, backlog: Backlog, body: bytes, ends_s: float) -> None:
        """Send a request again that was not read, on a connection that is new."""
        head = self._head if self._signer is None else self._sign(body)
        connection.send(self, head, backlog, body, ends_s)

    def expired(self, backlog: Backlog) -> None:
        """There was no time left to send it again."""
        self._fail(backlog, Failure(Cause.TIMEOUT, "no reply within the time limit"))

    def unopened(self, detail: str, backlog: Backlog | None) -> None:
        """No connection can be had, for a request that goes again or for any."""
        where = f"cannot connect to {self._url.authority}: {detail}"
        failure = Failure(Cause.CONNECT, where)
        if backlog is not None:
            self._fail(backlog, failure)
        elif not self._is_closed:
            self.listener.unreachable(failure)


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
        f"statefun-bundle: {VERSION}\r\n"
    )
    return b"%b%bcontent-length: " % (start.encode(), more)


def _bundle_head(url: EndpointUrl, more: bytes) -> bytes:
    """Return all that stands in front of a bundle's length."""
    start = (
        f"POST {url.target} HTTP/1.1\r\n"
        f"host: {url.host_header}\r\n"
        f"content-type: {CONTENT_TYPE}\r\n"
        f"accept: {CONTENT_TYPE}\r\n"
        "connection: keep-alive\r\n"
        "user-agent: statefun\r\n"
        f"statefun-bundle: {VERSION}\r\n"
    )
    return b"%b%bcontent-length: " % (start.encode(), more)
