"""What a partition decides about its addresses that fail, by the law in failure_law.py, and the pauses they make."""

from typing import Protocol

from statefun_runtime.core.partition.backlog import IN_FLIGHT, Backlog
from statefun_runtime.core.partition.failure_law import (
    Decision,
    Outcome,
    decide,
    is_known,
    limit_s,
)
from statefun_runtime.core.partition.failure_state import FailureState
from statefun_runtime.core.partition.pauses import Pauses
from statefun_runtime.core.partition.retry import Failure, park_pause_s

_UNDECIDED_PAUSE_S = 5.0
_UNDECIDED_TIMES_MAX = 4


class Moves(Protocol):
    """What a partition does with an address whose request was not answered well; partition.py says what each means."""

    def send_back(self, backlog: Backlog) -> None: ...
    def narrow(self, backlog: Backlog, width: int) -> None: ...
    def back_off(self, backlog: Backlog) -> None: ...
    def park(self, backlog: Backlog) -> None: ...
    def withdraw(self, backlog: Backlog) -> None: ...
    def resume(self, backlog: Backlog) -> None: ...
    def give_up(self, backlog: Backlog) -> None: ...
    def single_out(self, backlog: Backlog) -> None: ...
    def abandon(self, backlog: Backlog) -> None: ...
    def restore_parked(self, backlog: Backlog) -> None: ...


class Failures:
    """`parked` are the addresses that were set aside, until they get past what failed: also while one is retried."""

    __slots__ = ("_partition", "parked", "pauses")

    def __init__(self, partition: Moves) -> None:
        self._partition = partition
        self.pauses = Pauses()
        self.parked: dict[Backlog, None] = {}

    def limit_s(self, backlog: Backlog) -> float:
        """Return how long the attempt that is about to be made may take."""
        call_s = backlog.function.endpoint.transport.call_s
        return call_s if backlog.failing is None else limit_s(backlog.failing, call_s=call_s)

    def fail(self, backlog: Backlog, failure: Failure, now_s: float) -> Decision:
        """An attempt failed: move the address on. If its budget is spent it has to be parked or given up next."""
        function, started_s = backlog.function, backlog.started_s
        circuit = function.circuit
        failing = self._state_of(backlog)
        failing.met(failure, circuit, started_s=started_s, now_s=now_s)
        batch = len(backlog.in_flight)
        if failure.is_too_large_a_request and batch > 1:
            failing.width = batch // 2
            self._partition.narrow(backlog, failing.width)
            return Decision(Outcome.NARROW)
        known = is_known(failing, circuit, started_s=started_s)
        if circuit.failed(backlog.id, failure, is_known=known):
            self._partition.send_back(backlog)
            return Decision(Outcome.WAIT)
        failing.put_off_times += failure.is_later
        if not failure.is_later:
            failing.attempts += 1
            failing.tried += 1
            failing.spent_s += now_s - started_s
        transport = function.endpoint.transport
        decision = decide(failing, failure, transport, batch=batch)
        if decision.outcome is Outcome.NARROW:
            failing.narrow(batch // 2, batch=batch)
            self._partition.narrow(backlog, failing.width)
        if decision.outcome is Outcome.RETRY:
            if not failure.is_later:
                failing.spent_s += decision.pause_s
            self._partition.back_off(backlog)
            self.pauses.begin(backlog, now_s + decision.pause_s)
        return decision

    def park(self, backlog: Backlog, now_s: float) -> float:
        """Set an address aside that has spent its budget; return for how long."""
        failing = backlog.failing
        assert failing is not None
        failing.parked_times += 1
        if not failing.is_decided:
            # It may be the endpoint, which may be back at any time.
            failing.parked_times = min(failing.parked_times, _UNDECIDED_TIMES_MAX)
        self._partition.park(backlog)
        return self._set_aside(backlog, failing, now_s)

    def withdraw(self, backlog: Backlog, now_s: float) -> None:
        """An operator decides about an address that was parked and is being tried again: it is set aside once more.

        Its request, if one was out, has been cancelled; it stands in no queue.
        """
        failing = backlog.failing
        assert failing is not None
        assert backlog in self.parked
        failing.parked_times = max(1, failing.parked_times)
        if backlog.phase == IN_FLIGHT:
            self._partition.park(backlog)
        else:
            self._partition.withdraw(backlog)
        self._set_aside(backlog, failing, now_s)

    def restore_parked(self, backlog: Backlog, failing: FailureState, now_s: float) -> None:
        """An address was parked when the last life ended, and still is; its backlog was restored before."""
        # A parked address has been narrowed down to one invocation.
        failing.width = 1
        backlog.failing = failing
        self._partition.restore_parked(backlog)
        self._set_aside(backlog, failing, now_s)

    def _set_aside(self, backlog: Backlog, failing: FailureState, now_s: float) -> float:
        self.parked[backlog] = None
        pause_s = park_pause_s(failing.parked_times)
        if not failing.is_decided:
            pause_s = min(pause_s, _UNDECIDED_PAUSE_S)
        self.pauses.begin(backlog, now_s + pause_s)
        return pause_s

    def resume_due(self, now_s: float) -> list[Backlog]:
        """Have the addresses go on whose pause is over; return them."""
        resumed = list(self.pauses.over(now_s))
        for backlog in resumed:
            self._resume(backlog)
        return resumed

    def cut_short(self, backlog: Backlog) -> None:
        """An operator wants an address that makes a pause to be tried now."""
        self._resume(backlog)

    def release(self, backlog: Backlog) -> None:
        """An operator wants a parked address to be tried now, with a whole budget."""
        assert backlog.failing is not None
        backlog.failing.release()
        self._resume(backlog)

    def _resume(self, backlog: Backlog) -> None:
        assert backlog.failing is not None
        backlog.failing.pause = 0
        self._partition.resume(backlog)

    def recovered(self, backlog: Backlog) -> bool:
        """The address got past what held it up; return whether it was parked."""
        if backlog not in self.parked:
            return False
        del self.parked[backlog]
        return True

    def give_up(self, backlog: Backlog) -> None:
        """What was in flight is dropped, or goes elsewhere; the address goes on with the next."""
        assert backlog.failing is not None
        backlog.failing = backlog.failing.after_batch(1, well_from_s=None)
        self._partition.give_up(backlog)

    def single_out(self, backlog: Backlog) -> FailureState:
        """Have the first invocation of a parked address be its batch; return what is known of its failure."""
        assert backlog.failing is not None
        backlog.failing.width = 1
        self._partition.single_out(backlog)
        return backlog.failing

    def abandon(self, backlog: Backlog) -> None:
        """An operator gives up the one invocation of a parked address, which goes on with the next."""
        assert backlog.failing is not None
        backlog.failing = backlog.failing.after_batch(1, well_from_s=None)
        self.parked.pop(backlog, None)
        self._partition.abandon(backlog)

    def _state_of(self, backlog: Backlog) -> FailureState:
        if backlog.failing is None:
            backlog.failing = FailureState()
        return backlog.failing
