"""The places for requests of the transport okhttp at one endpoint, shared by the clients of its function types.

The same law as in the lean client's pool: as many as make the endpoint faster, the one used last is used next, and what
has been idle for a while is closed before the server does it.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from statefun_runtime.adapters.descriptors import Descriptors
from statefun_runtime.adapters.dialling import Dialler
from statefun_runtime.adapters.http.httpx_slot import Slot
from statefun_runtime.core.partition.allowance import Allowance, shares

_CONNECTING_MAX = 64
_SWEEP_S = 0.05
_IDLE_SWEEP_S = 0.5

Spawn = Callable[[Coroutine[Any, Any, None]], object]


class SlotUser(Protocol):
    """A client: the requests of one function type."""

    out: int

    def told(self) -> None:
        """There may be room."""
        ...


class Slots:
    """At most `size` requests are out at an endpoint; `spawn` starts what closes connections."""

    def __init__(self, spawn: Spawn, *, size: int, descriptors: Descriptors | None = None) -> None:
        self._descriptors = descriptors or Descriptors()
        self._descriptors.join(lambda: self.count)
        self.dialler = Dialler()
        self._spawn = spawn
        self.size = size
        self._loop = asyncio.get_running_loop()
        self._now_s = self._loop.time
        self._users: list[SlotUser] = []
        self._allowance = Allowance(size)
        self._idle: list[Slot] = []
        self._opening = 0
        self._replies = 0
        self._is_short = False
        self._alarm: asyncio.TimerHandle | None = None
        self._turn = 0

    @property
    def count(self) -> int:
        """How many connections may be open."""
        return len(self._idle) + self._out

    @property
    def _out(self) -> int:
        return sum(user.out for user in self._users)

    def join(self, user: SlotUser) -> None:
        """Share the slots with one more."""
        self._users.append(user)

    def leave(self, user: SlotUser) -> None:
        """Share them with one less; the last one closes them."""
        self._users.remove(user)
        if self._users:
            return
        if self._alarm:
            self._alarm.cancel()
        while self._idle:
            self._close(self._idle.pop())

    def capacity(self) -> int:
        """Return how many requests may be out, as far as is known by now."""
        return self._allowance.limit

    def has_room(self, user: SlotUser) -> bool:
        """Return whether one more request may go out; who has few out is not kept waiting by those who have many."""
        if self._alarm is None:
            self._alarm = self._loop.call_later(_SWEEP_S, self._sweep)
        if not self._idle and self._opening >= _CONNECTING_MAX:
            return False
        out = self._out
        if not self._idle and out and self._descriptors.free() <= 0:
            return False
        own, most = shares(self.size, len(self._users))
        if out < (self.size if user.out < own else self._allowance.limit) and user.out < most:
            return True
        self._is_short = True
        return False

    def take(self) -> Slot | None:
        """Return the slot that was used last, if one is idle."""
        self._drop_idle()
        return self._idle.pop() if self._idle else None

    def opening(self) -> Callable[[], None]:
        """Count a slot that opens its first connection, until what is returned is called."""
        self._opening += 1
        return self._has_opened

    def _has_opened(self) -> None:
        self._opening -= 1
        self._loop.call_soon(self.tell)

    def put_back(self, slot: Slot | None) -> None:
        """A request is done; its slot is good, or gone."""
        self._replies += 1
        if slot is None:
            return
        now_s = self._now_s()
        if 0 < slot.dies_s <= now_s or not slot.idle_s:
            self._close(slot)
            return
        slot.idle_since_s = now_s
        self._idle.append(slot)

    def tell(self) -> None:
        """Tell all users, in turn, that there may be room."""
        users = list(self._users)
        self._turn += 1
        for at in range(len(users)):
            users[(self._turn + at) % len(users)].told()

    def _sweep(self) -> None:
        replies, self._replies = self._replies, 0
        was_short, self._is_short = self._is_short, False
        self._allowance.observe(self._now_s(), replies=replies, is_short=was_short)
        self._drop_idle()
        out = self._out
        if not out and not self._idle:
            self._allowance.reset()
            self._alarm = None
            return
        self._alarm = self._loop.call_later(_SWEEP_S if out else _IDLE_SWEEP_S, self._sweep)
        if was_short:
            # There may be more room now, or it is said again that there is too little.
            self.tell()

    def _drop_idle(self) -> None:
        now_s = self._now_s()
        for slot in [slot for slot in self._idle if now_s - slot.idle_since_s > slot.idle_s]:
            self._idle.remove(slot)
            self._close(slot)

    def _close(self, slot: Slot) -> None:
        closing = slot.aclose()
        try:
            self._spawn(closing)
        except RuntimeError:
            # The worker's tasks are over, and with them the process.
            closing.close()
