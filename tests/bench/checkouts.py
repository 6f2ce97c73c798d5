"""This checkout's worker beside another's: paired runs of the yardstick's job, in one broker.

    python -m tests.bench.checkouts PYTHON [--pairs N] [--messages N] [--addresses N …] [--worker-args "…"]
        [--function c|embedded|embedded-2|in-process]

PYTHON is the interpreter of the other checkout's .venv. A pair is a run of the other's worker and one of ours, in turn
first. What the worker runs of functions is the other's SDK with the other's worker. Prints one JSON line per pair, then medians of what a message costs, of peak memory, and of the ratios of the
pairs; the exit status is 1 if a ratio of costs is over --limit.
"""

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.bench import bench
from tests.bench.rig import Cores, machine, take_cores
from tests.support.kafka.broker import KafkaBroker
from tests.support.provisions import Unavailable

Cost = dict[str, float]


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parse(arguments)
    theirs, ours = (_code_of(python) for python in (options.python, Path(sys.executable)))
    if theirs == ours:
        print(f"both interpreters run the code in {ours}", file=sys.stderr)
        return 2
    print(json.dumps({"machine": machine(), "delivery": options.delivery}), flush=True)
    cores = take_cores()
    try:
        with KafkaBroker() as broker:
            results = [_told(broker, cores, number, options) for number in options.addresses]
    except Unavailable as error:
        print(error, file=sys.stderr)
        return 1
    return 0 if all(results) else 1


def _code_of(python: Path) -> Path:
    """Return the folder of the runtime that an interpreter runs, where a worker is started as the tests do it."""
    said = "import statefun_runtime; print(statefun_runtime.__path__[0])"
    command = [python, "-P", "-c", said]
    answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return Path(answer.stdout.strip())


def _told(broker: KafkaBroker, cores: Cores, addresses: int, options: argparse.Namespace) -> bool:
    """Measure and print all pairs of one number of addresses; return whether ours costs little more."""
    theirs: list[Cost] = []
    ours: list[Cost] = []
    for number in range(options.pairs):
        sides = [(theirs, options.python), (ours, None)]
        for costs, python in sides if number % 2 == 0 else reversed(sides):
            costs.append(_cost(broker, cores, addresses, python, options))
        pair = {"addresses": addresses, "pair": number + 1, "theirs": theirs[-1], "ours": ours[-1]}
        print(json.dumps(pair), flush=True)
    told = {
        what: {
            "theirs": round(statistics.median(one[what] for one in theirs), 2),
            "ours": round(statistics.median(one[what] for one in ours), 2),
            "ratio": round(
                statistics.median(
                    mine[what] / other[what] for other, mine in zip(theirs, ours, strict=True)
                ),
                3,
            ),
        }
        for what in theirs[0]
    }
    print(json.dumps({"addresses": addresses, **told}), flush=True)
    return told["cpu_us"]["ratio"] <= options.limit


def _cost(
    broker: KafkaBroker,
    cores: Cores,
    addresses: int,
    python: Path | None,
    options: argparse.Namespace,
) -> Cost:
    asked = argparse.Namespace(
        delivery=options.delivery,
        worker_args=options.worker_args,
        python=python,
        messages=options.messages,
        warmup=options.messages // 3,
        rounds=1,
        function=options.function,
        timeout=120.0,
    )
    (row,) = bench.rounds_of(broker, cores, addresses, asked)
    assert row.is_right(), f"counts are wrong: {row}"
    cost = {"cpu_us": row.cpu_us["worker"], "peak_mb": row.worker_memory["peak_mb"]}
    if bench.PROCESSES.get(options.function):
        cost["function_us"] = row.cpu_us["function"]
    return cost


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="checkouts", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("python", type=Path, help="the interpreter of the other checkout's .venv")
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--messages", type=int, default=300_000)
    parser.add_argument("--addresses", nargs="+", type=int, default=[100_000, 1_000, 10])
    parser.add_argument("--delivery", default="exactly-once")
    parser.add_argument("--worker-args", default="")
    parser.add_argument("--function", choices=["c", *bench.PROCESSES], default="c")
    parser.add_argument("--limit", type=float, default=1.03)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
