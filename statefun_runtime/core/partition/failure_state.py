"""What is remembered about an address that fails, until it goes well again."""

from statefun_runtime.core.partition.circuit import Circuit
from statefun_runtime.core.partition.retry import Cause, Failure

_WIDTH_MAX = 1024
_ALONE_MIN = 3
# A batch that failed, a part of it that goes well, the rest that fails: if they follow each other at once, nothing else
# can have changed in between. Later it can.
_AT_ONCE_S = 1.0


class FailureState:
    """What is remembered about an address whose batch failed, until a request of it succeeds.

    `spent_s` is what its attempts and pauses took of the call budget, and `tried` how many attempts that were. Time behind an open circuit, in a
    queue, or that the endpoint asked for, is not the address's own. `alone` counts the failures before each of which a
    request of others began and went well, and which came after the failure before that. `is_narrowed` says that the
    last failure had the batch halved, since its budget was spent, and `suspected` how many invocations are left of
    the one that was; `is_isolated` that another part of it went well at once. `slowest_s` is the longest attempt that
    got an answer. `width` is how many invocations a batch may have while the failing one is looked for, 0 if it is
    not. `pause` numbers the pause that is being made. `since_s` is when the first attempt began that failed,
    `failed_s` when the last one ended. `is_decided` says that it is the address that fails, and not its endpoint.
    `is_unwanted` says that an operator gives the batch up if the reply that is in hand cannot be applied.
    """

    __slots__ = (
        "alone",
        "attempts",
        "cause",
        "failed_s",
        "is_decided",
        "is_isolated",
        "is_narrowed",
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
        "tried",
        "width",
    )

    def __init__(self) -> None:
        self.attempts = 0
        self.tried = 0
        self.spent_s = 0.0
        self.alone = 0
        self.slowest_s = 0.0
        self.failed_s = 0.0
        self.since_s = 0.0
        self.suspected = 0
        self.is_narrowed = False
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

    def met(self, failure: Failure, circuit: Circuit, *, started_s: float, now_s: float) -> None:
        """Remember a failed attempt, and decide whether it is the address that fails, as far as can be known by now."""
        is_alone = not failure.is_later and circuit.well_from_s > (self.failed_s or started_s)
        self.alone += is_alone
        if not self.failed_s and started_s - circuit.succeeded_s > _AT_ONCE_S:
            self.is_isolated = False
        self.is_narrowed = False
        is_shown = self.is_isolated or (is_alone and self.alone >= _ALONE_MIN)
        self.is_decided = failure.is_refused_reply or is_shown
        self.since_s = self.since_s or started_s
        self.failed_s = now_s
        # An attempt that had only what was left of the budget says nothing: the last real cause stays.
        is_cut = failure.cause is Cause.TIMEOUT and bool(self.reason) and not self.parked_times
        if not is_cut:
            self.cause, self.reason = failure.cause, failure.detail
        if failure.cause is not Cause.TIMEOUT:
            self.slowest_s = max(self.slowest_s, now_s - started_s)

    @property
    def need_s(self) -> float:
        """How long an attempt must have to be worth making."""
        return 1.5 * self.slowest_s + 0.01

    def release(self) -> None:
        """An operator gives it a whole budget."""
        self.spent_s = 0.0
        self.attempts = self.tried = 0
        self.parked_times = 0

    def narrow(self, width: int, *, batch: int) -> None:
        """The budget of a batch is spent: so many of it are tried alone. A single one has its time once more."""
        self.width = width
        self.is_narrowed = True
        self.suspected = self.suspected or batch
        if width == 1:
            self.spent_s, self.tried = 0.0, 0

    def after_batch(self, done: int, *, well_from_s: float | None) -> "FailureState | None":
        """Return what is left of it when a batch is done: who failed may be in the next one, which may be wider.

        `well_from_s` is when the request began, if it went well.
        """
        if not 0 < self.width < _WIDTH_MAX:
            return None
        left = FailureState()
        left.width = 2 * self.width
        left.suspected = max(0, self.suspected - done)
        is_well = well_from_s is not None and well_from_s - self.failed_s <= _AT_ONCE_S
        is_isolated = self.is_isolated or (self.is_narrowed and is_well)
        left.is_isolated = left.suspected > 0 and is_isolated
        return left
