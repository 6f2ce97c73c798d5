"""Time, as the engine needs it."""

from typing import Protocol


class Clock(Protocol):
    """Two clocks: one to measure with, one to tell the time.

    Guarantees: `now_s` never goes back and has no relation to the date; `now_ms` is the date in milliseconds since
    1970 UTC and does not go back within the life of one worker.
    """

    def now_s(self) -> float:
        """Return seconds, monotonic."""
        ...

    def now_ms(self) -> int:
        """Return milliseconds since 1970 UTC, never less than what was returned before."""
        ...
