"""Calls functions in the same process, without a network; what can go wrong with one goes wrong when told."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum

from statefun_runtime.core.model.address import TypeName
from statefun_runtime.core.partition.backlog import Backlog
from statefun_runtime.core.partition.retry import Cause, Failure
from statefun_runtime.ports.function_client import ReplyListener

# Of so many requests at once no test of functions has too few.
_REQUESTS_MAX = 1024

# Answers a request, the bytes of a ToFunction, with those of a FromFunction; raises what a function raises.
Answer = Callable[[bytes], Awaitable[bytes]]


class Fault(Enum):
    """What becomes of a request: the function is not reached, or its reply is not."""

    FAIL = "the endpoint answers with status 500, and the function was not called"
    LOSE_REPLY = "the function was called, and its reply is lost"
    CUT = "the connection breaks before the function was called"


@dataclass(frozen=True)
class Raised:
    """A function raised an error by itself."""

    function: TypeName
    error: Exception


class Functions:
    """All functions of an application, over all its lives; `tell` hears of each that raises."""

    def __init__(self, answer: Answer, tell: Callable[[Raised], None]) -> None:
        self.answer = answer
        self.tell = tell
        self.calls = 0
        self._faults: dict[TypeName, deque[Fault]] = {}

    def plan(self, function: TypeName, fault: Fault, times: int) -> None:
        """Have the next requests of a function type go wrong."""
        self._faults.setdefault(function, deque()).extend([fault] * times)

    def next_fault(self, function: TypeName) -> Fault | None:
        """Return what becomes of the next request of a function type; None if nothing is planned."""
        planned = self._faults.get(function)
        return planned.popleft() if planned else None


class InProcessClient:
    """A FunctionClient of one function type: each request is a task of the loop."""

    def __init__(self, function: TypeName, functions: Functions) -> None:
        self._function = function
        self._functions = functions
        self._out: dict[Backlog, asyncio.Task[None]] = {}
        self._loop = asyncio.get_running_loop()
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
        """Have a request answered."""
        self._out[backlog] = self._loop.create_task(self._ask(backlog, body, limit_s))

    def cancel(self, backlog: Backlog) -> bool:
        """Forget the request that is out for an address."""
        task = self._out.pop(backlog, None)
        if task is None:
            return False
        task.cancel()
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
        out, self._out = self._out, {}
        for task in out.values():
            task.cancel()

    async def _ask(self, backlog: Backlog, body: bytes, limit_s: float) -> None:
        try:
            async with asyncio.timeout(limit_s):
                said = await self._answer(body)
        except TimeoutError:
            said = Failure(Cause.TIMEOUT, f"no reply within {limit_s:g} s")
        del self._out[backlog]
        if isinstance(said, Failure):
            self._listener.failed(backlog, said)
        else:
            self._listener.replied(backlog, said)
        self._listener.has_room()

    async def _answer(self, body: bytes) -> bytes | Failure:
        fault = self._functions.next_fault(self._function)
        if fault is Fault.FAIL:
            return Failure(Cause.STATUS, "status 500: a fault that the test planned", 500)
        if fault is Fault.CUT:
            return Failure(Cause.DISCONNECT, "the connection broke, as the test planned")
        self._functions.calls += 1
        try:
            reply = await self._functions.answer(body)
        except TimeoutError:
            # One of the function's own is no time limit of ours.
            return Failure(Cause.STATUS, "status 500: TimeoutError", 500)
        except Exception as error:  # noqa: BLE001 — whatever a function raises
            self._functions.tell(Raised(self._function, error))
            return Failure(Cause.STATUS, f"status 500: {type(error).__name__}: {error}", 500)
        if fault is Fault.LOSE_REPLY:
            return Failure(Cause.DISCONNECT, "the reply was lost, as the test planned")
        return reply
