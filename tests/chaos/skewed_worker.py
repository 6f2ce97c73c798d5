"""`python -m tests.chaos.skewed_worker OFFSET_FILE …`: a worker whose wall clock is off by the seconds in a file.

Only what the worker's clock is made from is replaced; the machine's clock is never set.
"""

import sys
import time
from pathlib import Path
from typing import Any

from statefun_runtime import cli
from statefun_runtime.adapters import clock


class SkewedTime:
    """The module `time`, but for the date."""

    def __init__(self, offset_file: Path) -> None:
        self._offset_file = offset_file

    def time_ns(self) -> int:
        return time.time_ns() + int(self._offset_file.read_text()) * 1_000_000_000

    def __getattr__(self, name: str) -> Any:
        return getattr(time, name)


if __name__ == "__main__":
    clock.time = SkewedTime(Path(sys.argv[1]))  # type: ignore[assignment]
    sys.exit(cli.main(sys.argv[2:]))
