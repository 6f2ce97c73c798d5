"""Shares out the turns of the event loop among replies that may take long to apply.

    replies ─▶ waiting ──a few milliseconds' worth in each turn──▶ their dispatchers
                  └─ too many bytes: nobody asks for more, until half of them are applied

What is applied is applied whole, so one reply is the smallest step. Between two turns everybody else has theirs.
"""

import asyncio
from collections import deque
from typing import Protocol

from statefun_runtime.core.partition.backlog import Backlog

TURN_S = 0.005
# A connection that has brought a reply is free again at once: a quick endpoint would bring all there are.
WAITING_BYTES_MAX = 16 * 1024 * 1024


class ReplyTaker(Protocol):
    """Who applies a reply when its turn has come."""

    def take_in_turn(self, backlog: Backlog, body: bytes) -> None:
        """Apply the reply, or keep it until changes may be made again."""
        ...

    def has_room(self) -> None:
        """Ask for more replies: there is room for them again."""
        ...


class Turns:
    """One for all dispatchers of a worker."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[tuple[ReplyTaker, Backlog, bytes]] = deque()
        self._bytes = 0
        self._turned_away: dict[ReplyTaker, None] = {}
        self._is_planned = False

    def has_room_for(self, taker: ReplyTaker) -> bool:
        """Return whether more replies may be asked for; if not, the taker is told when they may."""
        if self._bytes < WAITING_BYTES_MAX:
            return True
        self._turned_away[taker] = None
        return False

    def add(self, taker: ReplyTaker, backlog: Backlog, body: bytes) -> None:
        """Have a reply applied in one of the next turns."""
        self._waiting.append((taker, backlog, body))
        self._bytes += len(body)
        self._plan()

    def _plan(self) -> None:
        if not self._is_planned:
            self._is_planned = True
            self._loop.call_soon(self._run)

    def _run(self) -> None:
        self._is_planned = False
        waiting, time = self._waiting, self._loop.time
        ends_s = time() + TURN_S
        while waiting:
            taker, backlog, body = waiting.popleft()
            self._bytes -= len(body)
            taker.take_in_turn(backlog, body)
            if time() >= ends_s:
                break
        if self._turned_away and self._bytes <= WAITING_BYTES_MAX // 2:
            turned_away, self._turned_away = self._turned_away, {}
            for taker in turned_away:
                taker.has_room()
        if waiting:
            self._plan()
