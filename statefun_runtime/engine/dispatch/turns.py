"""Shares out the turns of the event loop among replies that may take long to apply.

    replies ─▶ waiting ──a few milliseconds' worth in each turn──▶ their dispatchers

What is applied is applied whole, so one reply is the smallest step. Between two turns everybody else has theirs.
"""

import asyncio
from collections import deque
from typing import Protocol

from statefun_runtime.core.partition.backlog import Backlog

TURN_S = 0.005


class ReplyTaker(Protocol):
    """Who applies a reply when its turn has come."""

    def take_in_turn(self, backlog: Backlog, body: bytes) -> None:
        """Apply the reply, or keep it until changes may be made again."""
        ...


class Turns:
    """One for all dispatchers of a worker."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[tuple[ReplyTaker, Backlog, bytes]] = deque()
        self._is_planned = False

    def add(self, taker: ReplyTaker, backlog: Backlog, body: bytes) -> None:
        """Have a reply applied in one of the next turns."""
        self._waiting.append((taker, backlog, body))
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
            taker.take_in_turn(backlog, body)
            if time() >= ends_s:
                break
        if waiting:
            self._plan()
