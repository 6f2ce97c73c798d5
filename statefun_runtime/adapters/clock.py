"""The machine's clocks."""

import time


class MachineClock:
    """A Clock; the date is read once and then advanced by the monotonic clock, so that it cannot go back."""

    def __init__(self, not_before_ms: int = 0) -> None:
        self._offset_ns = max(time.time_ns(), not_before_ms * 1_000_000) - time.monotonic_ns()

    def now_s(self) -> float:
        """Return seconds, monotonic."""
        return time.monotonic()

    def now_ms(self) -> int:
        """Return milliseconds since 1970 UTC."""
        return (time.monotonic_ns() + self._offset_ns) // 1_000_000
