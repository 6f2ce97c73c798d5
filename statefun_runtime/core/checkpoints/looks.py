"""When an ingress looks for more, where records trickle in and nothing leaves before its epoch ends.

    cut ─── rest ──▶ look ─── rest ──▶ look ─ lead ─▶ cut ─── rest ──▶ look …
     └────────────────── interval ─────────────────────┘

A look costs what a request to the broker and all that follows from it cost, whether one record comes of it or ten. What
a record waits for is the cut: so the last look before it counts, and the others are there for functions that take
longer. How long before the cut that look has to be is found out: if something is still being called at the cut, it was
too late.
"""

import math

_REST_MAX_S = 0.025
_LOOKS_MIN = 2
_LEAD_MIN_S, _LEAD_FIRST_S, _LEAD_MAX_S = 0.002, 0.005, 0.025
_LEAD_SHARE_MAX = 0.5
# One late look in forty or so keeps the lead where it is.
_LATER, _EARLIER = 0.99, 1.5
# A look that is due sooner than this share of the interval would come of a clock that is not that exact.
_REST_SHARE_MIN = 0.1
# Rests may be longer by this share, rather than that there is one more of them for the same reason.
_SLACK = 0.2


class Looks:
    """Cuts come about every `interval_s`; with 0 nothing is rested for."""

    def __init__(self, interval_s: float) -> None:
        self._interval_s = interval_s
        self._rest_max_s = min(_REST_MAX_S, interval_s / _LOOKS_MIN)
        self._lead_max_s = min(_LEAD_MAX_S, interval_s * _LEAD_SHARE_MAX)
        self._lead_s = min(_LEAD_FIRST_S, self._lead_max_s)
        self._cut_s = 0.0

    def cut(self, now_s: float, *, is_busy: bool) -> None:
        """An epoch ends; busy: something that was read is still being worked on."""
        self._cut_s = now_s
        lead_s = self._lead_s * (_EARLIER if is_busy else _LATER)
        self._lead_s = min(max(lead_s, _LEAD_MIN_S), self._lead_max_s)

    def rest_s(self, now_s: float) -> float:
        """Return how long after a look the next one may be."""
        if not self._interval_s:
            return 0.0
        left_s = (self._cut_s + self._interval_s - self._lead_s - now_s) % self._interval_s
        if left_s < _REST_SHARE_MIN * self._interval_s:
            left_s += self._interval_s
        return left_s / max(1, math.ceil(left_s / self._rest_max_s - _SLACK))
