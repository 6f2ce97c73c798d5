"""What a partition decides about its addresses that fail, by the law in failure_law.py, and the pauses they make."""

from typing import TYPE_CHECKING

from statefun_runtime.core.partition.backlog import IN_FLIGHT, Backlog
from statefun_runtime.core.partition.failure_law import Decision, Outcome, decide
from statefun_runtime.core.partition.failure_state import RENEWED_WHEN_SENT, FailureState
from statefun_runtime.core.partition.pauses import Pauses
from statefun_runtime.core.partition.retry import Failure, attempt_limit_s, park_pause_s

if TYPE_CHECKING:
    from statefun_runtime.core.partition.partition import Partition


class Failures:
    """`parked` are the addresses that were set aside, until they get past what failed: also while one is retried."""

    __slots__ = ("_partition", "parked", "pauses")

    def __init__(self, partition: "Partition") -> None:
        self._partition = partition
        self.pauses = Pauses()
        self.parked: dict[Backlog, None] = {}

    def limit_s(self, backlog: Backlog, now_s: float) -> float:
        """Return how long the attempt that is about to be made may take."""
        function, failing = backlog.function, backlog.failing
        call_s = function.endpoint.transport.call_s
        if failing is None:
            return attempt_limit_s(budget_left_s=call_s)
        if failing.circuit_times != function.circuit.opened_times:
            failing.renew(budget_ends_s=now_s + call_s, circuit_times=function.circuit.opened_times)
        if failing.parked_times:
            return call_s
        return attempt_limit_s(budget_left_s=failing.budget_ends_s - now_s)

    def fail(self, backlog: Backlog, failure: Failure, now_s: float) -> Decision:
        """An attempt failed: move the address on. If its budget is spent it has to be parked or given up next."""
        function = backlog.function
        failing = self._state_of(backlog)
        failing.attempts += 1
        failing.reason = failure.detail
        failing.since_s = failing.since_s or backlog.started_s
        is_alone = function.circuit.succeeded_s > backlog.started_s
        if not is_alone and function.circuit.failed(backlog.id, failure):
            # Its budget begins anew with the next attempt, whenever that is.
            failing.circuit_times = RENEWED_WHEN_SENT
            self._partition.send_back(backlog)
            return Decision(Outcome.WAIT)
        transport = function.endpoint.transport
        decision = decide(failing, failure, transport, batch=len(backlog.in_flight), now_s=now_s)
        if decision.outcome is Outcome.NARROW:
            failing.width = len(backlog.in_flight) // 2
            failing.circuit_times = RENEWED_WHEN_SENT
            self._partition.narrow(backlog, failing.width)
        elif decision.outcome is Outcome.RETRY:
            self._partition.back_off(backlog)
            self.pauses.begin(backlog, now_s + decision.pause_s)
        return decision

    def park(self, backlog: Backlog, now_s: float) -> float:
        """Set an address aside that has spent its budget; return for how long."""
        failing = backlog.failing
        assert failing is not None
        failing.parked_times += 1
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
        backlog.failing.circuit_times = RENEWED_WHEN_SENT
        backlog.failing.parked_times = 0
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
        backlog.failing = backlog.failing.after_success()
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
        backlog.failing = backlog.failing.after_success()
        self.parked.pop(backlog, None)
        self._partition.abandon(backlog)

    def _state_of(self, backlog: Backlog) -> FailureState:
        if backlog.failing is None:
            function = backlog.function
            backlog.failing = FailureState(
                budget_ends_s=backlog.started_s + function.endpoint.transport.call_s,
                circuit_times=function.circuit.opened_times,
            )
        return backlog.failing
