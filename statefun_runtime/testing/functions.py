"""The functions of an application under test; what can go wrong with a request goes wrong when told."""

from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum
from functools import partial

from statefun_runtime.adapters.embedded.in_process import Outcome
from statefun_runtime.core.model.address import TypeName
from statefun_runtime.core.partition.retry import Cause, Failure

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

    def answering(self, function: TypeName) -> Callable[[bytes], Callable[[], Awaitable[Outcome]]]:
        """Return what answers the requests of one function type."""
        return lambda body: partial(self._answer, function, body)

    async def _answer(self, function: TypeName, body: bytes) -> Outcome:
        fault = self.next_fault(function)
        if fault is Fault.FAIL:
            return Failure(Cause.STATUS, "status 500: a fault that the test planned", 500)
        if fault is Fault.CUT:
            return Failure(Cause.DISCONNECT, "the connection broke, as the test planned")
        self.calls += 1
        try:
            reply = await self.answer(body)
        except TimeoutError:
            # One of the function's own is no time limit of ours.
            return Failure(Cause.STATUS, "status 500: TimeoutError", 500)
        except Exception as error:  # noqa: BLE001 — whatever a function raises
            self.tell(Raised(function, error))
            return Failure(Cause.STATUS, f"status 500: {type(error).__name__}: {error}", 500)
        if fault is Fault.LOSE_REPLY:
            return Failure(Cause.DISCONNECT, "the reply was lost, as the test planned")
        return reply
