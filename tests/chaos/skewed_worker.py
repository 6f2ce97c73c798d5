"""`python -m tests.chaos.skewed_worker OFFSET_FILE …`: a worker whose wall clock is off by the seconds in a file.

Only what the worker's clock is made from is replaced; the machine's clock is never set.
"""

import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

from statefun_runtime import cli
from statefun_runtime.adapters import clock


def skewed(offset_file: Path) -> clock.MachineTime:
    """Return the machine's clocks, but for the date."""

    def wall_ns() -> int:
        return time.time_ns() + int(offset_file.read_text()) * 1_000_000_000

    return replace(clock.MACHINE_TIME, wall_ns=wall_ns)


if __name__ == "__main__":
    machine = skewed(Path(sys.argv[1]))
    clock.MachineClock = partial(clock.MachineClock, machine=machine)  # type: ignore[assignment, misc]
    sys.exit(cli.main(sys.argv[2:]))
