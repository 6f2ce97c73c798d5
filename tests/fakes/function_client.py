"""The FunctionClient port in the same process: latency, errors, lost replies, stale connections."""

import asyncio
from dataclasses import dataclass

from statefun_runtime.core.partition.backlog import Backlog
from statefun_runtime.core.partition.retry import Cause, Failure
from statefun_runtime.ports.function_client import ReplyListener
from tests.fakes.endpoint import OCTETS, Answer, Endpoint, Fate


@dataclass(eq=False)
class _Connection:
    is_used: bool = False


class FakeFunctionClient:
    """A FunctionClient that asks an Endpoint; a connection carries one request at a time."""

    def __init__(
        self, endpoint: Endpoint, *, pool_size: int = 1024, connect_s: float = 0.001
    ) -> None:
        self._endpoint = endpoint
        self._pool_size = pool_size
        self._connect_s = connect_s
        self._loop = asyncio.get_running_loop()
        self._idle: list[_Connection] = []
        self._out: dict[Backlog, _Connection] = {}
        self._connecting = 0
        self._is_closed = False
        self.in_flight_max = 0
        self.went_alone: list[bool] = []
        self._listener: ReplyListener

    def attach(self, listener: ReplyListener) -> None:
        self._listener = listener

    def can_send(self, wanted: int, *, is_alone: bool = False) -> bool:
        if self._idle:
            return True
        room = self._pool_size - len(self._out) - self._connecting
        for _ in range(min(wanted - self._connecting, room)):
            self._connecting += 1
            self._loop.call_later(self._connect_s, self._connected)
        return False

    def send(
        self, backlog: Backlog, body: bytes, *, limit_s: float, is_alone: bool = False
    ) -> None:
        assert backlog not in self._out, f"{backlog.address} is in flight twice"
        self.went_alone.append(is_alone)
        connection = self._idle.pop()
        self._out[backlog] = connection
        self.in_flight_max = max(self.in_flight_max, len(self._out))
        answer = self._endpoint.take(body) if self._endpoint.is_up else Answer(fate=Fate.STALE)
        if answer.fate is Fate.STALE and connection.is_used:
            # Closed while nothing was asked: it goes again, on a new connection, where it counts.
            self._out[backlog] = _Connection()
            answer = self._endpoint.take(body) if self._endpoint.is_up else answer
        after_s = answer.after_s
        if answer.fate is Fate.LOST or after_s > limit_s:
            after_s, answer = limit_s, Answer(fate=Fate.LOST)
        self._loop.call_later(after_s, self._ended, backlog, self._out[backlog], answer)

    def cancel(self, backlog: Backlog) -> bool:
        if self._out.pop(backlog, None) is None:
            return False
        self._loop.call_soon(self._tell)
        return True

    def capacity(self) -> int:
        return self._pool_size

    def in_flight(self) -> int:
        return len(self._out)

    def close(self) -> None:
        self._is_closed = True
        self._out.clear()

    def _connected(self) -> None:
        self._connecting -= 1
        if self._is_closed:
            return
        if self._endpoint.is_up:
            self._idle.append(_Connection())
            self._listener.has_room()
        elif not self._idle and not self._out:
            self._listener.unreachable(Failure(Cause.CONNECT, "cannot connect: refused"))

    def _ended(self, backlog: Backlog, connection: _Connection, answer: Answer) -> None:
        if self._is_closed or self._out.get(backlog) is not connection:
            return
        del self._out[backlog]
        connection.is_used = True
        if answer.fate is Fate.ANSWERED:
            self._idle.append(connection)
            self._answered(backlog, answer)
        elif answer.fate is Fate.BESIDE:
            self._listener.came_back(backlog, goes_alone=True)
        elif answer.fate is Fate.LOST:
            failure = Failure(Cause.TIMEOUT, "no reply within the time limit")
            self._listener.failed(backlog, failure)
        else:
            failure = Failure(Cause.DISCONNECT, "the connection was closed before a whole reply")
            self._listener.failed(backlog, failure)
        self._loop.call_soon(self._tell)

    def _answered(self, backlog: Backlog, answer: Answer) -> None:
        if not 200 <= answer.status < 300:
            detail = f"the endpoint answered with status {answer.status}"
            self._listener.failed(
                backlog, Failure(Cause.STATUS, detail, answer.status, answer.retry_after_s)
            )
        elif answer.content_type != OCTETS:
            detail = f"the reply's content type is {answer.content_type}"
            self._listener.failed(backlog, Failure(Cause.CONTENT_TYPE, detail))
        else:
            self._listener.replied(backlog, answer.body)

    def _tell(self) -> None:
        if not self._is_closed:
            self._listener.has_room()
