"""`make bench-compare`: ours exactly-once and at-least-once, and the original, one after the other on one rig.

    python -m tests.bench.beside.compare [--subject NAME …] [--messages N] [--rounds N] [--warmup N] [--addresses N …]
        [--workers N] [--out FILE]

Same broker, driver and functions in C; whoever is measured has a core for itself, all the rest has another, and with
several workers, which is the original's parallelism, too, everything shares all cores. The original,
StateFun on Flink, is fetched from Maven's and Python's registries. Each is started once, warmed up, and takes all numbers
of addresses, every key of which is counted and checked. Prints a line of JSON per round and a table of medians; both are
saved in FILE, together with the machine and the load that it had before and meanwhile.
"""

import argparse
import json
import statistics
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.bench.bench import Round
from tests.bench.beside.flink import FLINK, STATEFUN
from tests.bench.beside.results import RESULTS, Measured
from tests.bench.beside.subjects import ORIGINAL, OURS, running
from tests.bench.rig import Cores, take_cores
from tests.support.kafka.broker import KafkaBroker
from tests.support.provisions import Unavailable

SUBJECTS = {
    f"{whose}, {delivery}": (whose, delivery)
    for whose in (OURS, ORIGINAL)
    for delivery in ("exactly-once", "at-least-once")
}
_FEW = 10_000


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parse(arguments)
    cores = take_cores() if options.workers == 1 else Cores(None, None)
    original = f"StateFun {STATEFUN} on Flink {FLINK}"
    measured = Measured("compare", original=original, workers=options.workers)
    rounds: list[dict[str, Any]] = []
    try:
        with KafkaBroker(cpus=cores.rest) as broker:
            for subject in options.subject:
                for row in _rounds(broker, cores, subject, options):
                    print(json.dumps({"subject": subject, **asdict(row)}), flush=True)
                    rounds.append({"subject": subject, "load": measured.load(), **asdict(row)})
    except Unavailable as error:
        print(error, file=sys.stderr)
        return 1
    table = medians(rounds)
    measured.save(options.out, table=table, rounds=rounds)
    print(text(table))
    wrong = [row for row in rounds if row["received"] != row["messages"] or row["wrong_keys"]]
    if wrong:
        print(f"{len(wrong)} rounds have wrong counts", file=sys.stderr)
    return 1 if wrong else 0


def _rounds(
    broker: KafkaBroker, cores: Cores, subject: str, options: argparse.Namespace
) -> Iterator[Round]:
    """Warm one up, and measure it with each number of addresses; a warm-up that went wrong is told."""
    whose, delivery = SUBJECTS[subject]
    workers = options.workers
    with running(broker, cores, whose, delivery, interval=options.interval, workers=workers) as one:
        for number, addresses in enumerate([max(options.addresses), *options.addresses]):
            line = one.line(addresses)
            rounds = options.rounds if number else 1
            messages = options.messages * (1 if addresses > _FEW else options.few)
            for each in range(rounds):
                count = messages if number else options.warmup
                row = line.measure(addresses, each, count, timeout_s=options.timeout)
                is_right = row.received == count and not row.wrong_keys
                if number or not is_right:
                    yield row
                if not is_right:
                    print(line.worker.output()[-3000:], file=sys.stderr)
                    return


def medians(rounds: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return a row per subject and number of addresses."""
    cells: dict[tuple[str, int], list[dict[str, Any]]] = {}
    for row in rounds:
        cells.setdefault((row["subject"], row["addresses"]), []).append(row)
    return [
        {
            "subject": subject,
            "addresses": addresses,
            "cpu_us": round(statistics.median(row["cpu_us"]["worker"] for row in rows), 1),
            "per_s": round(statistics.median(row["steady_per_s"] for row in rows)),
            "peak_mb": round(max(row["worker_memory"]["peak_mb"] for row in rows)),
        }
        for (subject, addresses), rows in cells.items()
    ]


def text(table: Sequence[dict[str, Any]]) -> str:
    """Return the table for people."""
    lines = [
        f"{'':<34}{'addresses':>10}{'CPU µs a message':>18}{'messages/s':>12}{'memory MB':>11}"
    ]
    for row in table:
        lines.append(
            f"{row['subject']:<34}{row['addresses']:>10,}{row['cpu_us']:>18.1f}{row['per_s']:>12,}"
            f"{row['peak_mb']:>11,}"
        )
    return "\n".join(lines)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="compare", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--subject", nargs="+", choices=SUBJECTS, default=list(SUBJECTS))
    parser.add_argument("--messages", type=int, default=100_000, help="per round")
    parser.add_argument(
        "--few", type=int, default=2, help=f"times as many with {_FEW:,} addresses or fewer"
    )
    parser.add_argument("--rounds", type=int, default=3, help="the table has their median")
    parser.add_argument("--warmup", type=int, default=200_000, help="messages before round 1")
    parser.add_argument("--addresses", type=int, nargs="+", default=[100_000, 1_000, 10])
    parser.add_argument("--workers", type=int, default=1, help="and the original's parallelism")
    parser.add_argument("--interval", default="1s", help="between checkpoints")
    parser.add_argument("--timeout", type=float, default=300.0, help="seconds for a round")
    parser.add_argument("--out", type=Path, default=RESULTS / "compare.json")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
