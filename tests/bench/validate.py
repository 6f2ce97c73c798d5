"""How long `statefun-worker validate` takes on a typical file, from the start of the process to its end.

.venv/bin/python -m tests.bench.validate [FILE…] [--runs N]
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

from tests.support.provisions import ROOT

LIMIT_MS = 300.0


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the command: time on the clock, and of the processor."""

    wall_ms: float
    cpu_ms: float


def measure(files: Sequence[str]) -> Run:
    """Run the command once on files that must be good."""
    command = [sys.executable, "-m", "statefun_runtime.cli", "validate", *files]
    before, begin_s = os.times(), time.perf_counter()
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    wall_s, after = time.perf_counter() - begin_s, os.times()
    cpu_s = (after.children_user + after.children_system) - (
        before.children_user + before.children_system
    )
    return Run(wall_s * 1000, cpu_s * 1000)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print medians and the slowest run; return 1 if the median is over the limit."""
    parser = argparse.ArgumentParser(prog="validate", description="Time validate on files.")
    parser.add_argument("files", nargs="*", default=["module.yaml.example"], metavar="FILE")
    parser.add_argument("--runs", type=int, default=20, metavar="N")
    flags = parser.parse_args(arguments)
    measure(flags.files)
    runs = [measure(flags.files) for _ in range(flags.runs)]
    wall_ms = statistics.median(run.wall_ms for run in runs)
    cpu_ms = statistics.median(run.cpu_ms for run in runs)
    slowest_ms = max(run.wall_ms for run in runs)
    print(
        f"validate {' '.join(flags.files)}: median of {flags.runs}: wall {wall_ms:.0f} ms, "
        f"CPU {cpu_ms:.0f} ms; slowest {slowest_ms:.0f} ms"
    )
    return 0 if wall_ms <= LIMIT_MS else 1


if __name__ == "__main__":
    sys.exit(main())
