"""The circuit of an endpoint: told apart from an address that fails alone.

    CLOSED ──cannot connect, or several addresses failed in any way and none succeeded──▶ OPEN
    OPEN ──pause over──▶ PROBING ──success──▶ CLOSED
                            └──failure──▶ OPEN, with a longer pause

While it is not closed the endpoint's addresses wait, none is parked, and one probe at a time goes out. A reply that cannot
be applied, and the word that this address is to come later, are answers of an endpoint that lives; addresses that fail
while others succeed do not count.
"""

from enum import Enum

from statefun_runtime.core.partition.retry import Cause, Failure

_ADDRESSES_TO_OPEN = 5
_PAUSE_FIRST_S = 0.02
_PAUSE_LAST_S = 5.0


class CircuitState(Enum):
    """Whether requests go out."""

    CLOSED = "closed"
    OPEN = "open"
    PROBING = "probing"


class Circuit:
    """The circuit of one function type's endpoint; it is left alone for `pause_s` while it is open."""

    def __init__(self) -> None:
        self.state = CircuitState.CLOSED
        self.opened_times = 0
        self.reason = ""
        # When a reply was last applied, and when the last of those requests began that went well: of whoever failed
        # before it began, and fails again, it says that others can be served meanwhile.
        self.succeeded_s = 0.0
        self.well_from_s = 0.0
        self._failing: dict[str, None] = {}
        self.pause_s = _PAUSE_FIRST_S

    @property
    def is_closed(self) -> bool:
        """Whether requests go out freely."""
        return self.state is CircuitState.CLOSED

    def succeeded(self, now_s: float, *, started_s: float) -> bool:
        """The reply to a request that began then was applied; return whether that closed the circuit."""
        self.succeeded_s = now_s
        if started_s > self.well_from_s:
            self.well_from_s = started_s
        return self.answered()

    def answered(self) -> bool:
        """The endpoint answered, well or not; return whether that closed the circuit."""
        if self._failing:
            self._failing.clear()
        if self.state is CircuitState.CLOSED:
            return False
        self.state = CircuitState.CLOSED
        self.pause_s = _PAUSE_FIRST_S
        return True

    def failed(self, function_id: str, failure: Failure, *, is_known: bool = False) -> bool:
        """An attempt failed; return whether the endpoint is to be left alone for `pause_s`.

        What an address does that is known to fail while others go well does not open the circuit.
        """
        if failure.is_refused_reply or failure.is_later:
            # The endpoint answered: whatever it says is about this address.
            self.answered()
            return False
        if self.state is CircuitState.PROBING:
            self.pause_s = min(self.pause_s * 2, _PAUSE_LAST_S)
        elif self.state is CircuitState.CLOSED:
            if is_known:
                return False
            self._failing[function_id] = None
            if failure.cause is not Cause.CONNECT and len(self._failing) < _ADDRESSES_TO_OPEN:
                return False
            self.opened_times += 1
        self.reason = failure.detail
        self.state = CircuitState.OPEN
        return True

    def probe(self) -> None:
        """The pause is over: one request may go out."""
        assert self.state is CircuitState.OPEN
        self.state = CircuitState.PROBING
