"""Damages savepoints in every way that disks and copies do, and imports them.

    python -m tests.fuzz.savepoints --count 10000

Whatever is damaged, an import ends in time, with an error that a person can read or with the very rows of the good
savepoint; other rows may come out only where the damage lies in something that has no checksum, and how often is
printed. A run is made of its number alone: `--first 1234 --count 1` plays it again.
"""

import argparse
import shutil
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

from statefun_runtime.app.moving.savepoint_import import ImportRequest, Work
from statefun_runtime.config.settings import Settings
from statefun_runtime.connectors.flink.rows.savepoint import Savepoint
from statefun_runtime.connectors.modules import load_module
from statefun_runtime.core.checkpoints.overlay import Row
from statefun_runtime.errors import StatefunError
from tests.fakes.state_store import DictStore
from tests.support.flink.savepoints import ENDS, FOLDER, unpacked
from tests.support.flink.writer import rewrite

LIMIT_S = 20.0
_FAILURES_SHOWN = 5
_PROGRESS_S = 10.0
# How a file of RocksDB ends, and how a compressed key group begins.
_TABLE, _FRAMES = b"\xf7\xcf\xf4\x85\xb7\x41\xe2\x88", b"\xff\x06\x00\x00sNaPpY"
MODULE = load_module(str(FOLDER / "A-module.yaml")).required()
SETTINGS = Settings()


@dataclass(frozen=True)
class Good:
    """A savepoint as it should be, with what is imported of it."""

    name: str
    folder: Path
    files: tuple[Path, ...]
    result: list[Row]

    def is_under_checksum(self, file: Path, damaged: Path) -> bool:
        """Whether a copy of a file is damaged only where a checksum is: nowhere in a head, or in the metadata."""
        good, now = (self.folder.parent / file).read_bytes(), damaged.read_bytes()
        if good[-8:] == _TABLE:
            return True
        pairs = zip(good, now, strict=False)
        first = next((at for at, (one, other) in enumerate(pairs) if one != other), len(now))
        return 0 < good.find(_FRAMES) <= first


class Forms:
    """One small savepoint in canonical form, one of RocksDB's files, and the small one compressed."""

    def __init__(self, root: Path) -> None:
        self.all = [self._made("Y1", root), self._made("A1n", root), self._compressed(root)]

    def _made(self, name: str, root: Path) -> Good:
        return _good(name, unpacked(name, root))

    def _compressed(self, root: Path) -> Good:
        folder = unpacked("Y1", root / "compressed")
        rewrite(folder, lambda _, groups: groups, is_compressed=True)
        return _good("Y1 compressed", folder)


def _good(name: str, folder: Path) -> Good:
    files = tuple(
        sorted(path.relative_to(folder.parent) for path in folder.rglob("*") if path.is_file())
    )
    return Good(name, folder, files, imported(folder))


def imported(folder: Path) -> list[Row]:
    """Return the rows that an import of a savepoint writes."""
    savepoint = Savepoint(folder, ENDS)
    work = Work(ImportRequest(folder), savepoint, MODULE, SETTINGS, DictStore())
    with work:
        rows = sorted(work.rows())
        positions = repr(sorted(work.report.positions.items())).encode()
        transactions = repr(work.report.transactions).encode()
    return [*rows, (b"positions", positions), (b"transactions", transactions)]


def _flip(rng: Random, data: bytearray) -> None:
    for _ in range(rng.choice((1, 1, 1, 2, 8))):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def _cut(rng: Random, data: bytearray) -> None:
    del data[rng.randrange(len(data)) :]


def _zero(rng: Random, data: bytearray) -> None:
    at = rng.randrange(len(data))
    size = min(rng.choice((1, 16, 512, 4096)), len(data) - at)
    data[at : at + size] = bytes(size)


def _overwrite(rng: Random, data: bytearray) -> None:
    at, from_ = rng.randrange(len(data)), rng.randrange(len(data))
    size = min(rng.choice((1, 8, 64, 512, 4096)), len(data) - max(at, from_))
    data[at : at + size] = data[from_ : from_ + size]


def _insert(rng: Random, data: bytearray) -> None:
    at = rng.randrange(len(data))
    data[at:at] = rng.randbytes(rng.choice((1, 4, 100)))


_DAMAGES: tuple[Callable[[Random, bytearray], None], ...] = (
    _flip,
    _flip,
    _flip,
    _cut,
    _zero,
    _overwrite,
    _insert,
)


def damage(rng: Random, good: Good, folder: Path) -> list[Path]:
    """Damage a copy of a savepoint; return the files that are not as they were."""
    root = folder.parent
    if rng.random() < 0.1 and len(good.files) > 1:
        one, other = rng.sample(good.files, 2)
        first, second = (root / one).read_bytes(), (root / other).read_bytes()
        (root / one).write_bytes(second)
        if rng.random() < 0.7:
            (root / other).write_bytes(first)
        return [one, other]
    file = rng.choice(good.files)
    data = bytearray((root / file).read_bytes())
    rng.choice(_DAMAGES)(rng, data)
    (root / file).write_bytes(data)
    return [file]


@dataclass(frozen=True)
class Outcome:
    """What came of one copy; `failure` says what must not be."""

    form: str
    kind: str
    failure: str = ""


def play(number: int, forms: Forms, root: Path) -> Outcome:
    """Make one damaged copy, and import it."""
    rng = Random(number)
    good = rng.choice(forms.all)
    copy = root / "copy"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(good.folder, copy / good.folder.name)
    changed = damage(rng, good, copy / good.folder.name)
    began_s = time.process_time()
    outcome = _outcome(good, copy / good.folder.name, changed)
    if time.process_time() - began_s > LIMIT_S:
        return Outcome(good.name, "slow", f"it took {time.process_time() - began_s:.0f} s")
    return outcome


def _outcome(good: Good, folder: Path, changed: list[Path]) -> Outcome:
    try:
        rows = imported(folder)
    except StatefunError as error:
        kind = "refused" if error.code in ("SF5020", "SF5021") else "refused otherwise"
        return Outcome(good.name, kind)
    except Exception:  # noqa: BLE001
        return Outcome(good.name, "crash", traceback.format_exc())
    if rows == good.result:
        return Outcome(good.name, "the same rows")
    if all(good.is_under_checksum(file, folder.parent / file) for file in changed):
        return Outcome(good.name, "unnoticed", f"other rows, and {changed} is under checksums")
    return Outcome(good.name, "other rows, no checksum")


def run(first: int, count: int) -> tuple[Counter[tuple[str, str]], list[str]]:
    """Play some numbers; return what came of them, and what must not be."""
    outcomes: Counter[tuple[str, str]] = Counter()
    failures: list[str] = []
    said_s = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        forms = Forms(root)
        for number in range(first, first + count):
            outcome = play(number, forms, root)
            outcomes[outcome.form, outcome.kind] += 1
            if outcome.failure:
                failures.append(f"number {number}, {outcome.form}: {outcome.failure}")
            if time.monotonic() - said_s > _PROGRESS_S:
                said_s = time.monotonic()
                print(f"{number - first + 1} of {count}", file=sys.stderr)
    return outcomes, failures


def main() -> int:
    """Print what came of all copies; 1 if something must not be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0)
    flags = parser.parse_args()
    outcomes, failures = run(flags.first, flags.count)
    for (form, kind), count in sorted(outcomes.items()):
        share = count / sum(each for (name, _), each in outcomes.items() if name == form)
        print(f"{form:<16} {kind:<26} {count:>6} {share:>7.1%}")
    for failure in failures[:_FAILURES_SHOWN]:
        print(failure)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
