"""What happens to an address of one function type whose attempt failed.

Three kinds of trouble, three outcomes: an endpoint that fails for everyone opens its circuit, and all its addresses
wait; an address that fails alone is retried by the rules of its transport; a reply that cannot be applied counts as a
failed attempt of its address.

    attempt failed ─▶ circuit open: again, with the others
                   ├─▶ budget left: again, after a pause
                   ├─▶ budget spent, several invocations: half of them again, until the one that fails is found
                   └─▶ budget spent, one invocation: parked, dead letter, skipped or fatal, as its endpoint says
"""

import asyncio
import heapq
import json
import logging
from collections.abc import Callable
from enum import Enum

from statefun_runtime.core.model.function import Function
from statefun_runtime.core.module.specs import OnFailure
from statefun_runtime.core.partition.backlog import Backlog, Phase
from statefun_runtime.core.partition.circuit import Circuit, CircuitState
from statefun_runtime.core.partition.failure_state import RENEWED_WHEN_SENT, Trouble
from statefun_runtime.core.partition.retry import (
    Failure,
    attempt_limit_s,
    park_pause_s,
    retry_pause_s,
)
from statefun_runtime.engine.dispatch.outcomes import Outcomes

log = logging.getLogger("statefun.functions")

_LINES_PER_SECOND = 5


class Verdict(Enum):
    """What comes of a failed attempt: the same again at once, or later, or what was in flight is given up."""

    AGAIN = "again"
    LATER = "later"
    GIVEN_UP = "given up"


class Setbacks:
    """The pauses of one function type, and the circuit of its endpoint; `parked` are its addresses set aside, by id."""

    def __init__(
        self,
        function: Function,
        outcomes: Outcomes,
        now_s: Callable[[], float],
        resumed: Callable[[Backlog], None],
        pump: Callable[[], None],
    ) -> None:
        self.circuit = Circuit()
        self.parked: dict[str, Backlog] = {}
        self._function = function
        self._outcomes = outcomes
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
            return attempt_limit_s(budget_left_s=self._transport.call_s)
        if trouble.circuit_times != self.circuit.opened_times:
            self._renew(trouble, now_s)
        if trouble.parked_times:
            return self._transport.call_s
        return attempt_limit_s(budget_left_s=trouble.budget_ends_s - now_s)

    def succeeded(self) -> None:
        """A reply was applied."""
        self._succeeded_s = self._now_s()
        if self.circuit.succeeded():
            self._closed()

    def failed(self, backlog: Backlog, failure: Failure) -> Verdict:
        """An attempt failed: move the address on, but for what is given up, which is the caller's to settle."""
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
            trouble.circuit_times = RENEWED_WHEN_SENT
            backlog.unsettle(Phase.READY)
            self._opened()
            return Verdict.AGAIN
        if self._function.is_down and self.circuit.is_closed:
            self._closed()
        pause_s = None
        if not trouble.parked_times:
            left_s = trouble.budget_ends_s - now_s
            pause_s = retry_pause_s(
                self._transport, failure, attempts=trouble.attempts, budget_left_s=left_s
            )
        if len(backlog.in_flight) > 1 and (trouble.width or pause_s is None):
            backlog.narrow()
            return Verdict.AGAIN
        if pause_s is None:
            return self._give_up(backlog, trouble, failure)
        self._say(backlog, "attempt %d failed, next in %.3f s", trouble.attempts, pause_s)
        backlog.unsettle(Phase.BACKING_OFF)
        self._pause(backlog, trouble, now_s + pause_s)
        return Verdict.LATER

    def recovered(self, backlog: Backlog) -> None:
        """The address got past what held it up, one way or the other."""
        if self.parked.pop(backlog.id, None) is not None:
            self._outcomes.unparked(backlog)

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

    def _give_up(self, backlog: Backlog, trouble: Trouble, failure: Failure) -> Verdict:
        """One invocation has used up its budget: its endpoint says what becomes of it, or its operator did."""
        outcome = self._function.endpoint.on_failure
        if outcome is OnFailure.FAIL:
            self._outcomes.fail(backlog, trouble)
        is_kept = outcome in (OnFailure.PARK, OnFailure.FAIL) and not trouble.is_unwanted
        if not is_kept:
            refused = self._drop(backlog, trouble, failure.cause.value)
            if refused is None:
                return Verdict.GIVEN_UP
            trouble.reason = refused
        self._park(backlog, trouble)
        return Verdict.LATER

    def _drop(self, backlog: Backlog, trouble: Trouble, reason: str) -> str | None:
        """Make the one invocation in flight a dead letter, if it has somewhere to go; return why it cannot be, or None.

        With 'skip' it is the operator's word that it needs none.
        """
        endpoint = self._function.endpoint
        if endpoint.dead_letters is None or endpoint.on_failure is OnFailure.SKIP:
            self._function.counts.skipped += 1
            self._say(backlog, "skipped after %d attempts", trouble.attempts)
            return None
        refused = self._outcomes.dead_letter(backlog, trouble, reason)
        if refused is None:
            self._say(backlog, "dead letter after %d attempts", trouble.attempts)
        return refused

    def skip(self, backlog: Backlog) -> str | None:
        """An operator gives up the one invocation of a parked address; return why it cannot be, or None."""
        trouble = backlog.trouble
        assert trouble is not None
        refused = self._drop(backlog, trouble, "skipped")
        if refused is None:
            trouble.pause = 0
            self._function.counts.parked -= 1
            self.recovered(backlog)
        return refused

    def _park(self, backlog: Backlog, trouble: Trouble) -> None:
        trouble.parked_times += 1
        pause_s = park_pause_s(trouble.parked_times)
        self._say(
            backlog,
            "parked after %d attempts, next in %.0f s; others go on",
            trouble.attempts,
            pause_s,
        )
        backlog.unsettle(Phase.PARKED)
        self._set_aside(backlog, trouble, pause_s)

    def restore_parked(self, backlog: Backlog, row: bytes) -> None:
        """Take back an address that was parked when the last life ended; its backlog was restored before."""
        content = json.loads(row)
        trouble = Trouble(budget_ends_s=0.0, circuit_times=RENEWED_WHEN_SENT)
        trouble.parked_times, trouble.parked_ms = content["times"], content["since_ms"]
        trouble.attempts, trouble.reason = content["attempts"], content["reason"]
        # A parked address has been narrowed down to one invocation.
        trouble.width = 1
        backlog.set_aside(trouble)
        self._set_aside(backlog, trouble, park_pause_s(trouble.parked_times))

    def _set_aside(self, backlog: Backlog, trouble: Trouble, pause_s: float) -> None:
        counts = self._function.counts
        counts.parked += 1
        counts.busy -= 1
        self.parked[backlog.id] = backlog
        self._outcomes.parked(backlog, trouble)
        self._pause(backlog, trouble, self._now_s() + pause_s)

    def release(self, backlog: Backlog) -> None:
        """An operator wants a parked address to be tried now, with a whole budget."""
        trouble = backlog.trouble
        assert trouble is not None
        trouble.circuit_times = RENEWED_WHEN_SENT
        trouble.parked_times = 0
        self._resume(backlog, trouble)
        self._pump()

    def pause_left_s(self, backlog: Backlog) -> float:
        """Return in how many seconds a parked address is tried again; it is looked up, which takes long."""
        trouble = backlog.trouble
        assert trouble is not None
        until_s = next((until for until, name, _ in self._pauses if name == trouble.pause), 0.0)
        return max(0.0, until_s - self._now_s())

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

    def _pause(self, backlog: Backlog, trouble: Trouble, until_s: float) -> None:
        self._sequence += 1
        trouble.pause = self._sequence
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
            _, name, backlog = heapq.heappop(self._pauses)
            trouble = backlog.trouble
            # A pause that was cut short is still in the heap.
            if trouble is not None and trouble.pause == name:
                self._resume(backlog, trouble)
        self._set_alarm()
        self._pump()

    def _resume(self, backlog: Backlog, trouble: Trouble) -> None:
        trouble.pause = 0
        if backlog.phase == Phase.PARKED:
            self._function.counts.parked -= 1
            self._function.counts.busy += 1
        backlog.resume()
        self._resumed(backlog)

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
            backlog.waiting_count,
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
