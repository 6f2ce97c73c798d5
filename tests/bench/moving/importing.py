"""What an import costs: a savepoint of so many rows is made, and imported by the command.

    python -m tests.bench.moving.importing [--rows 1000000] [--compressed]

Prints one JSON line: seconds and peak memory of the process. Exit status 1 if it takes longer, or more, than it may.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from struct import pack

from statefun_runtime.connectors.flink.files.hashes import flink_key_group
from statefun_runtime.connectors.flink.files.serializers import StateMeta
from tests.support.flink.savepoints import FOLDER, unpacked
from tests.support.flink.writer import rewrite

STATES = (
    "com.acme.shop.cart.count",
    "com.acme.shop.cart.total",
    "com.acme.shop.cart.name",
    "com.acme.shop.cart.profile",
)
SECONDS_PER_MILLION, MEMORY_MB_MAX = 30.0, 300.0
_GROUPS = 128


def make_savepoint(folder: Path, rows: int, *, is_compressed: bool) -> Path:
    """Make a savepoint of so many values: four of each id."""
    savepoint = unpacked("Y1", folder)
    rewrite(
        savepoint, lambda metas, _: _groups(metas, rows // len(STATES)), is_compressed=is_compressed
    )
    return savepoint


def _groups(metas: list[StateMeta], ids: int) -> Iterator[bytes]:
    numbers = {meta.name: number for number, meta in enumerate(metas)}
    by_group: dict[int, list[str]] = defaultdict(list)
    for number in range(ids):
        function_id = f"customer-{number:09d}"
        by_group[flink_key_group(function_id, _GROUPS)].append(function_id)
    for group in range(_GROUPS):
        yield _group(group, sorted(by_group[group]), numbers)


def _group(group: int, ids: list[str], numbers: dict[str, int]) -> bytes:
    parts = []
    for state in sorted(STATES, key=numbers.__getitem__):
        parts.append(pack(">H", numbers[state]))
        value = (
            b'{"n": "0123456789012345678901234567890123456789"}'
            if state.endswith("profile")
            else b"\x08\x2a"
        )
        for function_id in ids:
            is_last = function_id == ids[-1]
            key = (
                bytes([group | 0x80 * is_last, len(function_id) + 1]) + function_id.encode() + b"\0"
            )
            parts.append(
                pack(">i", len(key)) + key + pack(">ii", len(value) + 4, len(value)) + value
            )
    return b"".join((*parts, b"\xff\xff")) if ids else b""


def main() -> int:
    """Make, import, measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--compressed", action="store_true")
    parser.add_argument("--make", type=Path, help=argparse.SUPPRESS)
    flags = parser.parse_args()
    if flags.make is not None:
        print(make_savepoint(flags.make, flags.rows, is_compressed=flags.compressed))
        return 0
    with tempfile.TemporaryDirectory() as name:
        return _measure(Path(name), flags.rows, sys.argv[1:])


def _measure(folder: Path, rows: int, given: list[str]) -> int:
    # Of a process that is started, the peak counts from before it is another program: whoever starts it has to be small.
    maker = [sys.executable, "-m", "tests.bench.moving.importing", "--make", str(folder), *given]
    savepoint = Path(
        subprocess.run(maker, stdout=subprocess.PIPE, check=True, text=True).stdout.strip()
    )
    size = sum(path.stat().st_size for path in savepoint.iterdir())
    command = ["-m", "statefun_runtime.cli", "savepoint", "import", str(savepoint)]
    command += ["--module", str(FOLDER / "A-module.yaml"), "--state-dir", str(folder / "state")]
    report = folder / "report.json"
    began_s = time.monotonic()
    pid = os.posix_spawn(
        sys.executable,
        [sys.executable, *command, "--format", "json", "--egress", "leave"],
        os.environ,
        file_actions=[(os.POSIX_SPAWN_OPEN, 1, str(report), os.O_WRONLY | os.O_CREAT, 0o600)],
    )
    _, _, usage = os.wait4(pid, 0)
    seconds = time.monotonic() - began_s
    memory_mb = usage.ru_maxrss / 1024
    figures = {
        "rows": json.loads(report.read_text())["rows_read"],
        "savepoint_mb": round(size / 1e6, 1),
        "seconds": round(seconds, 1),
        "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 1),
        "peak_memory_mb": round(memory_mb, 1),
    }
    print(json.dumps(figures))
    allowed = SECONDS_PER_MILLION * max(1.0, rows / 1e6)
    return int(seconds > allowed or memory_mb > MEMORY_MB_MAX)


if __name__ == "__main__":
    sys.exit(main())
