"""What is remembered about an address that fails, until it goes well again."""

RENEWED_WHEN_SENT = -1
_WIDTH_MAX = 1024


class FailureState:
    """What is remembered about an address whose batch failed, until a request of it succeeds.

    `circuit_times` is how often the endpoint's circuit had opened when the budget began: time behind an open circuit
    is not the address's own; RENEWED_WHEN_SENT begins it anew with the next attempt. `width` is how many invocations
    a batch may have while the failing one is looked for, 0 if it is not. `pause` numbers the pause that is being made.
    `since_s` is when the first attempt began that failed. `is_unwanted` says that an operator gives the batch up if
    the reply that is in hand cannot be applied.
    """

    __slots__ = (
        "attempts",
        "budget_ends_s",
        "circuit_times",
        "is_unwanted",
        "parked_ms",
        "parked_times",
        "pause",
        "reason",
        "since_s",
        "width",
    )

    def __init__(self, *, budget_ends_s: float, circuit_times: int) -> None:
        self.budget_ends_s = budget_ends_s
        self.circuit_times = circuit_times
        self.attempts = 0
        self.parked_times = 0
        self.parked_ms = 0
        self.is_unwanted = False
        self.reason = ""
        self.since_s = 0.0
        self.width = 0
        self.pause = 0

    def renew(self, *, budget_ends_s: float, circuit_times: int) -> None:
        """Begin the budget anew."""
        self.circuit_times = circuit_times
        self.budget_ends_s = budget_ends_s
        self.attempts = 0

    def after_success(self) -> "FailureState | None":
        """Return what is left of it when a batch is done: who failed may be in the next one, which may be wider."""
        if not 0 < self.width < _WIDTH_MAX:
            return None
        left = FailureState(budget_ends_s=0.0, circuit_times=RENEWED_WHEN_SENT)
        left.width = 2 * self.width
        return left
