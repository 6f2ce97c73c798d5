"""The machine's clocks."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

# CLOCK_BOOTTIME runs while a laptop sleeps; not every system has it.
_BOOT_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
_SLEW = 0.01


@dataclass(frozen=True, slots=True)
class MachineTime:
    """The three clocks of a machine: `wall_ns` can be set by anybody, `boot_ns` and `monotonic_s` only go on."""

    wall_ns: Callable[[], int]
    boot_ns: Callable[[], int]
    monotonic_s: Callable[[], float]


MACHINE_TIME = MachineTime(
    time.time_ns, partial(time.clock_gettime_ns, _BOOT_CLOCK), time.monotonic
)


class MachineClock:
    """A Clock whose date never goes back.

    It begins at the wall clock, or at `not_before_ms` if that is later, is advanced by the boot-time clock, and drawn
    towards the wall clock by at most a hundredth of the time that passes: a wall clock that is set does not make
    everything expire, and is believed in the end.
    """

    def __init__(self, not_before_ms: int = 0, *, machine: MachineTime = MACHINE_TIME) -> None:
        self._machine = machine
        self._date_ns = max(machine.wall_ns(), not_before_ms * 1_000_000)
        self._read_ns = machine.boot_ns()

    def now_s(self) -> float:
        """Return seconds, monotonic."""
        return self._machine.monotonic_s()

    def now_ms(self) -> int:
        """Return milliseconds since 1970 UTC."""
        read_ns = self._machine.boot_ns()
        self._date_ns = advance(
            self._date_ns, passed_ns=read_ns - self._read_ns, wall_ns=self._machine.wall_ns()
        )
        self._read_ns = read_ns
        return self._date_ns // 1_000_000


def advance(date_ns: int, *, passed_ns: int, wall_ns: int) -> int:
    """Return the date after some time has passed, drawn towards the wall clock, never before `date_ns`."""
    straight_ns = date_ns + max(0, passed_ns)
    limit_ns = int(max(0, passed_ns) * _SLEW)
    return straight_ns + max(-limit_ns, min(limit_ns, wall_ns - straight_ns))
