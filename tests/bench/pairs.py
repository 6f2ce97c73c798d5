"""What exactly-once costs beside at-least-once: paired runs of the yardstick's job, in one broker.

    python -m tests.bench.pairs [--pairs N] [--messages N] [--interval D …] [--addresses N …]

A pair is a run of at-least-once with a checkpoint every second, and one of exactly-once with each interval. Prints one
JSON line per pair and a table of medians; the exit status is 1 if an aim is missed.
"""

import argparse
import json
import statistics
import sys
from collections.abc import Sequence

from tests.bench import bench
from tests.bench.rig import Cores, machine, take_cores
from tests.support.kafka.broker import KafkaBroker
from tests.support.provisions import Unavailable

# CPU microseconds of the worker per message with exactly-once, and how often that of at-least-once.
AIMS_US = {100_000: 50.0, 1_000: 20.0, 10: 9.0}
RATIOS = {"1s": 1.2, "100ms": 1.5}


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parse(arguments)
    print(json.dumps({"machine": machine()}), flush=True)
    cores = take_cores()
    try:
        with KafkaBroker() as broker:
            results = [_told(broker, cores, a, options) for a in options.addresses]
    except Unavailable as error:
        print(error, file=sys.stderr)
        return 1
    return 0 if all(results) else 1


def _told(broker: KafkaBroker, cores: Cores, addresses: int, options: argparse.Namespace) -> bool:
    """Measure and print all pairs of one number of addresses; return whether the aims are met."""
    pairs: list[dict[str, float]] = []
    for number in range(options.pairs):
        pair = {"at-least-once": _cpu_us(broker, cores, addresses, "at-least-once", "1s", options)}
        for interval in options.interval:
            pair[interval] = _cpu_us(broker, cores, addresses, "exactly-once", interval, options)
        pairs.append(pair)
        print(json.dumps({"addresses": addresses, "pair": number + 1, "cpu_us": pair}), flush=True)
    medians = {name: statistics.median(pair[name] for pair in pairs) for name in pairs[0]}
    ratios = {
        interval: statistics.median(pair[interval] / pair["at-least-once"] for pair in pairs)
        for interval in options.interval
    }
    good = all(ratios[i] <= RATIOS.get(i, 1.5) for i in ratios) and (
        "1s" not in medians or medians["1s"] <= AIMS_US.get(addresses, 1e9)
    )
    print(
        json.dumps(
            {
                "addresses": addresses,
                "median_cpu_us": {name: round(one, 1) for name, one in medians.items()},
                "median_ratio": {name: round(one, 2) for name, one in ratios.items()},
                "within_aims": good,
            }
        ),
        flush=True,
    )
    return good


def _cpu_us(
    broker: KafkaBroker,
    cores: Cores,
    addresses: int,
    delivery: str,
    interval: str,
    options: argparse.Namespace,
) -> float:
    asked = argparse.Namespace(
        delivery=delivery,
        python=None,
        worker_args=f"--checkpoint-interval {interval}",
        messages=options.messages,
        warmup=options.messages // 3,
        rounds=1,
        timeout=120.0,
    )
    (row,) = bench.rounds_of(broker, cores, addresses, asked)
    assert row.is_right(), f"counts are wrong: {row}"
    return row.cpu_us["worker"]


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="pairs", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--messages", type=int, default=300_000)
    parser.add_argument("--interval", nargs="+", default=["1s", "100ms"])
    parser.add_argument("--addresses", nargs="+", type=int, default=[100_000, 1_000, 10])
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
