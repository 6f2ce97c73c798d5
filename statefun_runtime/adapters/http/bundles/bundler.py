"""Gathers what one function type sends in a turn of the loop, and has it leave as bundles.

    gather ─▶ gathered ──end of the turn──▶ bundles, each on a connection ──outcomes──▶ told

Nothing waits for more to come: what is ready leaves, spread over a few connections, since there may be several processes
behind them. How many bundles are out at once is found out, as for requests. One of which most outcomes have come, or
of which nothing is heard for a while, stands in nobody's way any more: its addresses hold a connection, not a place.
"""

import asyncio
from typing import Protocol

from statefun_runtime.adapters.http.bundles.agreement import Agreement
from statefun_runtime.adapters.http.bundles.exchange import BundleExchange, Entry
from statefun_runtime.adapters.http.bundles.wire import LENGTH_BYTES, Outcome, bundle
from statefun_runtime.adapters.http.connection import Connection, PoolUser
from statefun_runtime.adapters.http.pool import HttpPool
from statefun_runtime.core.partition.allowance import Allowance
from statefun_runtime.core.partition.backlog import Backlog
from statefun_runtime.core.partition.retry import Cause, Failure
from statefun_runtime.ports.function_client import ReplyListener

_PLACES_FIRST = 4
# Fewer are not worth a connection of their own.
_SPREAD = 64
_SAMPLE = 64
_SILENT_S = 0.1
_TOO_LARGE = 413


class BundleUser(PoolUser, Protocol):
    """The client whose requests are gathered; `out` is how many connections it holds."""

    listener: ReplyListener

    def head_for(self, body: bytes, *, is_bundle: bool) -> bytes:
        """Return all that stands in front of a body's length."""
        ...


class Bundler:
    """The bundles of one function type; `addresses` is how many addresses are gathered, or out in bundles."""

    def __init__(self, user: BundleUser, pool: HttpPool, agreement: Agreement) -> None:
        self._user = user
        self._pool = pool
        self.agreement = agreement
        self._loop = asyncio.get_running_loop()
        self.addresses = 0
        self._gathered: list[Entry] = []
        self._gathered_bytes = 0
        self._is_planned = False
        # Connections for what is gathered.
        self._taken: list[Connection] = []
        self.out: dict[BundleExchange, None] = {}
        self._heavy = 0
        self._places = Allowance(max(2, pool.size // 4), start=_PLACES_FIRST, sample=_SAMPLE)
        self._is_short = False
        self._answered = 0

    @property
    def connections(self) -> int:
        """How many connections carry bundles, or are taken for some."""
        return len(self.out) + len(self._taken)

    @property
    def is_busy(self) -> bool:
        """Whether there is something to look after."""
        return bool(self.out or self._gathered or self._is_short)

    # ── what the client asks ──

    def can_gather(self, wanted: int) -> bool:
        """Return whether one more request has room in a bundle that leaves in this turn."""
        count, agreement = len(self._taken), self.agreement
        if (
            len(self._gathered) < count * agreement.addresses_max
            and self._gathered_bytes < count * agreement.bytes_max
        ):
            return True
        return self._take(wanted)

    def gather(self, backlog: Backlog, body: bytes, ends_s: float) -> None:
        """Have a request leave at the end of this turn."""
        self._gathered.append((backlog, body, ends_s))
        self._gathered_bytes += len(body) + LENGTH_BYTES
        self.addresses += 1
        self._plan()

    def cancel(self, backlog: Backlog) -> bool:
        """Forget a request; return whether it was gathered, or out in a bundle."""
        for entry in self._gathered:
            if entry[0] is backlog:
                self._gathered.remove(entry)
                self._gathered_bytes -= len(entry[1]) + LENGTH_BYTES
                self.addresses -= 1
                return True
        for exchange in self.out:
            if exchange.forget(backlog):
                self.addresses -= 1
                return True
        return False

    def close(self) -> None:
        """Forget everything."""
        for exchange in list(self.out):
            exchange.left.clear()
            exchange.connection.close()
            self.ended(exchange)
        self._gathered.clear()
        self._gathered_bytes = self.addresses = 0
        self._release_taken()

    def sweep(self, now_s: float) -> None:
        """Look what takes long, and how many bundles are right."""
        for exchange in self.out:
            if exchange.is_heavy and now_s - exchange.heard_s > _SILENT_S:
                self._lighten(exchange)
        self._places.observe(now_s, replies=self._answered, is_short=self._is_short)
        if self._is_short:
            self._pool.tell()
        self._answered, self._is_short = 0, False
        if self._gathered:
            self._expire(now_s)
            self._plan()

    # ── gathering and leaving ──

    def _take(self, wanted: int) -> bool:
        """Take one more connection for what is gathered; return whether one is there."""
        pool, user = self._pool, self._user
        if self._heavy + len(self._taken) >= self._places.limit:
            self._is_short = True
            return False
        if pool.is_shared and user.out >= pool.cap:
            return False
        if not pool.idle or (pool.hungry is not None and pool.hungry is not user):
            places = self._places.limit - self._heavy - len(self._taken)
            pool.want_lent(user, min(places, -(-wanted // _SPREAD)))
            return False
        self._taken.append(pool.take(user))
        return True

    def _plan(self) -> None:
        if not self._is_planned:
            self._is_planned = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        """The turn is over: what was gathered leaves."""
        self._is_planned = False
        gathered = self._gathered
        if not self.agreement.is_on:
            self._gathered, self._gathered_bytes = [], 0
            for backlog, _, _ in gathered:
                self.returned(backlog, goes_alone=False)
            gathered = self._gathered
        self._drop_closed()
        while gathered and len(self._taken) * _SPREAD < len(gathered):
            if not self._take(len(gathered) - len(self._taken) * _SPREAD):
                break
        begin, total = 0, len(gathered)
        while begin < total and self._taken:
            share = -(-(total - begin) // len(self._taken))
            end = self._end_of_bundle(begin, min(share, self.agreement.addresses_max))
            self._send(self._taken.pop(), gathered[begin:end])
            begin = end
        del gathered[:begin]
        self._release_taken()

    def _end_of_bundle(self, begin: int, addresses: int) -> int:
        """Return where the bundle ends that begins there; it holds one request, or what has room."""
        gathered, room = self._gathered, self.agreement.bytes_max
        if not begin and self._gathered_bytes <= room and addresses >= len(gathered):
            self._gathered_bytes = 0
            return len(gathered)
        end = begin
        for _, body, _ in gathered[begin : begin + addresses]:
            room -= len(body) + LENGTH_BYTES
            if room < 0 and end > begin:
                break
            end += 1
            self._gathered_bytes -= len(body) + LENGTH_BYTES
        return end

    def _send(self, connection: Connection, entries: list[Entry]) -> None:
        user, pool = self._user, self._pool
        if len(entries) == 1:
            backlog, body, ends_s = entries[0]
            self.addresses -= 1
            head = user.head_for(body, is_bundle=False)
            connection.send(user, head, backlog, body, ends_s)
        else:
            exchange = BundleExchange(self, connection, entries, user.payload_bytes_max)
            self.out[exchange] = None
            self._heavy += 1
            pool.lent += 1
            body = bundle([body for _, body, _ in entries])
            exchange.send(user.head_for(body, is_bundle=True), body)
            counts = entries[0][0].function.counts
            counts.bundles += 1
            counts.bundled += len(entries)
        if not pool.is_watching:
            pool.watch()

    def _drop_closed(self) -> None:
        """Connections may have been closed by the server since they were taken."""
        taken, self._taken = self._taken, []
        for connection in taken:
            if connection.is_open:
                self._taken.append(connection)
            else:
                self._user.out -= 1

    def _release_taken(self) -> None:
        """Give back what is not needed after all."""
        taken, self._taken = self._taken, []
        for connection in taken:
            self._user.out -= 1
            self._pool.give_back(connection)

    def _expire(self, now_s: float) -> None:
        """Some found no connection within their limit."""
        expired = [entry for entry in self._gathered if entry[2] <= now_s]
        self._gathered = [entry for entry in self._gathered if entry[2] > now_s]
        for backlog, body, _ in expired:
            self._gathered_bytes -= len(body) + LENGTH_BYTES
            self.settled(backlog, Failure(Cause.TIMEOUT, "no reply within the time limit"))

    def _lighten(self, exchange: BundleExchange) -> None:
        exchange.is_heavy = False
        self._heavy -= 1

    # ── what bundles tell ──

    def settled(self, backlog: Backlog, outcome: Outcome) -> None:
        """One address has its outcome."""
        self.addresses -= 1
        self._answered += 1
        if isinstance(outcome, bytes):
            self._user.listener.replied(backlog, outcome)
        else:
            self._user.listener.failed(backlog, outcome)

    def returned(self, backlog: Backlog, *, goes_alone: bool) -> None:
        """One address has none, through no fault of its own."""
        self.addresses -= 1
        self._user.listener.came_back(backlog, goes_alone=goes_alone)

    def heard(self, exchange: BundleExchange) -> None:
        """Some more outcomes were told."""
        if exchange.is_heavy and 2 * len(exchange.left) <= exchange.count:
            self._lighten(exchange)
        if not self._pool.is_telling:
            self._pool.tell()

    def refused(self, exchange: BundleExchange, status: int) -> None:
        """The server answered with something else: no bundle until it asks anew."""
        now_s = self._loop.time()
        if status == _TOO_LARGE:
            self.agreement.too_large(exchange.size_bytes, now_s)
        else:
            self.agreement.refused(now_s)

    def went_stale(self, exchange: BundleExchange) -> None:
        """The server had closed the connection before it read the bundle."""
        self._pool.distrust(exchange.connection)

    def ended(self, exchange: BundleExchange) -> None:
        """Everything is told; the connection is free, or closed."""
        if self.out.pop(exchange, self) is not None:
            return
        if exchange.is_heavy:
            self._lighten(exchange)
        if exchange.connection.is_open:
            self.agreement.answered(
                exchange.count,
                exchange.size_bytes,
                spread_s=exchange.heard_s - exchange.first_s,
                whole_s=exchange.heard_s - exchange.began_s,
                now_s=self._loop.time(),
            )
        self._user.out -= 1
        self._pool.take_back(exchange.connection)
        self._pool.tell()
