"""What becomes of a failed attempt: the law of docs/reference/failures.md. *Who* fails decides, not how.

    attempt failed ─▶ the request is too large, several invocations: half of them at once; nothing is counted
                   ├─▶ "later" (429, 503 with Retry-After): this address after that time; nothing is counted
                   ├─▶ circuit open: again with the others, when a probe goes well; nothing is counted
                   ├─▶ budget left for an attempt that can succeed: again, after a pause
                   ├─▶ budget spent, several invocations: half of them again, until the one that fails is found
                   └─▶ budget spent, one invocation
                         ├─▶ it is the address that fails: parked, dead letter, skipped or fatal, as its endpoint says
                         └─▶ it may be the endpoint: set aside, tried every few seconds, never given up

It is the address that fails if a reply came that cannot be applied; or another part of the same batch went well and it
failed at once after that; or others succeeded since its last failure, and did so before that twice.
"""

from dataclasses import dataclass
from enum import Enum

from statefun_runtime.core.module.specs import Transport
from statefun_runtime.core.partition.circuit import Circuit
from statefun_runtime.core.partition.failure_state import FailureState
from statefun_runtime.core.partition.retry import Failure, retry_pause_s

_PUT_OFF_FIRST_S = 0.1
_PUT_OFF_LAST_S = 5.0


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


def is_known(failing: FailureState, circuit: Circuit, *, started_s: float) -> bool:
    """Return whether a failure says nothing of the endpoint, since others go well where this address fails."""
    return failing.is_isolated or failing.alone > 0 or circuit.succeeded_s > started_s


def decide(
    failing: FailureState, failure: Failure, transport: Transport, *, batch: int
) -> Decision:
    """Return what becomes of a batch of so many invocations while its endpoint is not down for everyone."""
    call_s = transport.call_s
    if failure.is_later:
        return Decision(Outcome.RETRY, _put_off_s(failing, failure, call_s))
    pause_s = None
    if not failing.parked_times:
        left_s = call_s - failing.spent_s - failing.need_s
        pause_s = retry_pause_s(transport, failure, attempts=failing.tried, budget_left_s=left_s)
    if batch > 1 and (failing.width or pause_s is None):
        return Decision(Outcome.NARROW)
    if pause_s is None:
        return Decision(Outcome.SPENT)
    return Decision(Outcome.RETRY, pause_s)


def _put_off_s(failing: FailureState, failure: Failure, call_s: float) -> float:
    asked_s = failure.retry_after_s
    if asked_s is None:
        asked_s = min(_PUT_OFF_FIRST_S * 2 ** min(failing.put_off_times - 1, 10), _PUT_OFF_LAST_S)
    return float(min(max(asked_s, _PUT_OFF_FIRST_S), call_s))


def limit_s(failing: FailureState, *, call_s: float) -> float:
    """Return how long the next attempt may take: what is left, or, when nothing is, as long as the first one."""
    left_s = call_s - failing.spent_s
    return call_s if failing.parked_times or left_s < failing.need_s else left_s
