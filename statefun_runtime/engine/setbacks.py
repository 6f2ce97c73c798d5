"""What happens to an address of one function type whose attempt failed: a pause, parking, or waiting for its endpoint.

Three kinds of trouble, three outcomes: an endpoint that fails for everyone opens its circuit, and all its addresses
wait; an address that fails alone is retried by the rules of its transport, and parked when the budget is spent; a
reply that cannot be applied counts as a failed attempt of its address.
"""

import asyncio
import heapq
import logging
from collections.abc import Callable

from statefun_runtime.core.backlog import Backlog, Phase, Trouble
from statefun_runtime.core.circuit import Circuit, CircuitState
from statefun_runtime.core.function import Function
from statefun_runtime.core.retry import Cause, Failure, attempt_limit_s, park_pause_s, retry_pause_s

log = logging.getLogger("statefun.functions")

_LINES_PER_SECOND = 5
_RENEWED_WHEN_SENT = -1


class Setbacks:
    """The pauses of one function type, and the circuit of its endpoint."""

    def __init__(
        self,
        function: Function,
        now_s: Callable[[], float],
        resumed: Callable[[Backlog], None],
        pump: Callable[[], None],
    ) -> None:
        self.circuit = Circuit()
        self._function = function
        self._transport = function.endpoint.transport
        self._now_s = now_s
        self._resumed = resumed
        self._pump = pump
        self._loop = asyncio.get_running_loop()
        self._pauses: list[tuple[float, int, Backlog]] = []
        self._sequence = 0
        # Whoever failed while others were answered fails alone.
        self._succeeded_s = 0.0
        self._alarm: asyncio.TimerHandle | None = None
        self._probe_alarm: asyncio.TimerHandle | None = None
        self._lines = _LineLimit()

    def limit_s(self, backlog: Backlog, now_s: float) -> float:
        """Return how long the attempt that is about to be made may take."""
        trouble = backlog.trouble
        if trouble is None:
            return attempt_limit_s(self._transport, budget_left_s=self._transport.call_s)
        if trouble.circuit_times != self.circuit.opened_times:
            self._renew(trouble, now_s)
        if trouble.parked_times:
            return self._transport.call_s
        return attempt_limit_s(self._transport, budget_left_s=trouble.budget_ends_s - now_s)

    def succeeded(self) -> None:
        """A reply was applied."""
        self._succeeded_s = self._now_s()
        if self.circuit.succeeded():
            self._closed()

    def failed(self, backlog: Backlog, failure: Failure) -> Phase:
        """An attempt failed: move the address on, and return the phase it is in now."""
        function, now_s = self._function, self._now_s()
        self._count(failure)
        function.counts.latency_ms.add((now_s - backlog.started_s) * 1000)
        trouble = backlog.trouble
        if trouble is None:
            trouble = backlog.trouble = self._trouble(backlog)
        trouble.attempts += 1
        trouble.reason = failure.detail
        is_alone = self._succeeded_s > backlog.started_s
        if not is_alone and self.circuit.failed(backlog.id, failure):
            # Its budget begins anew with the next attempt, whenever that is.
            trouble.circuit_times = _RENEWED_WHEN_SENT
            backlog.unsettle(Phase.READY)
            self._opened()
            return Phase.READY
        if self._function.is_down and self.circuit.is_closed:
            self._closed()
        pause_s = None
        if not trouble.parked_times:
            left_s = trouble.budget_ends_s - now_s
            pause_s = retry_pause_s(
                self._transport, failure, attempts=trouble.attempts, budget_left_s=left_s
            )
        if pause_s is None:
            self._park(backlog, trouble, now_s)
            return Phase.PARKED
        self._say(backlog, "attempt %d failed, next in %.3f s", trouble.attempts, pause_s)
        backlog.unsettle(Phase.BACKING_OFF)
        self._pause(backlog, now_s + pause_s)
        return Phase.BACKING_OFF

    def went_stale(self, backlog: Backlog) -> bool:
        """Return whether the request may be sent again without counting; else it failed like any other."""
        if backlog.trouble is None:
            backlog.trouble = self._trouble(backlog)
        if not backlog.trouble.has_gone_stale:
            backlog.trouble.has_gone_stale = True
            backlog.unsettle(Phase.READY)
            return True
        self.failed(
            backlog, Failure(Cause.DISCONNECT, "the connection was closed before a reply came")
        )
        return False

    def unreachable(self, failure: Failure) -> None:
        """No connection can be had: the endpoint is left alone for a while."""
        self._count(failure)
        if self.circuit.failed("", failure):
            self._opened()

    def stop(self) -> None:
        """Start nothing any more."""
        for alarm in (self._alarm, self._probe_alarm):
            if alarm is not None:
                alarm.cancel()

    def _count(self, failure: Failure) -> None:
        failures = self._function.counts.failures
        failures[failure.cause.value] = failures.get(failure.cause.value, 0) + 1

    def _trouble(self, backlog: Backlog) -> Trouble:
        return Trouble(
            budget_ends_s=backlog.started_s + self._transport.call_s,
            circuit_times=self.circuit.opened_times,
        )

    def _renew(self, trouble: Trouble, now_s: float) -> None:
        trouble.circuit_times = self.circuit.opened_times
        trouble.budget_ends_s = now_s + self._transport.call_s
        trouble.attempts = 0

    def _park(self, backlog: Backlog, trouble: Trouble, now_s: float) -> None:
        counts = self._function.counts
        counts.parked += 1
        counts.busy -= 1
        trouble.parked_times += 1
        pause_s = park_pause_s(trouble.parked_times)
        self._say(
            backlog,
            "parked after %d attempts, next in %.0f s; others go on",
            trouble.attempts,
            pause_s,
        )
        backlog.unsettle(Phase.PARKED)
        self._pause(backlog, now_s + pause_s)

    def _opened(self) -> None:
        """The circuit is open: say so once, and come back after its pause."""
        if not self._function.is_down:
            self._function.is_down = True
            log.warning(
                "endpoint %s of %s fails for everyone: %s; its addresses wait, and it is tried again and again",
                self._function.url,
                self._function,
                self.circuit.reason,
            )
        if self._probe_alarm is None:
            self._probe_alarm = self._loop.call_later(self.circuit.pause_s, self._probe)

    def _closed(self) -> None:
        self._function.is_down = False
        log.info("endpoint %s of %s answers again", self._function.url, self._function)
        self._loop.call_soon(self._pump)

    def _probe(self) -> None:
        self._probe_alarm = None
        if self.circuit.state is CircuitState.OPEN:
            self.circuit.probe()
            self._pump()

    def _pause(self, backlog: Backlog, until_s: float) -> None:
        self._sequence += 1
        heapq.heappush(self._pauses, (until_s, self._sequence, backlog))
        if self._pauses[0][1] == self._sequence:
            self._set_alarm()

    def _set_alarm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        delay_s = self._pauses[0][0] - self._now_s() if self._pauses else None
        self._alarm = (
            None if delay_s is None else self._loop.call_later(max(0.0, delay_s), self._ring)
        )

    def _ring(self) -> None:
        """Resume the addresses whose pause is over."""
        now_s = self._now_s()
        while self._pauses and self._pauses[0][0] <= now_s + 0.0005:
            backlog = heapq.heappop(self._pauses)[2]
            if backlog.phase == Phase.PARKED:
                self._function.counts.parked -= 1
                self._function.counts.busy += 1
            backlog.resume()
            self._resumed(backlog)
        self._set_alarm()
        self._pump()

    def _say(self, backlog: Backlog, what: str, *details: object) -> None:
        left_out = self._lines.take(self._now_s())
        if left_out is None:
            return
        more = f" ({left_out} such lines were left out)" if left_out else ""
        trouble = backlog.trouble
        log.warning(
            "%s at %s: " + what + ": %s; %d invocations in the batch, %d wait%s",
            backlog.address,
            self._function.url,
            *details,
            trouble.reason if trouble else "",
            len(backlog.in_flight),
            len(backlog.waiting),
            more,
        )


class _LineLimit:
    """Lets a few lines a second through, and counts the others."""

    def __init__(self) -> None:
        self._second = 0
        self._taken = 0
        self._left_out = 0

    def take(self, now_s: float) -> int | None:
        """Return how many lines were left out before this one, or None if it is to be left out too."""
        if int(now_s) != self._second:
            self._second, self._taken = int(now_s), 0
        if self._taken >= _LINES_PER_SECOND:
            self._left_out += 1
            return None
        self._taken += 1
        left_out, self._left_out = self._left_out, 0
        return left_out
