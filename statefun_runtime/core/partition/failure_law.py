"""What becomes of a failed attempt.

attempt failed ─▶ circuit open: again, with the others
               ├─▶ budget left: again, after a pause
               ├─▶ budget spent, several invocations: half of them again, until the one that fails is found
               └─▶ budget spent, one invocation: parked, dead letter, skipped or fatal, as its endpoint says
"""

from dataclasses import dataclass
from enum import Enum

from statefun_runtime.core.module.specs import Transport
from statefun_runtime.core.partition.failure_state import FailureState
from statefun_runtime.core.partition.retry import Failure, retry_pause_s


class Outcome(Enum):
    """What happens to the batch in flight: it waits for its endpoint, is retried, narrowed, or has had its budget."""

    WAIT = "wait for the endpoint"
    RETRY = "retry after a pause"
    NARROW = "send half of it"
    SPENT = "its budget is spent"


@dataclass(frozen=True, slots=True)
class Decision:
    """`pause_s` is how long an address that is retried waits before."""

    outcome: Outcome
    pause_s: float = 0.0


def decide(
    failing: FailureState, failure: Failure, transport: Transport, *, batch: int, now_s: float
) -> Decision:
    """Return what becomes of a batch of so many invocations whose address failed alone."""
    pause_s = None
    if not failing.parked_times:
        left_s = failing.budget_ends_s - now_s
        pause_s = retry_pause_s(transport, failure, attempts=failing.attempts, budget_left_s=left_s)
    if batch > 1 and (failing.width or pause_s is None):
        return Decision(Outcome.NARROW)
    if pause_s is None:
        return Decision(Outcome.SPENT)
    return Decision(Outcome.RETRY, pause_s)
