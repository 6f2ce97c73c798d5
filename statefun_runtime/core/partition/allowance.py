"""How many requests may be out at an endpoint at once: as many as make it faster.

                    ┌── more are wanted: twice as many, on trial ──┐
    START ──────▶ STEADY ◀── more replies a second: kept ── ON TRIAL
                    ▲  ◀──── no more: back, and not again soon ────┘
                    └── some were never taken: as many as were ◀── any

A server that computes answers no more requests a second when more are out, they only wait in it, and what waits here
leaves in larger batches. One that waits for others answers more. Which of the two it is shows when more are tried.
Where nothing comes back at all there is nothing to be compared, and the others behind must not wait for it.
"""

START = 32
_FEWEST = 8
_OWN = 4
_GAIN = 1.1
_ENOUGH_PER_S = 20_000.0
_SILENT_S = 0.5
_WINDOW_MAX_S = 2.0
_HOLD_S = 10.0


def shares(size: int, users: int) -> tuple[int, int]:
    """Return how many requests each of several users may always have out, and how many at most.

    So that one whose requests hang leaves something to each of the others.
    """
    own = min(_OWN, size // (2 * max(1, users)))
    return max(1, own), max(1, size - own * (users - 1))


class Allowance:
    """The limit of one endpoint; it is told what came of each short while in which more was wanted than was allowed.

    It begins with `start`, and judges after `sample` replies for each that may be out.
    """

    def __init__(self, maximum: int, *, start: int = START, sample: int = 2) -> None:
        assert maximum > 0
        self._maximum = maximum
        self._start = start
        self._sample = sample
        self.limit = min(start, maximum)
        self._tried_from = 0
        self._rate = 0.0
        self._held_until_s = 0.0
        self._since_s: float | None = None
        self._replies = 0

    def reset(self) -> None:
        """Nothing is known of the endpoint any more."""
        self.limit = min(self._start, self._maximum)
        self._tried_from = 0
        self._rate = self._held_until_s = 0.0
        self._since_s = None

    def observe(self, now_s: float, *, replies: int, is_short: bool) -> None:
        """So many replies came since the last time; short: all that is allowed is out, and more is wanted."""
        if not is_short:
            self._since_s = None
            return
        if self._since_s is None:
            self._since_s, self._replies = now_s, 0
            return
        self._replies += replies
        elapsed_s = now_s - self._since_s
        if not self._replies:
            if elapsed_s >= _SILENT_S:
                self._grow(now_s, rate=0.0)
        elif self._replies >= self._sample * self.limit or elapsed_s >= _WINDOW_MAX_S:
            self._judge(now_s, self._replies / max(elapsed_s, 0.001))

    def taken(self, now_s: float, count: int) -> None:
        """The endpoint seems to take no more than so many: others waited while those were answered again and again.

        It may also be that the others' functions take long; so it is not believed below a few.
        """
        self.limit = max(min(self.limit, _FEWEST), min(self.limit, count))
        self._hold(now_s)

    def _judge(self, now_s: float, rate: float) -> None:
        if self._tried_from and rate < _GAIN * self._rate:
            self.limit = self._tried_from
            self._hold(now_s)
        elif now_s >= self._held_until_s and rate < _ENOUGH_PER_S:
            self._grow(now_s, rate=rate)
        else:
            self._tried_from = 0
            self._since_s = None

    def _hold(self, now_s: float) -> None:
        self._tried_from = 0
        self._held_until_s = now_s + _HOLD_S
        self._since_s = None

    def _grow(self, now_s: float, *, rate: float) -> None:
        # From silence nothing can be concluded, so that what comes after it is no trial.
        self._tried_from = self.limit if rate and self.limit < self._maximum else 0
        self._rate = rate
        self.limit = min(2 * self.limit, self._maximum)
        self._since_s = None
