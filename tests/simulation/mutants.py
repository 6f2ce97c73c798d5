"""`python -m tests.simulation.mutants`: planted bugs, each of which the simulation must catch.

A mutant is a copy of the runtime with a few lines changed. Prints which seed caught it and how; exit status 1 if one
was not caught.
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.simulation.planted import MUTANTS
from tests.simulation.planted.mutant import Mutant

_ROOT = Path(__file__).parents[2]
_PROGRAM = """
import sys
sys.path.insert(0, {folder!r})
import statefun_runtime
assert statefun_runtime.__file__.startswith({folder!r})
from tests.simulation.run import play_until
print(play_until(0, {seeds}, {workers}, {cluster}))
"""


@dataclass(frozen=True)
class Outcome:
    """What became of a mutant."""

    mutant: Mutant
    caught_by: str | None
    words: str


def plant(mutant: Mutant, folder: Path) -> None:
    """Make a copy of the runtime with the bug in it."""
    shutil.copytree(_ROOT / "statefun_runtime", folder / "statefun_runtime")
    for name, before, after in mutant.edits:
        path = folder / "statefun_runtime" / name
        text = path.read_text()
        count = text.count(before)
        if count != 1:
            raise SystemExit(f"mutant '{mutant.name}': its text is {count} times in {name}")
        path.write_text(text.replace(before, after))


def hunt(mutant: Mutant, seeds: int) -> Outcome:
    """Play histories with the mutant until one goes wrong."""
    with tempfile.TemporaryDirectory() as folder:
        plant(mutant, Path(folder))
        if mutant.test is not None and (_ROOT / mutant.test).exists():
            return _ask_unit_test(mutant, folder)
        program = _PROGRAM.format(
            folder=folder, seeds=seeds, workers=mutant.workers, cluster=mutant.cluster
        )
        done = subprocess.run(
            [sys.executable, "-c", program], cwd=_ROOT, capture_output=True, text=True, check=False
        )
    if done.returncode:
        return Outcome(mutant, "a crash", done.stderr.strip().splitlines()[-1])
    found = re.match(r"(\d+) (.*)", done.stdout.strip())
    return Outcome(mutant, f"seed {found[1]}", found[2]) if found else Outcome(mutant, None, "")


def _ask_unit_test(mutant: Mutant, folder: str) -> Outcome:
    program = (
        f"import sys, pytest; sys.path.insert(0, {folder!r}); import statefun_runtime;"
        f"assert statefun_runtime.__file__.startswith({folder!r});"
        f"sys.exit(pytest.main(['-q', '-x', '--no-header', '--tb=line', {mutant.test!r}]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=_ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode != 1:
        return Outcome(mutant, None, "")
    failed = [line for line in done.stdout.splitlines() if line.startswith("FAILED")]
    return Outcome(mutant, "a unit test", failed[0] if failed else str(mutant.test))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=2000, help="how many histories each may live")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("names", nargs="*", help="some of the mutants, by a part of their names")
    arguments = parser.parse_args()
    chosen = [
        m for m in MUTANTS if not arguments.names or any(n in m.name for n in arguments.names)
    ]
    survivors = 0
    with ThreadPoolExecutor(arguments.jobs) as pool:
        for outcome in pool.map(lambda mutant: hunt(mutant, arguments.seeds), chosen):
            survivors += outcome.caught_by is None
            caught = outcome.caught_by or "SURVIVED"
            print(f"{outcome.mutant.name:46s} {caught:12s} {outcome.words[:90]}", flush=True)
    print(f"{len(chosen) - survivors} of {len(chosen)} caught")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
