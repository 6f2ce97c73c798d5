"""The functions' side: endpoints that are slow, fail, lose replies, answer nonsense; a FunctionClient in front of them."""

import asyncio
from collections.abc import Callable
from random import Random

from statefun_runtime.core.partition.backlog import Backlog
from statefun_runtime.core.partition.retry import Cause, Failure
from statefun_runtime.ports.function_client import ReplyListener
from tests.simulation.kafka.wire import parse_request
from tests.simulation.machine.loop import Process
from tests.simulation.outages import FATES
from tests.simulation.programs import Program

_UNUSED_S = 0.03
_FAILURES = {
    "status": Failure(Cause.STATUS, "status 500", 500),
    "cut": Failure(Cause.DISCONNECT, "cut"),
    "lost": Failure(Cause.TIMEOUT, "no reply"),
    "refused": Failure(Cause.STATUS, "status 500", 500),
    "large": Failure(Cause.STATUS, "status 413", 413),
}


class Endpoint:
    """All functions of a history; a request is answered although whoever sent it has died. `saw` hears of each."""

    def __init__(
        self, program: Program, rng: Random, saw: Callable[[str, list[str]], None]
    ) -> None:
        self.program = program
        self.rng = rng
        self.trouble = 0.0
        self.slowness_s = 0.01
        self.is_patient = False
        self.fates: tuple[str, ...] = FATES
        self.batch_max = 0
        # How many requests it or a function took for wrong.
        self.refused = 0
        # How everybody is answered while the endpoint is down for all.
        self.down: Failure | None = None
        self._saw = saw

    def answer(self, body: bytes) -> bytes:
        address, payloads, reply = self.program.answer(body)
        self._saw(address, payloads)
        return reply

    async def be_down(self, way: Failure, seconds: float) -> None:
        """Fail for everybody; of two outages at a time the first that ends, ends both."""
        self.down = way
        await asyncio.sleep(seconds)
        self.down = None

    def refusal(self, body: bytes) -> str | None:
        """Return why the server, or the function, takes no such request."""
        if self.batch_max and len(parse_request(body).invocations) > self.batch_max:
            return "large"
        if not self.program.refuses(body):
            return None
        self.refused += 1
        return "refused"

    def fate(self) -> str:
        if self.rng.random() >= self.trouble:
            return "well"
        fate = self.rng.choice(self.fates)
        # Where messages are given up, what is none of their fault must not use up their time.
        return "cut" if fate == "lost" and self.is_patient else fate


class FakeFunctionClient:
    """A FunctionClient of one process; as with the real ones, a connection that is not used at once is soon gone."""

    def __init__(self, endpoint: Endpoint, process: Process, *, pool_size: int) -> None:
        self._endpoint = endpoint
        self._process = process
        self._pool_size = pool_size
        self._loop = asyncio.get_running_loop()
        # A request that was cancelled is not the next one of its address.
        self._out: dict[Backlog, object] = {}
        self._idle = 0
        self._sent = 0
        self._connecting = 0
        self._is_closed = False
        self._listener: ReplyListener

    def attach(self, listener: ReplyListener) -> None:
        self._listener = listener

    def can_send(self, wanted: int, *, is_alone: bool = False) -> bool:
        self._process.check()
        if self._idle:
            return True
        room = self._pool_size - len(self._out) - self._connecting
        for _ in range(min(wanted - self._connecting, room)):
            self._connecting += 1
            self._loop.call_later(0.0005, self._connected)
        return False

    def _connected(self) -> None:
        self._connecting -= 1
        down = self._endpoint.down
        if self._is_closed:
            return
        if down is not None and down.cause is Cause.CONNECT:
            if not self._idle and not self._out:
                self._listener.unreachable(down)
        else:
            self._idle += 1
            self._loop.call_later(_UNUSED_S, self._close_unused, self._sent)
            self._listener.has_room()

    def _close_unused(self, sent: int) -> None:
        if self._idle and self._sent == sent:
            self._idle -= 1

    def send(
        self, backlog: Backlog, body: bytes, *, limit_s: float, is_alone: bool = False
    ) -> None:
        self._process.check()
        assert backlog not in self._out, f"{backlog.address} is in flight twice"
        assert self._idle
        self._idle -= 1
        self._sent += 1
        sent = self._out[backlog] = object()
        endpoint, rng = self._endpoint, self._endpoint.rng
        fate = endpoint.fate()
        if fate == "stale":
            # The client sends it again on a new connection, where the end counts.
            fate = endpoint.fate().replace("stale", "cut")
        after_s = 0.0005 + rng.random() * endpoint.slowness_s
        if fate == "slow":
            after_s += rng.random() * 2.0
        fate = "down" if endpoint.down else endpoint.refusal(body) or fate
        is_heard = fate in ("slow", "cut", "lost", "garbage", "well")
        reply = endpoint.answer(body) if is_heard else b""
        failure = self._failure(fate)
        if failure is _FAILURES["lost"] or after_s > limit_s:
            failure, after_s = _FAILURES["lost"], limit_s
        elif fate == "garbage":
            reply = b"\xff\xff nonsense"
        if fate == "cut" and not is_alone and len(body) % 2:
            # It went with others, and the cut was none of its fault.
            self._loop.call_later(after_s, self._came_back, backlog, sent, bool(len(body) & 2))
            return
        self._loop.call_later(after_s, self._ended, backlog, sent, failure, reply)

    def _came_back(self, backlog: Backlog, sent: object, goes_alone: bool) -> None:
        if self._is_closed or self._out.get(backlog) is not sent:
            return
        del self._out[backlog]
        self._listener.came_back(backlog, goes_alone=goes_alone)
        self._loop.call_soon(self._tell)

    def _failure(self, fate: str) -> Failure | None:
        down = self._endpoint.down
        if fate == "later":
            asked_s = self._endpoint.rng.choice((0.0, 0.3, 2.0))
            return Failure(Cause.STATUS, "status 429", 429, retry_after_s=asked_s)
        if fate != "down" or down is None:
            return _FAILURES.get(fate)
        if down.cause is Cause.CONNECT:
            return _FAILURES["cut"]
        return _FAILURES["lost"] if down.cause is Cause.TIMEOUT else down

    def cancel(self, backlog: Backlog) -> bool:
        if self._out.pop(backlog, None) is None:
            return False
        self._loop.call_soon(self._tell)
        return True

    def _ended(self, backlog: Backlog, sent: object, failure: Failure | None, reply: bytes) -> None:
        if self._is_closed or self._out.get(backlog) is not sent:
            return
        del self._out[backlog]
        if failure is None:
            self._idle += 1
            self._listener.replied(backlog, reply)
        else:
            self._listener.failed(backlog, failure)
        self._loop.call_soon(self._tell)

    def _tell(self) -> None:
        if not self._is_closed:
            self._listener.has_room()

    def capacity(self) -> int:
        # It is found out as requests go, and changes.
        return max(1, self._pool_size // self._endpoint.rng.choice((1, 1, 2, 8)))

    def in_flight(self) -> int:
        return len(self._out)

    def close(self) -> None:
        self._is_closed = True
        self._out.clear()
