"""What the curves in docs/benchmarks.md are drawn from: CPU by rate and by checkpoint interval, and by addresses.

    python -m tests.bench.beside.curves [rate] [addresses] [--seconds S] [--addresses N …] [--original-interval D]

`rate`: steady rates exactly-once with several intervals, and the original with one, in docs/benchmarks/rate.json.
`addresses`: full speed exactly-once over so many addresses, each warmed up with a message per address, in addresses.json.
By size of state: `tests.bench.beside.large`. Then `python -m tests.bench.beside.plots` draws them.
"""

import argparse
import json
import statistics
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from tests.bench.beside.flink import FLINK, STATEFUN
from tests.bench.beside.results import RESULTS, Measured
from tests.bench.beside.subjects import ORIGINAL, OURS, running
from tests.bench.engine.epochs import Line
from tests.bench.rig import Cores, take_cores
from tests.support.kafka.broker import KafkaBroker
from tests.support.provisions import Unavailable

# A rate and for how many seconds, before what is measured: the original's compiler needs many messages.
_WARMUP = {OURS: (200, 3.0), ORIGINAL: (5_000, 20.0)}


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parse(arguments)
    cores = take_cores()
    measures = {"rate": _rates, "addresses": _addresses}
    try:
        with KafkaBroker(cpus=cores.rest) as broker:
            for what in options.what or measures:
                measured = Measured("curves", original=f"StateFun {STATEFUN} on Flink {FLINK}")
                points = []
                for point in measures[what](broker, cores, options):
                    points.append({**point, "load": measured.load()})
                    print(json.dumps(points[-1]), flush=True)
                measured.save(RESULTS / f"{what}.json", points=points)
    except Unavailable as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _rates(
    broker: KafkaBroker, cores: Cores, options: argparse.Namespace
) -> Iterator[dict[str, Any]]:
    """Each interval with each rate, and the original with its own interval."""
    subjects = [(OURS, interval) for interval in options.interval]
    if options.original_interval:
        subjects.append((ORIGINAL, options.original_interval))
    for whose, interval in subjects:
        started = running(broker, cores, whose, "exactly-once", interval=interval, partitions=1)
        with started as one:
            line = Line(whose, one.worker, broker, one.topics)
            line.measure(interval, *_WARMUP[whose])
            for rate in options.rate:
                yield asdict(line.measure(interval, rate, options.seconds))
            line.close()


def _addresses(
    broker: KafkaBroker, cores: Cores, options: argparse.Namespace
) -> Iterator[dict[str, Any]]:
    for addresses in options.addresses:
        with running(broker, cores, OURS, "exactly-once") as one:
            line = one.line(addresses)
            warmup = max(addresses, 50_000)
            counts = [warmup] + [options.messages] * options.rounds
            rows = [
                line.measure(addresses, number, count, timeout_s=max(600, count / 5000))
                for number, count in enumerate(counts)
            ]
            assert all(row.is_right() for row in rows), "counts are wrong"
            yield {
                "whose": OURS,
                "addresses": addresses,
                "cpu_us": statistics.median(row.cpu_us["worker"] for row in rows[1:]),
                "per_s": round(statistics.median(row.steady_per_s for row in rows[1:])),
                "peak_mb": max(row.worker_memory["peak_mb"] for row in rows),
            }


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="curves", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("what", nargs="*", choices=["rate", "addresses"])
    parser.add_argument("--seconds", type=float, default=5.0, help="of each rate")
    parser.add_argument("--rate", nargs="+", type=float, default=[10, 50, 100, 500, 1000])
    parser.add_argument("--interval", nargs="+", default=["20ms", "50ms", "100ms", "1s"])
    parser.add_argument("--original-interval", default="1s", help="'' leaves the original out")
    parser.add_argument(
        "--addresses",
        nargs="+",
        type=int,
        default=[10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000],
    )
    parser.add_argument("--messages", type=int, default=200_000, help="per round, by addresses")
    parser.add_argument("--rounds", type=int, default=2)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
