"""Carries out what is decided about the addresses of one function type that fail, and says it.

What becomes of a failed attempt is decided in core/partition/failure_law.py. Here its outcomes are carried out: rows
of parked addresses, dead letters, lines for people, and the probes of a circuit that is open.
"""

import asyncio
import logging
from collections.abc import Callable

from statefun_runtime.core.model.line_limit import LineLimit
from statefun_runtime.core.module.specs import OnFailure
from statefun_runtime.core.partition.backlog import Backlog, Function, Phase
from statefun_runtime.core.partition.circuit import CircuitState
from statefun_runtime.core.partition.failure_law import Outcome
from statefun_runtime.core.partition.failure_state import FailureState
from statefun_runtime.core.partition.partitions import Partitions
from statefun_runtime.core.partition.retry import Failure
from statefun_runtime.engine.dispatch.alarm import PauseAlarm
from statefun_runtime.engine.dispatch.outcomes import Outcomes
from statefun_runtime.engine.state.spills import Spills

log = logging.getLogger("statefun.functions")

_PAUSE_FOR_OTHERS_S = 0.5


class FailurePolicy:
    """What happens to failing addresses of one function type, and to the circuit of its endpoint."""

    def __init__(
        self,
        function: Function,
        outcomes: Outcomes,
        spills: Spills,
        partitions: Partitions,
        alarm: PauseAlarm,
        pump: Callable[[], None],
    ) -> None:
        self._function = function
        self._circuit = function.circuit
        self._outcomes = outcomes
        self._spills = spills
        self._owned = partitions.owned
        self._alarm = alarm
        self._pump = pump
        self._loop = asyncio.get_running_loop()
        self._probe_alarm: asyncio.Handle | None = None
        self._probe_at_s = 0.0
        self.down_since_s = 0.0
        self._left_alone_s = 0.0
        self._lines = LineLimit()

    def succeeded(self, now_s: float, started_s: float) -> None:
        """A reply was applied, to a request that began then."""
        if self._circuit.succeeded(now_s, started_s=started_s):
            self._closed()

    def answered(self) -> None:
        """A reply came that says nothing of whether the function goes well."""
        if self._circuit.answered():
            self._closed()

    def failed(self, backlog: Backlog, failure: Failure) -> bool:
        """An attempt failed: move the address on; return whether what was in flight is given up."""
        function, now_s = self._function, self._loop.time()
        self._count(failure)
        function.counts.latency_ms.add((now_s - backlog.started_s) * 1000)
        was_down = function.is_down
        partition = self._owned[backlog.owner]
        decision = partition.failures.fail(backlog, failure, now_s)
        if was_down and not function.is_down:
            self._closed()
        assert backlog.failing is not None
        match decision.outcome:
            case Outcome.WAIT:
                self._opened(was_down=was_down)
            case Outcome.RETRY:
                attempts, pause_s = backlog.failing.attempts, decision.pause_s
                self._say(backlog, "attempt %d failed, next in %.3f s", attempts, pause_s)
                self._alarm.paused(partition)
            case Outcome.SPENT:
                return self._give_up(backlog, backlog.failing)
        return False

    def recovered(self, backlog: Backlog) -> None:
        """The address got past what held it up, one way or the other."""
        if self._owned[backlog.owner].failures.recovered(backlog):
            self._outcomes.unparked(backlog)

    def unreachable(self, failure: Failure) -> None:
        """No connection can be had: the endpoint is left alone for a while."""
        self._count(failure)
        was_down = self._function.is_down
        if self._circuit.failed("", failure):
            self._opened(was_down=was_down)

    def stop(self) -> None:
        """Start nothing any more."""
        self._alarm.stop()
        if self._probe_alarm is not None:
            self._probe_alarm.cancel()

    def _count(self, failure: Failure) -> None:
        failures = self._function.counts.failures
        failures[failure.cause.value] = failures.get(failure.cause.value, 0) + 1

    def _give_up(self, backlog: Backlog, failing: FailureState) -> bool:
        """One invocation has used up its budget: its endpoint says what becomes of it, or its operator did."""
        outcome = self._function.endpoint.on_failure
        if outcome is OnFailure.FAIL and failing.is_decided:
            self._outcomes.fail(backlog, failing)
        is_kept = outcome in (OnFailure.PARK, OnFailure.FAIL) or not failing.is_decided
        if not is_kept or failing.is_unwanted:
            refused = self._drop(backlog, failing, failing.cause.value)
            if refused is None:
                self.recovered(backlog)
                self._owned[backlog.owner].failures.give_up(backlog)
                return True
            failing.reason = refused
        self._park(backlog, failing)
        return False

    def _drop(self, backlog: Backlog, failing: FailureState, reason: str) -> str | None:
        """Make the one invocation in flight a dead letter, if it has somewhere to go; return why it cannot be, or None.

        With 'skip' it is the operator's word that it needs none.
        """
        endpoint = self._function.endpoint
        if endpoint.dead_letters is None or endpoint.on_failure is OnFailure.SKIP:
            self._function.counts.skipped += 1
            self._say(backlog, "skipped after %d attempts", failing.attempts)
            return None
        refused = self._outcomes.dead_letter(backlog, failing, reason)
        if refused is None:
            self._say(backlog, "dead letter after %d attempts", failing.attempts)
        return refused

    def skip(self, backlog: Backlog) -> str | None:
        """An operator gives up the one invocation of a parked address; return why it cannot be, or None."""
        self._spills.refill(backlog, 1)
        failures = self._owned[backlog.owner].failures
        failing = failures.single_out(backlog)
        refused = self._drop(backlog, failing, "skipped")
        if refused is not None:
            self._spills.put_away(backlog)
            return refused
        self.recovered(backlog)
        failures.abandon(backlog)
        return None

    def withdraw(self, backlog: Backlog) -> None:
        """An address that was parked, and is tried again, is set aside once more."""
        self._owned[backlog.owner].failures.withdraw(backlog, self._loop.time())
        assert backlog.failing is not None
        self._put_aside(backlog, backlog.failing)

    def _park(self, backlog: Backlog, failing: FailureState) -> None:
        partition = self._owned[backlog.owner]
        pause_s = partition.failures.park(backlog, self._loop.time())
        self._say(
            backlog,
            "parked after %d attempts, next in %.0f s; %s",
            failing.attempts,
            pause_s,
            "others go on"
            if failing.is_decided
            else "it may be the endpoint, for nobody else got on",
        )
        self._put_aside(backlog, failing)

    def restore_parked(self, backlog: Backlog, row: bytes) -> None:
        """Take back an address that was parked when the last life ended; its backlog was restored before."""
        failing = self._outcomes.read_parked(row)
        self._owned[backlog.owner].failures.restore_parked(backlog, failing, self._loop.time())
        self._put_aside(backlog, failing)

    def _put_aside(self, backlog: Backlog, failing: FailureState) -> None:
        self._outcomes.parked(backlog, failing)
        self._spills.put_away(backlog)
        self._alarm.paused(self._owned[backlog.owner])

    def release(self, backlog: Backlog) -> None:
        """An operator wants a parked address to be tried now, with a whole budget."""
        self._owned[backlog.owner].failures.release(backlog)
        self._pump()

    def retry(self, backlog: Backlog) -> bool:
        """An operator wants an address to be tried now; return whether it made a pause, or was parked."""
        match backlog.phase:
            case Phase.PARKED:
                self.release(backlog)
            case Phase.BACKING_OFF:
                self._owned[backlog.owner].failures.cut_short(backlog)
                self._pump()
            case _:
                return False
        return True

    def probe_in_s(self) -> float | None:
        """Return in how many seconds an endpoint that is down is asked again; None if nothing is planned."""
        if self._probe_alarm is None:
            return None
        return max(0.0, self._probe_at_s - self._loop.time())

    def probe_now(self) -> bool:
        """An operator wants an endpoint that is down to be asked at once; return whether it was waited for."""
        if self._probe_alarm is None:
            return False
        self._probe_alarm.cancel()
        self._probe()
        return True

    def pause_left_s(self, backlog: Backlog) -> float:
        """Return in how many seconds a parked address is tried again; it is looked up, which takes long."""
        return max(
            0.0, self._owned[backlog.owner].failures.pauses.end_s(backlog) - self._loop.time()
        )

    def _opened(self, *, was_down: bool) -> None:
        """The circuit is open: say so once, and come back after its pause."""
        if not was_down:
            self.down_since_s = self._loop.time()
            log.warning(
                "endpoint %s of %s fails for everyone: %s; its addresses wait, and it is tried again and again",
                self._function.url,
                self._function,
                self._circuit.reason,
            )
        if self._probe_alarm is None:
            self._left_alone_s = self._loop.time()
            self._plan_probe(self._left_alone_s + self._circuit.pause_s)

    def hurry(self) -> None:
        """An address that never failed is ready while the endpoint is left alone: if it is well, it shows it soon."""
        alarm, ends_s = self._probe_alarm, self._left_alone_s + _PAUSE_FOR_OTHERS_S
        if alarm is not None and self._probe_at_s > ends_s:
            alarm.cancel()
            self._plan_probe(ends_s)

    def _plan_probe(self, at_s: float) -> None:
        # What is due already uvloop gives no time of its own.
        self._probe_at_s = at_s
        self._probe_alarm = self._loop.call_at(at_s, self._probe)

    def _closed(self) -> None:
        log.info("endpoint %s of %s answers again", self._function.url, self._function)
        self._loop.call_soon(self._pump)

    def _probe(self) -> None:
        self._probe_alarm = None
        if self._circuit.state is CircuitState.OPEN:
            self._circuit.probe()
            self._pump()

    def _say(self, backlog: Backlog, what: str, *details: object) -> None:
        left_out = self._lines.take(self._loop.time())
        if left_out is None:
            return
        more = f" ({left_out} such lines were left out)" if left_out else ""
        failing = backlog.failing
        log.warning(
            "%s at %s: " + what + ": %s; %d invocations in the batch, %d wait%s",
            backlog.address,
            self._function.url,
            *details,
            failing.reason if failing else "",
            len(backlog.in_flight),
            backlog.waiting_count,
            more,
        )
