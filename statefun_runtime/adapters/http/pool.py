"""The connections to one endpoint, shared by the clients of its function types.

    opening ──▶ idle ──send──▶ busy ──reply──▶ idle ──▶ closed: old, idle for long, never used, over the allowance
       └─ for a request that goes again ──────▶ busy

A connection is opened for a request that waits. One that turns out not to be needed is closed at once: to a server
with one thread, or a thread per connection, an open connection on which nothing is asked is a caller to be waited for.
The one used last is used next, so that what a burst left over grows idle, and is closed before the server does it.

How many may be open at once is found out (core/partition/allowance.py), up to `size`. A connection that was not taken
while others were answered again and again tells that the server has no place for it: one of the others makes place.
"""

import asyncio
import math
import random
import ssl
from collections import deque
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from statefun_runtime.adapters.descriptors import Descriptors
from statefun_runtime.adapters.dialling import Dialler
from statefun_runtime.adapters.http.bundles.agreement import Agreement
from statefun_runtime.adapters.http.connection import Connection, Opener, PoolUser, connect
from statefun_runtime.adapters.http.tls import ClientTls
from statefun_runtime.core.module.endpoint_url import EndpointUrl
from statefun_runtime.core.partition.allowance import Allowance, shares
from statefun_runtime.core.partition.backlog import Backlog

_CONNECTING_MAX = 64
_SWEEP_S = 0.02
_IDLE_SWEEP_S = 0.5
_OVERTAKEN_S = 1.0
_IN_THE_WAY_S = 0.1

Spawn = Callable[[Coroutine[Any, Any, None]], object]


class HttpPool:
    """Connections of one endpoint; `spawn` starts an attempt under the worker's own tasks, and `opens` opens one elsewhere.

    `idle` is for users to take from its end, and `busy` holds what they took. Nobody who has `cap` requests out may
    send another, and nobody but `hungry` who has several.
    """

    def __init__(
        self,
        url: EndpointUrl,
        spawn: Spawn,
        *,
        size: int,
        connect_s: float,
        ttl_s: float,
        tls: ClientTls | None = None,
        descriptors: Descriptors | None = None,
        opens: Opener | None = None,
    ) -> None:
        self.url = url
        self._descriptors = descriptors or Descriptors()
        self._descriptors.join(lambda: self.connection_count + self._connecting)
        self.size = size
        self._spawn = spawn
        self._connect_s = connect_s
        self._ttl_s = ttl_s
        self._connect = opens or partial(connect, url, Dialler(), tls if url.is_tls else None)
        self._loop = asyncio.get_running_loop()
        self._heads: dict[bytes, Any] = {}
        self._users: list[PoolUser] = []
        self.allowance = Allowance(size)
        self.is_shared = False
        self.cap = size
        self._own = 1
        self.hungry: PoolUser | None = None
        self.idle: list[Connection] = []
        self.busy: dict[Connection, None] = {}
        # How many carry bundles, how many idle ones are for bundles that wait, and by URL whether it takes those.
        self.lent = self.reserved = 0
        self.agreements: dict[str, Agreement] = {}
        self.replies = 0
        # First requests that are not answered yet: when each was sent, and how many replies there had been.
        self._first: dict[Connection, tuple[float, int]] = {}
        self._again: deque[tuple[PoolUser, Backlog, bytes, float]] = deque()
        # Those that were overtaken, and so many others are to make place.
        self._stuck: dict[Connection, None] = {}
        self._surplus = 0
        self._new: list[Connection] = []
        self._connecting = self._connecting_lent = 0
        self._wanted = 0
        self._swept_replies = 0
        self._sweep_alarm: asyncio.TimerHandle | None = None
        self.is_watching = False
        self.is_telling = False
        self._turn = 0

    @property
    def connection_count(self) -> int:
        """How many connections are open."""
        return len(self.idle) + len(self.busy)

    def join(self, user: PoolUser) -> None:
        """Share the connections with one more; a type that hangs leaves some to each of the others."""
        self._users.append(user)
        self._share()

    def leave(self, user: PoolUser) -> None:
        """Share them with one less; the last one closes them."""
        self._users.remove(user)
        self._share()
        self._again = deque(entry for entry in self._again if entry[0] is not user)
        if self.hungry is user:
            self.hungry = None
        for connection in [c for c in self.busy if c.owner is user]:
            self.lost(connection)
            connection.close()
        if self._users:
            return
        if self._sweep_alarm:
            self._sweep_alarm.cancel()
        for connection in self.idle:
            connection.close()
        self.idle.clear()

    def _share(self) -> None:
        self.is_shared = len(self._users) > 1
        self._own, self.cap = shares(self.size, len(self._users))

    def want(self, user: PoolUser, wanted: int) -> None:
        """So many requests of a user wait for a connection."""
        room = self.allowance.limit - self._counted - self._connecting
        if self.is_shared and user.out < self._own:
            # Whoever has little is not kept waiting by those who have much.
            self.hungry = self.hungry or user
            room = max(room, self._own - user.out - self._connecting)
        self._open_some(user, wanted, min(wanted - self._connecting, room))

    def want_lent(self, user: PoolUser, wanted: int) -> None:
        """So many bundles of a user wait for a connection; how many may be out is the user's own account.

        The next that is free is theirs: many are behind one, and it is not opened for those who go alone.
        """
        self.reserved = 1
        self._open_some(user, wanted, wanted - self._connecting_lent, is_lent=True)

    def _open_some(self, user: PoolUser, wanted: int, count: int, *, is_lent: bool = False) -> None:
        self._wanted = max(self._wanted, wanted)
        if not self.is_watching:
            self.watch()
        opened = self.connection_count + self._connecting
        # Whoever has none gets one even when the others have all: the share of files is not that narrow.
        free = min(self.size - opened, max(self._descriptors.free(), 1 - opened))
        for _ in range(min(count, free, _CONNECTING_MAX - self._connecting)):
            self._connecting += 1
            self._connecting_lent += is_lent
            self._spawn(self._run_opening(user, is_lent=is_lent))

    def take(self, user: PoolUser) -> Connection:
        """Let a user have an idle connection, and count it as busy."""
        connection = self.idle.pop()
        self.busy[connection] = None
        self.reserved = 0
        # Nothing is out yet that could end.
        connection.ends_s = math.inf
        user.out += 1
        if not connection.is_used:
            self.first(connection, self._loop.time())
        if self.hungry is user:
            self.hungry = None
            self.tell()
        return connection

    def give_back(self, connection: Connection) -> None:
        """A connection was taken, and not used."""
        self._answered(connection)
        if self.busy.pop(connection, self) is None and connection.is_open:
            self.idle.append(connection)

    @property
    def _counted(self) -> int:
        """How many connections the allowance is about."""
        return self.connection_count - len(self._stuck) - self.lent

    def first(self, connection: Connection, now_s: float) -> None:
        """A connection carries its first request."""
        self._first[connection] = (now_s, self.replies)

    def _answered(self, connection: Connection) -> None:
        self._first.pop(connection, None)
        self._stuck.pop(connection, None)

    def put_back(self, connection: Connection) -> None:
        """A connection has done its work."""
        self.replies += 1
        del self.busy[connection]
        if self._first or self._stuck:
            self._answered(connection)
        if not connection.is_open:
            return
        now_s = self._loop.time()
        if self._surplus > 0 or 0 < connection.dies_s <= now_s:
            self._surplus = max(0, self._surplus - 1)
            connection.close()
        else:
            connection.idle_since_s = now_s
            self.idle.append(connection)

    def take_back(self, connection: Connection) -> None:
        """A bundle has been answered, which says nothing of how many requests make the endpoint faster."""
        self.lent -= 1
        self.put_back(connection)
        self.replies -= 1

    def lost(self, connection: Connection) -> None:
        """A connection is gone."""
        if self.busy.pop(connection, self) is None:
            self._answered(connection)
        elif connection in self.idle:
            self.idle.remove(connection)

    def again(self, user: PoolUser, backlog: Backlog, body: bytes, connection: Connection) -> None:
        """A request went out on a connection that was closed already: it goes again, on a new one.

        What has been idle for as long is no better.
        """
        self.distrust(connection)
        self._again.append((user, backlog, body, connection.ends_s))
        self._connecting += 1
        self._spawn(self._run_opening(user))

    def distrust(self, connection: Connection) -> None:
        """Close what has been idle for as long as one that turned out to be closed."""
        for other in [c for c in self.idle if c.idle_since_s <= connection.idle_since_s]:
            self.idle.remove(other)
            other.close()

    def forget(self, backlog: Backlog) -> bool:
        """Send a request not again that waits for it; return whether one did."""
        count = len(self._again)
        self._again = deque(entry for entry in self._again if entry[1] is not backlog)
        return len(self._again) < count

    def tell(self) -> None:
        """Have the next requests sent when all replies of this turn of the loop are read.

        Requests that leave together wake the endpoint once: half the price of one wake-up for each.
        """
        if not self.is_telling:
            self.is_telling = True
            self._loop.call_soon(self._told)

    def _told(self) -> None:
        self.is_telling = False
        new = self._new
        if new:
            self._new = []
        self._tell_users()
        for connection in new:
            connection.has_waited = connection.is_free

    def _tell_users(self) -> None:
        users = self._users
        if len(users) == 1:
            users[0].told()
            return
        self._turn += 1
        for at in range(len(users)):
            users[(self._turn + at) % len(users)].told()

    # ── opening ──

    async def _run_opening(self, user: PoolUser, *, is_lent: bool = False) -> None:
        try:
            async with asyncio.timeout(self._connect_s):
                connection = await self._connect(lambda: Connection(self, self._heads))
        except TimeoutError:
            self._failed_to_open(user, f"no connection within {self._connect_s:g} s")
        except (OSError, ssl.SSLError, UnicodeError) as error:
            self._failed_to_open(user, str(error) or type(error).__name__)
        else:
            self._has_opened(connection)
        finally:
            self._connecting -= 1
            self._connecting_lent -= is_lent

    def _has_opened(self, connection: Connection) -> None:
        if not self._users:
            connection.close()
            return
        now_s = self._loop.time()
        connection.idle_since_s = now_s
        if self._ttl_s > 0:
            connection.dies_s = now_s + self._ttl_s + random.uniform(1, 3)
        if self._again:
            user, backlog, body, ends_s = self._again.popleft()
            self.busy[connection] = None
            self.first(connection, now_s)
            user.resend(connection, backlog, body, ends_s)
            return
        self.idle.append(connection)
        self._new.append(connection)
        self.tell()

    def _failed_to_open(self, user: PoolUser, detail: str) -> None:
        if self._again:
            owner, backlog, _, _ = self._again.popleft()
            owner.unopened(detail, backlog)
        if not self.connection_count and user in self._users:
            # Not to the others: they may have nothing to send, and nothing that could show that it is well again.
            user.unopened(detail, None)

    # ── the sweep: one timer for all limits ──

    def watch(self) -> None:
        """Requests are out or wanted: sweep often, until none is."""
        if self._sweep_alarm:
            self._sweep_alarm.cancel()
        self.is_watching = True
        for user in self._users:
            user.freshen()
        self._sweep_alarm = self._loop.call_later(_SWEEP_S, self._sweep)

    def _sweep(self) -> None:
        self._sweep_alarm = None
        now_s = self._loop.time()
        self._expire(now_s)
        is_short = self._wanted > 0 and self._is_full()
        replies = self.replies - self._swept_replies
        self.allowance.observe(now_s, replies=replies, is_short=is_short)
        self._look_for_overtaken(now_s)
        has_fresh = self._close_idle(now_s)
        if self._wanted:
            self.hungry, self.reserved = None, 0
            self.tell()
        for user in self._users:
            user.freshen()
            user.swept(now_s)
        self.is_watching = has_fresh or bool(self.busy or self._connecting or self._again)
        if self.is_watching or self.idle:
            # With nothing out, come back only to close what got old.
            pause_s = _SWEEP_S if self.is_watching else _IDLE_SWEEP_S
            self._sweep_alarm = self._loop.call_later(pause_s, self._sweep)
        elif not self.connection_count:
            self.allowance.reset()
        self._wanted, self._swept_replies = 0, self.replies

    def _is_full(self) -> bool:
        """Whether all that is allowed is out; what is idle may be for bundles, which are not counted."""
        if self.idle and not any(each.is_on for each in self.agreements.values()):
            return False
        return self._counted - len(self.idle) >= self.allowance.limit

    def _expire(self, now_s: float) -> None:
        for connection in [c for c in self.busy if c.ends_s <= now_s]:
            connection.expire()
        while self._again and self._again[0][3] <= now_s:
            user, backlog, _, _ = self._again.popleft()
            user.expired(backlog)

    def _look_for_overtaken(self, now_s: float) -> None:
        """See whether first requests wait although the endpoint answers: it may have no place for them.

        Or their functions take long. Either way they are not what the endpoint is busy with.
        """
        waiting = [c for c, (sent_s, _) in self._first.items() if now_s - sent_s > _OVERTAKEN_S]
        if waiting or self._stuck:
            # They may be waited for because of one that nobody needs.
            for connection in [c for c in self.idle if now_s - c.idle_since_s > _IN_THE_WAY_S]:
                self.idle.remove(connection)
                connection.close()
        if not waiting:
            return
        many = 2 * self.connection_count
        overtaken = [c for c in waiting if self.replies - self._first[c][1] > many]
        for connection in overtaken:
            del self._first[connection]
            self._stuck[connection] = None
        if overtaken:
            self.allowance.taken(now_s, self.connection_count - len(self._stuck))
            self._surplus = len(overtaken)

    def _close_idle(self, now_s: float) -> bool:
        """Close what is not needed; return whether to look again soon."""
        over = self._counted - self.allowance.limit
        self._surplus = max(self._surplus, over)
        is_fresh = False
        for connection in list(self.idle):
            if over > 0 or connection.is_left_over(now_s):
                self.idle.remove(connection)
                connection.close()
                over -= 1
            elif not connection.is_used:
                is_fresh = True
        return is_fresh
