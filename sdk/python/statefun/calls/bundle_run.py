"""Runs the batches of one bundle.

    plain functions one after another ──┐
    async functions beside each other ──┴─▶ outcomes ─▶ write

What is there is written before anything is begun that may take long, as far as that can be known: at the end of each
turn, and after half a millisecond.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from statefun.calls.bundles import failure_outcome, reply_outcome, split
from statefun.calls.failures import RAISED, seconds_of, status_of

if TYPE_CHECKING:
    from statefun.handler import Call, RequestReplyHandler

_WRITE_S = 0.0005

Spawn = Callable[[Coroutine[Any, Any, None]], object]
Write = Callable[[bytes], None]


class BundleRun:
    """One bundle; `left` is how many outcomes have not been written, and `write` is told the last ones when it is 0.

    Raises ValueError if the body is no bundle.
    """

    def __init__(self, handler: "RequestReplyHandler", body: bytes, write: Write) -> None:
        self._handler = handler
        self._requests = split(body)
        self._write = write
        self._next = 0
        self._outcomes: list[bytes] = []
        self._is_planned = False
        self.left = len(self._requests)

    def begin(self, spawn: Spawn, *, turn_s: float) -> bool:
        """Begin one batch after another for so long; return whether all have begun."""
        clock, requests, total = time.perf_counter, self._requests, len(self._requests)
        ends_s = clock() + turn_s
        written_s = clock()
        while self._next < total:
            index = self._next
            self._next += 1
            self._begin_one(index, requests[index], spawn)
            now_s = clock()
            if now_s - written_s > _WRITE_S:
                self.flush()
                written_s = now_s
            if now_s > ends_s:
                break
        self.flush()
        return self._next >= total

    def _begin_one(self, index: int, request: bytes, spawn: Spawn) -> None:
        handler = self._handler
        try:
            call = handler.call_for(request)
            if isinstance(call, bytes):
                self._add(reply_outcome(index, call))
            elif call.may_wait:
                spawn(self._run_waiting(index, call))
            else:
                call.run()
                self._add(reply_outcome(index, call.context.response()))
        except RAISED as error:
            self._fail(index, error)

    async def _run_waiting(self, index: int, call: "Call") -> None:
        try:
            await call.run_waiting()
            self._add(reply_outcome(index, call.context.response()))
        except asyncio.CancelledError as error:
            self._fail(index, error)
            self.flush()
            raise
        except RAISED as error:
            self._fail(index, error)
        if not self._is_planned:
            # Those that end in one turn of the loop are written together.
            self._is_planned = True
            asyncio.get_running_loop().call_soon(self.flush)

    def _fail(self, index: int, error: BaseException) -> None:
        text = self._handler.failures.tell(error)
        self._add(failure_outcome(index, status_of(error), text, seconds_of(error)))

    def _add(self, outcome: bytes) -> None:
        self._outcomes.append(outcome)

    def flush(self) -> None:
        """Write what is there."""
        self._is_planned = False
        outcomes = self._outcomes
        if outcomes:
            self._outcomes = []
            self.left -= len(outcomes)
            self._write(b"".join(outcomes))
