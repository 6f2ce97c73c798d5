"""What state files cost: so many values are exported and imported by the command, as lines of JSON and as Parquet.

    python -m tests.bench.moving.state_files [--rows 1000000] [--only jsonl|parquet]

Prints a JSON line per step: wall seconds, CPU seconds and peak memory of the process. Exit status 1 if a step takes
longer, or more memory, than it may.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from base64 import b64encode
from pathlib import Path

SECONDS_PER_MILLION, MEMORY_MB_MAX = 20.0, 300.0
_STATES = (
    ("count", "io.statefun.types/int", b"\x0d\x2a\x00\x00\x00"),
    ("total", "io.statefun.types/long", b"\x09\x2a\x00\x00\x00\x00\x00\x00\x00"),
    ("name", "io.statefun.types/string", b"\x0a\x05Alice"),
    ("profile", "com.acme/profile", b'{"n": "0123456789012345678901234567890123456789"}'),
)


def write_lines(path: Path, rows: int) -> None:
    """Write a state file of so many values: four of each id."""
    values = [(name, kind, b64encode(value).decode()) for name, kind, value in _STATES]
    with path.open("w", encoding="utf-8") as file:
        file.write('{"kind":"application","format":1}\n')
        for number in range(rows // len(values)):
            address = f'"type":"com.acme.shop/cart","id":"customer-{number:09d}"'
            for name, kind, value in values:
                file.write(
                    f'{{"kind":"state",{address},"name":"{name}","typename":"{kind}","value":"{value}"}}\n'
                )


def measure(what: str, rows: int, *arguments: str | Path) -> bool:
    """Run the command; print what it took, and return whether it may."""
    command = [sys.executable, "-m", "statefun_runtime.cli", "state", *map(str, arguments)]
    began_s = time.monotonic()
    pid = os.posix_spawn(
        sys.executable,
        command,
        os.environ,
        file_actions=[(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)],
    )
    _, status, usage = os.wait4(pid, 0)
    seconds = time.monotonic() - began_s
    memory_mb = usage.ru_maxrss / 1024
    figures = {
        "what": what,
        "rows": rows,
        "seconds": round(seconds, 1),
        "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 1),
        "peak_memory_mb": round(memory_mb, 1),
    }
    print(json.dumps(figures), flush=True)
    allowed = SECONDS_PER_MILLION * max(1.0, rows / 1e6)
    return status == 0 and seconds <= allowed and memory_mb <= MEMORY_MB_MAX


def main() -> int:
    """Make a file, import it, export it; the same in Parquet, which has to come out as the same lines."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--only", choices=("jsonl", "parquet"))
    rows, only = (flags := parser.parse_args()).rows, flags.only
    good = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        seed, lines, table = folder / "seed.jsonl", folder / "out.jsonl", folder / "out.parquet"
        write_lines(seed, rows)
        one, two = folder / "one", folder / "two"
        good.append(measure("import of lines", rows, "import", seed, "--state-dir", one))
        seed.unlink()
        export = ("export", "--state-dir", one, "--output")
        if only != "parquet":
            good.append(measure("export of lines", rows, *export, lines))
        if only != "jsonl":
            good.append(measure("export to Parquet", rows, *export, table))
            good.append(measure("import of Parquet", rows, "import", table, "--state-dir", two))
    return int(not all(good))


if __name__ == "__main__":
    sys.exit(main())
