"""When a failed attempt is made again: StateFun's rules per transport.

async    every failure is retried until the call budget is spent; pause before retry n: 2 ms · 2^n.
okhttp   I/O failures and the statuses below are retried; everything else fails at once; pause: 10 ms · 2^(n-1).

A pause never goes past the end of the budget. What happens when an attempt is not made again is not decided here.
"""

from dataclasses import dataclass
from enum import Enum

from statefun_runtime.core.module.specs import AsyncTransport, OkHttpTransport, Transport
from statefun_runtime.core.printable import printable

_OKHTTP_STATUSES = frozenset({408, 409, 420, 429, 499})
_BUDGET_MIN_S = 0.001
_EXPONENT_MAX = 40


class Cause(Enum):
    """Why an attempt failed; the value is its name in metrics and logs."""

    CONNECT = "connect"
    DISCONNECT = "disconnect"
    TIMEOUT = "timeout"
    STATUS = "status"
    CONTENT_TYPE = "content-type"
    TOO_LARGE = "too-large"
    BAD_HTTP = "bad-http"
    BAD_REPLY = "bad-reply"
    UNKNOWN_FUNCTION = "unknown-function"
    UNKNOWN_EGRESS = "unknown-egress"
    BAD_EGRESS_RECORD = "bad-egress-record"
    BAD_STATE = "bad-state"
    BAD_DELAY = "bad-delay"
    BAD_TOKEN = "bad-token"
    INCOMPLETE_LOOP = "incomplete-loop"


# What may be the fault of an endpoint, and not of one address.
_OF_ENDPOINTS = frozenset(
    {
        Cause.CONNECT,
        Cause.DISCONNECT,
        Cause.TIMEOUT,
        Cause.STATUS,
        Cause.CONTENT_TYPE,
        Cause.BAD_HTTP,
    }
)


@dataclass(frozen=True, slots=True)
class Failure:
    """One failed attempt: why, and the words for a person. `status` is there with Cause.STATUS.

    `retry_after_s` is how long the endpoint said to wait.
    """

    cause: Cause
    detail: str
    status: int = 0
    retry_after_s: float | None = None

    def __post_init__(self) -> None:
        # Much of it was said by the other side, and it is logged, stored, and sent as a dead letter.
        object.__setattr__(self, "detail", printable(self.detail))

    @property
    def is_refused_reply(self) -> bool:
        """Whether a whole reply came that cannot be applied: the endpoint is well, and this is its answer."""
        return self.cause not in _OF_ENDPOINTS

    @property
    def is_later(self) -> bool:
        """Whether the endpoint asks for the same request later."""
        is_told = self.status == 503 and self.retry_after_s is not None
        return self.cause is Cause.STATUS and (self.status == 429 or is_told)

    @property
    def is_too_large_a_request(self) -> bool:
        """Whether the server takes no request of this size."""
        return self.cause is Cause.STATUS and self.status == 413

    def __str__(self) -> str:
        return self.detail


def retry_pause_s(
    transport: Transport, failure: Failure, *, attempts: int, budget_left_s: float
) -> float | None:
    """Return the pause before the next attempt after `attempts` of them, or None if none is to be made."""
    if budget_left_s < _BUDGET_MIN_S:
        return None
    exponent = min(attempts, _EXPONENT_MAX)
    match transport:
        case AsyncTransport():
            if failure.cause is Cause.TIMEOUT:
                return None
            return float(min(0.002 * 2**exponent, budget_left_s))
        case OkHttpTransport():
            if not _okhttp_retries(failure):
                return None
            return float(min(0.01 * 2 ** (exponent - 1), budget_left_s))


def _okhttp_retries(failure: Failure) -> bool:
    if failure.cause is Cause.STATUS:
        return failure.status >= 500 or failure.status in _OKHTTP_STATUSES
    return failure.cause in (Cause.CONNECT, Cause.DISCONNECT, Cause.TIMEOUT)


PARK_PAUSE_FIRST_S = 1.0
PARK_PAUSE_LAST_S = 300.0


def park_pause_s(times_parked: int) -> float:
    """Return how long an address stays parked before one more attempt; the pauses double up to five minutes."""
    assert times_parked > 0
    return float(min(PARK_PAUSE_FIRST_S * 2 ** min(times_parked - 1, 20), PARK_PAUSE_LAST_S))
