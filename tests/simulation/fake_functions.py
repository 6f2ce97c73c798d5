"""The functions' side: endpoints that are slow, fail, lose replies, answer nonsense; a FunctionClient in front of them."""

import asyncio
from collections.abc import Callable
from random import Random

from statefun_runtime.core.partition.backlog import Backlog
from statefun_runtime.core.partition.retry import Cause, Failure
from statefun_runtime.ports.function_client import ReplyListener
from tests.simulation.machine.loop import Process
from tests.simulation.programs import Program

_UNUSED_S = 0.03
_FAILURES = {
    "status": Failure(Cause.STATUS, "status 500", 500),
    "cut": Failure(Cause.DISCONNECT, "cut"),
    "lost": Failure(Cause.TIMEOUT, "no reply"),
    "refused": Failure(Cause.STATUS, "status 500", 500),
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
        self._saw = saw

    def answer(self, body: bytes) -> bytes:
        address, payloads, reply = self.program.answer(body)
        self._saw(address, payloads)
        return reply

    def fate(self) -> str:
        if self.rng.random() >= self.trouble:
            return "well"
        fate = self.rng.choice(("slow", "status", "cut", "lost", "garbage", "stale"))
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

    def can_send(self, wanted: int) -> bool:
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
        if not self._is_closed:
            self._idle += 1
            self._loop.call_later(_UNUSED_S, self._close_unused, self._sent)
            self._listener.has_room()

    def _close_unused(self, sent: int) -> None:
        if self._idle and self._sent == sent:
            self._idle -= 1

    def send(self, backlog: Backlog, body: bytes, *, limit_s: float) -> None:
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
        if endpoint.program.refuses(body):
            fate = "refused"
        is_heard = fate not in ("status", "refused")
        reply = endpoint.answer(body) if is_heard else b""
        if fate == "lost" or after_s > limit_s:
            fate, after_s = "lost", limit_s
        self._loop.call_later(after_s, self._ended, backlog, sent, fate, reply)

    def cancel(self, backlog: Backlog) -> bool:
        if self._out.pop(backlog, None) is None:
            return False
        self._loop.call_soon(self._tell)
        return True

    def _ended(self, backlog: Backlog, sent: object, fate: str, reply: bytes) -> None:
        if self._is_closed or self._out.get(backlog) is not sent:
            return
        del self._out[backlog]
        if fate in ("well", "slow", "garbage"):
            self._idle += 1
            self._listener.replied(backlog, b"\xff\xff nonsense" if fate == "garbage" else reply)
        else:
            self._listener.failed(backlog, _FAILURES[fate])
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
