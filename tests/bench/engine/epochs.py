"""The price of an epoch: worker's CPU and latency at steady rates and short checkpoint intervals, exactly-once.

    python -m tests.bench.engine.epochs [--python PYTHON] [--pairs N] [--rate N …] [--interval D …] [--seconds S] [--partitions N]

Each cell is a rate of messages and a checkpoint interval: how much of a core the worker takes, what a checkpoint costs of
that, and how long a message takes from its producer to a reader that is read_committed. With PYTHON, the interpreter of
another checkout's .venv, its worker is measured in turn with ours, in the same broker, and the ratio is told.

Prints one JSON line per run, the table comes last.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import threading
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from confluent_kafka import Consumer, TopicPartition

from tests.bench.bench import MODULE, WORKER_ARGS, worker_arguments
from tests.bench.isolation import Ends, Pace
from tests.bench.rig import FNSERVER, Cores, function_server, machine, take_cores
from tests.support.kafka.broker import KafkaBroker
from tests.support.meter import Meter
from tests.support.provisions import Unavailable
from tests.support.worker import Worker

CHECKPOINTS = "statefun_checkpoints_completed"
THEIRS, OURS = "theirs", "ours"


@dataclass(frozen=True, slots=True)
class Cell:
    """What one steady rate costs with one interval."""

    whose: str
    interval: str
    rate: float
    cpu_percent: float
    epochs_per_s: float
    p50_ms: float
    p99_ms: float
    broker_percent: float
    load: float


class CommittedEnds(Ends):
    """Reads what came out of committed transactions only."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": uuid.uuid4().hex,
                "fetch.wait.max.ms": 5,
                "isolation.level": "read_committed",
                "log_level": 0,
            }
        )
        self._consumer.assign([TopicPartition(topic, 0, 0)])

    def is_empty(self) -> bool:
        """Look once; return whether nothing is there."""
        return self._consumer.poll(1.0) is None


class Line:
    """A running worker, and a producer and a reader at its ends."""

    def __init__(self, whose: str, worker: Worker, broker: KafkaBroker, topics: tuple[str, str]):
        self._whose = whose
        self._worker = worker
        self._broker = broker
        self._into, self._out = topics
        self._pace = Pace(broker.bootstrap)
        self._ends = CommittedEnds(broker.bootstrap, self._out)

    def measure(self, interval: str, rate: float, seconds: float) -> Cell:
        """Send at a rate for so long; return what that took."""
        meter = Meter({"worker": self._worker.pid, "broker": self._broker.pid})
        sender = threading.Thread(
            target=lambda: self._pace.run(self._into, rate=rate, seconds=seconds)
        )
        began = self._checkpoints()
        meter.start()
        sender.start()
        found = sorted(self._ends.latencies_ms(int(rate * seconds)))
        usage = meter.stop()
        sender.join()
        shares = usage.cpu_shares()
        return Cell(
            self._whose,
            interval,
            rate,
            round(shares["worker"] * 100, 1),
            round((self._checkpoints() - began) / usage.wall_s, 1),
            round(found[len(found) // 2], 1),
            round(found[int(len(found) * 0.99)], 1),
            round(shares["broker"] * 100, 1),
            round(os.getloadavg()[0], 1),
        )

    def _checkpoints(self) -> float:
        return sum(
            value for name, value in self._worker.metrics().items() if name.startswith(CHECKPOINTS)
        )

    def close(self) -> None:
        self._ends.close()


@contextmanager
def line(
    broker: KafkaBroker,
    cores: Cores,
    interval: str,
    python: Path | None,
    options: argparse.Namespace,
) -> Iterator[Line]:
    """Run a fresh worker and function server on fresh topics."""
    topics = broker.unique_topic("names", options.partitions), broker.unique_topic("greetings")
    with (
        tempfile.TemporaryDirectory(prefix="epochs-", dir=options.folder) as folder,
        function_server(FNSERVER, topics[1], Path(folder)) as (_, port),
    ):
        module = MODULE.format(
            function_port=port,
            bootstrap=broker.bootstrap,
            names=topics[0],
            delivery="exactly-once",
        )
        module += "    transactionTimeout: 15min\n"
        worker = Worker(
            module,
            Path(folder),
            arguments=[
                "--checkpoint-interval",
                interval,
                *worker_arguments(options.worker_args, broker, Path(folder)),
            ],
            # Another checkout's package, not the one of the folder that this runs in.
            env={"PYTHONSAFEPATH": "1"},
            cpus=cores.worker,
            python=python,
        )
        try:
            running = Line(THEIRS if python else OURS, worker.start(), broker, topics)
            running.measure(interval, 200, options.warmup)
            yield running
            running.close()
        finally:
            worker.close()


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parse(arguments)
    cores = take_cores()
    print(json.dumps({"machine": machine()}), flush=True)
    cells: list[Cell] = []
    try:
        with KafkaBroker() as broker:
            for cell in _cells(broker, cores, options):
                print(json.dumps(asdict(cell)), flush=True)
                cells.append(cell)
    except Unavailable as error:
        print(error, file=sys.stderr)
        return 1
    print(table(cells))
    return 0


def _cells(broker: KafkaBroker, cores: Cores, options: argparse.Namespace) -> Iterator[Cell]:
    sides: list[Path | None] = [options.python, None] if options.python else [None]
    for number in range(options.pairs):
        for interval in options.interval:
            for python in sides if number % 2 == 0 else reversed(sides):
                with line(broker, cores, interval, python, options) as running:
                    for rate in options.rate:
                        yield running.measure(interval, rate, options.seconds)


def table(cells: Sequence[Cell]) -> str:
    """Return a line per interval and rate, with the medians of its runs."""
    heads = (
        f"{'interval':>8} {'rate':>6} {'whose':>7} {'CPU %':>6} {'epochs/s':>8} {'ms an epoch':>11}"
    )
    lines = [f"{heads} {'p50 ms':>7} {'p99 ms':>7} {'ratio of CPU':>12}"]
    for interval, rate in dict.fromkeys((cell.interval, cell.rate) for cell in cells):
        percents: dict[str, list[float]] = {}
        for whose in (THEIRS, OURS):
            mine = [c for c in cells if (c.interval, c.rate, c.whose) == (interval, rate, whose)]
            if not mine:
                continue
            percents[whose] = [cell.cpu_percent for cell in mine]
            cpu, epochs, p50, p99 = (
                statistics.median(getattr(cell, name) for cell in mine)
                for name in ("cpu_percent", "epochs_per_s", "p50_ms", "p99_ms")
            )
            each = cpu * 10 / epochs if epochs else 0.0
            lines.append(
                f"{interval:>8} {rate:>6g} {whose:>7} {cpu:>6.1f} {epochs:>8.1f} {each:>11.1f}"
                f" {p50:>7.1f} {p99:>7.1f} {_ratio(percents):>12}"
            )
    return "\n".join(lines)


def _ratio(percents: dict[str, list[float]]) -> str:
    if len(percents) < 2:
        return ""
    pairs = zip(percents[THEIRS], percents[OURS], strict=True)
    return f"{statistics.median(ours / theirs for theirs, ours in pairs):.2f}"


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="epochs", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--python", type=Path, help="of another checkout, to measure its worker")
    parser.add_argument("--pairs", type=int, default=1, help="how often the whole of it is done")
    parser.add_argument("--seconds", type=float, default=10.0, help="length of each run")
    parser.add_argument("--warmup", type=float, default=3.0, help="seconds before the first run")
    parser.add_argument("--rate", nargs="+", type=float, default=[10, 50, 100, 500, 1000])
    parser.add_argument("--interval", nargs="+", default=["20ms", "50ms", "100ms", "1s"])
    parser.add_argument("--partitions", type=int, default=1, help="of the topic that is read")
    parser.add_argument("--worker-args", default="", help=WORKER_ARGS)
    parser.add_argument(
        "--folder", type=Path, help="for the state, instead of the default for temporary files"
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
