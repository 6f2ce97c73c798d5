"""Calls functions in the same process: nothing is between the worker and them, neither a network nor a second interpreter.

    send ─▶ asked ──end of the turn──▶ answered at once, many in a row ──▶ told, as many in a row
                                          └─ answers that are waited for, a task each ──▶ told

A turn of functions has an end, so that the loop has its own; but a function that blocks blocks everybody. Who is answered
and told before the next is answered costs a quarter more: each step of either side then finds the other's code and data
in the processor's caches.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from statefun_runtime.core.partition.backlog import Backlog
from statefun_runtime.core.partition.retry import Cause, Failure
from statefun_runtime.ports.function_client import ReplyListener

# More at once are no faster, and each waits in memory.
_REQUESTS_MAX = 1024
_IN_A_ROW_MAX = 128
_TURN_S = 0.005

Outcome = bytes | Failure
Spawn = Callable[[Coroutine[Any, Any, None]], "asyncio.Task[None]"]
# Takes the bytes of a ToFunction, and returns those of a FromFunction, or what is to be called and waited for.
Answer = Callable[[bytes], Outcome | Callable[[], Awaitable[Outcome]]]


class InProcessClient:
    """A FunctionClient of one function type; `answer` never raises."""

    def __init__(self, answer: Answer, spawn: Spawn) -> None:
        self._answer = answer
        self._spawn = spawn
        self._loop = asyncio.get_running_loop()
        self._asked: deque[tuple[Backlog, bytes, float]] = deque()
        self._answered: deque[tuple[Backlog, Outcome]] = deque()
        self._out: dict[Backlog, asyncio.Task[None] | None] = {}
        self._is_planned = self._is_closed = False
        self._listener: ReplyListener

    def attach(self, listener: ReplyListener) -> None:
        """Tell who listens."""
        self._listener = listener

    def can_send(self, wanted: int, *, is_alone: bool = False) -> bool:
        """Return whether a request can be sent now."""
        return len(self._out) < _REQUESTS_MAX

    def send(
        self, backlog: Backlog, body: bytes, *, limit_s: float, is_alone: bool = False
    ) -> None:
        """Have a request answered, at the end of this turn."""
        self._out[backlog] = None
        self._asked.append((backlog, body, limit_s))
        self._plan()

    def cancel(self, backlog: Backlog) -> bool:
        """Forget the request that is out for an address."""
        if backlog not in self._out:
            return False
        task = self._out.pop(backlog)
        if task is not None:
            task.cancel()
        else:
            self._asked = deque(entry for entry in self._asked if entry[0] is not backlog)
            self._answered = deque(entry for entry in self._answered if entry[0] is not backlog)
        self._loop.call_soon(self._listener.has_room)
        return True

    def capacity(self) -> int:
        """Return how many requests may be out at once."""
        return _REQUESTS_MAX

    def in_flight(self) -> int:
        """Return how many requests are out."""
        return len(self._out)

    def close(self) -> None:
        """Forget requests that are out."""
        self._is_closed = True
        out, self._out = self._out, {}
        self._asked.clear()
        self._answered.clear()
        for task in out.values():
            if task is not None:
                task.cancel()

    def _plan(self) -> None:
        if not self._is_planned:
            self._is_planned = True
            self._loop.call_soon(self._run)

    def _run(self) -> None:
        """Answer what was asked, and leave the rest for the next turn when this one gets long."""
        self._is_planned = False
        ends_s = self._loop.time() + _TURN_S
        # By their names each time: what is told may ask, cancel or close.
        while self._asked and self._loop.time() < ends_s:
            self._answer_some(ends_s)
            while self._answered:
                backlog, said = self._answered.popleft()
                del self._out[backlog]
                self._tell(backlog, said)
        if self._asked:
            self._plan()
        if not self._is_closed:
            self._listener.has_room()

    def _answer_some(self, ends_s: float) -> None:
        """Answer some of what was asked, until then at the latest if it does not take one answer longer."""
        asked, answer, time = self._asked, self._answer, self._loop.time
        for _ in range(min(len(asked), _IN_A_ROW_MAX)):
            backlog, body, limit_s = asked.popleft()
            said = answer(body)
            if isinstance(said, (bytes, Failure)):
                self._answered.append((backlog, said))
            else:
                self._out[backlog] = self._spawn(self._wait(backlog, said, limit_s))
            if time() >= ends_s:
                return

    async def _wait(
        self, backlog: Backlog, answer: Callable[[], Awaitable[Outcome]], limit_s: float
    ) -> None:
        try:
            async with asyncio.timeout(limit_s):
                said = await answer()
        except TimeoutError:
            said = Failure(Cause.TIMEOUT, f"no reply within {limit_s:g} s")
        del self._out[backlog]
        self._tell(backlog, said)
        self._listener.has_room()

    def _tell(self, backlog: Backlog, said: Outcome) -> None:
        if isinstance(said, Failure):
            self._listener.failed(backlog, said)
        else:
            self._listener.replied(backlog, said)
