"""What is remembered about an address that fails, until it goes well again."""

from statefun_runtime.core.partition.retry import Cause, Failure

_WIDTH_MAX = 1024
ALONE_MIN = 3


class FailureState:
    """What is remembered about an address whose batch failed, until a request of it succeeds.

    `spent_s` is what its attempts and pauses took of the call budget: it only grows. Time behind an open circuit, in a
    queue, or that the endpoint asked for, is not the address's own. `alone` counts the failures in a row between
    which others succeeded; `is_isolated` says that a part of the batch that failed has gone well, and `suspected` how
    many invocations are left of it. `slowest_s` is the longest attempt that got an answer. `width` is how many
    invocations a batch may have while the failing one is looked for, 0 if it is not. `pause` numbers the pause that is
    being made. `since_s` is when the first attempt began that failed, `failed_s` when the last one ended.
    `is_decided` says that it is the address that fails, and not its endpoint. `is_unwanted` says that an operator
    gives the batch up if the reply that is in hand cannot be applied.
    """

    __slots__ = (
        "alone",
        "attempts",
        "cause",
        "failed_s",
        "first_failed_s",
        "is_decided",
        "is_isolated",
        "is_unwanted",
        "parked_ms",
        "parked_times",
        "pause",
        "put_off_times",
        "reason",
        "since_s",
        "slowest_s",
        "spent_s",
        "suspected",
        "width",
    )

    def __init__(self) -> None:
        self.attempts = 0
        self.spent_s = 0.0
        self.alone = 0
        self.slowest_s = 0.0
        self.first_failed_s = 0.0
        self.failed_s = 0.0
        self.since_s = 0.0
        self.suspected = 0
        self.is_isolated = False
        self.is_decided = False
        self.is_unwanted = False
        self.parked_times = 0
        self.parked_ms = 0
        self.put_off_times = 0
        self.cause = Cause.STATUS
        self.reason = ""
        self.width = 0
        self.pause = 0

    def met(self, failure: Failure, *, started_s: float, now_s: float, succeeded_s: float) -> None:
        """Remember a failed attempt, and whether others succeeded since the one before."""
        is_others_well = succeeded_s > (self.failed_s or started_s)
        self.alone = self.alone + 1 if is_others_well and not failure.is_later else 0
        self.since_s = self.since_s or started_s
        self.first_failed_s = self.first_failed_s or now_s
        self.failed_s = now_s
        # An attempt that had only what was left of the budget says nothing: the last real cause stays.
        is_cut = failure.cause is Cause.TIMEOUT and bool(self.reason)
        if not is_cut:
            self.cause, self.reason = failure.cause, failure.detail
        if failure.cause is not Cause.TIMEOUT:
            self.slowest_s = max(self.slowest_s, now_s - started_s)

    def decide(self, failure: Failure) -> None:
        """Settle whether it is the address that fails, as far as can be known after this failure."""
        self.is_decided = (
            failure.is_said_by_the_function or self.is_isolated or self.alone >= ALONE_MIN
        )

    @property
    def need_s(self) -> float:
        """How long an attempt must have to be worth making."""
        return 1.5 * self.slowest_s + 0.01

    def release(self) -> None:
        """An operator gives it a whole budget."""
        self.spent_s = 0.0
        self.attempts = 0
        self.parked_times = 0

    def after_batch(self, done: int, *, is_well: bool) -> "FailureState | None":
        """Return what is left of it when a batch is done: who failed may be in the next one, which may be wider."""
        if not 0 < self.width < _WIDTH_MAX:
            return None
        left = FailureState()
        left.width = 2 * self.width
        left.suspected = max(0, self.suspected - done)
        left.is_isolated = left.suspected > 0 and (is_well or self.is_isolated)
        return left
