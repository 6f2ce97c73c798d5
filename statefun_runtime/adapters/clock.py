"""The machine's clocks."""

import time

# CLOCK_BOOTTIME runs while a laptop sleeps; not every system has it.
_BOOT_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
_SLEW = 0.01


class MachineClock:
    """A Clock whose date never goes back.

    It begins at the wall clock, or at `not_before_ms` if that is later, is advanced by the boot-time clock, and drawn
    towards the wall clock by at most a hundredth of the time that passes: a wall clock that is set does not make
    everything expire, and is believed in the end.
    """

    def __init__(self, not_before_ms: int = 0) -> None:
        self._date_ns = max(time.time_ns(), not_before_ms * 1_000_000)
        self._read_ns = time.clock_gettime_ns(_BOOT_CLOCK)

    def now_s(self) -> float:
        """Return seconds, monotonic."""
        return time.monotonic()

    def now_ms(self) -> int:
        """Return milliseconds since 1970 UTC."""
        read_ns = time.clock_gettime_ns(_BOOT_CLOCK)
        self._date_ns = advance(
            self._date_ns, passed_ns=read_ns - self._read_ns, wall_ns=time.time_ns()
        )
        self._read_ns = read_ns
        return self._date_ns // 1_000_000


def advance(date_ns: int, *, passed_ns: int, wall_ns: int) -> int:
    """Return the date after some time has passed, drawn towards the wall clock, never before `date_ns`."""
    straight_ns = date_ns + max(0, passed_ns)
    limit_ns = int(max(0, passed_ns) * _SLEW)
    return straight_ns + max(-limit_ns, min(limit_ns, wall_ns - straight_ns))
