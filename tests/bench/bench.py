"""`make bench`: Kafka → worker → HTTP → worker → Kafka, with a function server that is not the limit.

The topics are preloaded while the worker is frozen, so a round measures the
worker at full speed: CPU per message of every process group, throughput, memory,
which core had nothing left, and whether every key was counted right.

    python -m tests.bench.bench [--messages N] [--rounds N] [--addresses N …]
        [--delivery none|at-least-once|exactly-once] [--worker-args "…"]
        [--function c|serve|aiohttp|stock|javascript|go|embedded|embedded-2|in-process]

The functions are a program in C, or with one of our SDKs: Python under `statefun serve`, JavaScript and Go take many addresses
in one request, Python under aiohttp is asked for each; `stock` is the same program with the stock SDK. `embedded` has the worker run them, in one process of their own that gets the
core of the rest, `embedded-2` in two; `in-process` in the worker itself.

Prints one JSON line per round, the table comes last.
"""

import argparse
import json
import os
import shlex
import statistics
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.bench.load import Collector, CountCheck, Feed
from tests.bench.rig import (
    FNSERVER,
    Cores,
    frozen,
    function_server,
    machine,
    sdk_functions,
    take_cores,
)
from tests.support.kafka.broker import KafkaBroker
from tests.support.meter import Meter, process_tree, tree_memory_mb
from tests.support.processes import Process
from tests.support.provisions import Unavailable
from tests.support.sockets import http_get
from tests.support.worker import Worker

PARTITIONS = 4
REMOTE = """\
kind: io.statefun.endpoints.v2/http
spec:
  functions: demo/*
  urlPathTemplate: http://127.0.0.1:{function_port}/statefun
  transport:
    type: io.statefun.transports.v1/async
"""
EMBEDDED = """\
kind: io.statefun.endpoints.v1/python
spec:
  functions: demo/*
  module: tests.bench.functions.greeter
  processes: {processes}
"""
# How many processes of the worker's own serve the functions.
PROCESSES = {"embedded": 1, "embedded-2": 2, "in-process": 0}
KAFKA = """\
---
kind: io.statefun.kafka.v1/ingress
spec:
  id: demo.io/in
  address: {bootstrap}
  consumerGroupId: bench-{names}
  startupPosition:
    type: earliest
  topics:
    - topic: {names}
      valueType: demo.types/Name
      targets:
        - demo/greeter
---
kind: io.statefun.kafka.v1/egress
spec:
  id: demo.io/out
  address: {bootstrap}
  deliverySemantic:
    type: {delivery}
"""


MODULE = REMOTE + KAFKA


WORKER_ARGS = (
    'as in --worker-args="--partitions 2"; {kafka} stands for the broker, {folder} for a folder as a URL, as in '
    '"--workers 2 --cluster bench --kafka {kafka} --checkpoints {folder}/shared"'
)


@dataclass(frozen=True, slots=True)
class Round:
    """One row of the result; times are CPU microseconds per message."""

    addresses: int
    round: int
    messages: int
    received: int
    first_s: float
    per_s: int
    steady_per_s: float
    cpu_us: dict[str, float]
    shares: dict[str, float]
    batch_mean: float
    worker_memory: dict[str, float]
    saturated: str
    wrong_keys: int

    def is_right(self) -> bool:
        return self.received == self.messages and not self.wrong_keys


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parse(arguments)
    cores = take_cores()
    print(json.dumps({"machine": machine(), "delivery": options.delivery}), flush=True)
    rounds: list[Round] = []
    try:
        with KafkaBroker() as broker:
            for addresses in options.addresses:
                for row in rounds_of(broker, cores, addresses, options):
                    print(json.dumps(asdict(row)), flush=True)
                    rounds.append(row)
    except Unavailable as error:
        print(error, file=sys.stderr)
        return 1
    print(table(rounds))
    wrong = [row for row in rounds if not row.is_right()]
    if wrong:
        print(f"{len(wrong)} rounds have wrong counts", file=sys.stderr)
    return 1 if wrong else 0


class Line:
    """A running pipeline with both its ends, for one number of addresses."""

    def __init__(
        self,
        worker: Worker,
        *,
        feed: Feed,
        collector: Collector,
        function_port: int | None,
        others: Mapping[str, int | Sequence[int]],
        cores: Cores,
    ) -> None:
        self.worker = worker
        self._feed = feed
        self._collector = collector
        self._function_port = function_port
        self._groups = {"worker": worker.pid, **others}
        self._owners = cores.owners()
        self._check = CountCheck()

    def measure(self, addresses: int, number: int, messages: int, *, timeout_s: float) -> Round:
        """Preload, let go, and wait for all results."""
        meter = Meter(self._groups)
        with frozen(self.worker.pid):
            self._feed.preload(messages)
            self._function_stats()
            meter.start()
        arrivals = self._collector.collect(
            messages, timeout_s=timeout_s, is_alive=lambda: self.worker.process.exit_status is None
        )
        usage = meter.stop()
        stats = self._function_stats()
        records = arrivals.records + self._collector.surplus()
        self._check.add(records)
        return Round(
            addresses=addresses,
            round=number,
            messages=messages,
            received=len(records),
            first_s=round(arrivals.first_s, 3),
            per_s=arrivals.per_s(),
            steady_per_s=arrivals.steady_per_s,
            cpu_us=usage.cpu_us_per(len(records)),
            shares=usage.cpu_shares(),
            batch_mean=round(stats["invocations"] / max(1, stats["requests"]), 1),
            worker_memory=tree_memory_mb(self.worker.pid),
            saturated=usage.saturated(self._owners),
            wrong_keys=len(self._check.wrong_keys()),
        )

    def _function_stats(self) -> dict[str, int]:
        # Only the one in C counts.
        nothing = {"invocations": 0, "requests": 0}
        if self._function_port is None:
            return nothing
        answer = http_get(f"http://127.0.0.1:{self._function_port}/stats")
        assert answer is not None, "the function server does not answer"
        if answer[0] != 200:
            return nothing
        stats: dict[str, int] = json.loads(answer[1])
        return stats


def rounds_of(
    broker: KafkaBroker, cores: Cores, addresses: int, options: argparse.Namespace
) -> Iterator[Round]:
    """Measure one number of addresses; the warm-up is a round only when it goes wrong."""
    with line(broker, cores, addresses, options) as running:
        for number in range(options.rounds + 1):
            messages = options.messages if number else options.warmup
            row = running.measure(addresses, number, messages, timeout_s=options.timeout)
            if number or not row.is_right():
                yield row
            if row.received < messages:
                print(running.worker.output()[-3000:], file=sys.stderr)
                return


@contextmanager
def line(
    broker: KafkaBroker, cores: Cores, addresses: int, options: argparse.Namespace
) -> Iterator[Line]:
    """Run a fresh worker and function server on fresh topics."""
    names = broker.unique_topic("names", PARTITIONS)
    greetings = broker.unique_topic("greetings", PARTITIONS)
    is_committed = options.delivery == "exactly-once"
    with (
        tempfile.TemporaryDirectory(prefix="statefun-bench-") as folder,
        _functions(options, greetings, Path(folder)) as (functions, port),
    ):
        module = _endpoint(options, port) + KAFKA.format(
            bootstrap=broker.bootstrap,
            names=names,
            delivery=options.delivery,
        )
        if is_committed:
            module += "    transactionTimeout: 15min\n"
        extra = worker_arguments(options.worker_args, broker, Path(folder))
        worker = Worker(
            module,
            Path(folder),
            arguments=extra,
            # Another checkout's package, not the one of the folder that this runs in.
            env={"PYTHONSAFEPATH": "1", "BENCH_TOPIC": greetings},
            cpus=cores.worker,
            python=options.python,
        )
        others: dict[str, int | Sequence[int]] = {"driver": os.getpid()}
        if broker.is_ours:
            others["broker"] = broker.pid
        collector = Collector(broker.bootstrap, greetings, is_committed=is_committed)
        try:
            worker.start()
            others["function"] = [functions.pid] if functions else _children(worker, cores)
            yield Line(
                worker,
                feed=Feed(broker.bootstrap, names, addresses=addresses),
                collector=collector,
                function_port=port,
                others=others,
                cores=cores,
            )
        finally:
            collector.close()
            worker.close()


def _functions(
    options: argparse.Namespace, topic: str, folder: Path
) -> AbstractContextManager[tuple[Process | None, int | None]]:
    kind = getattr(options, "function", "c")
    if kind in PROCESSES:
        return nullcontext((None, None))
    if kind == "c":
        return function_server(FNSERVER, topic, folder)
    return sdk_functions(kind, topic, folder)


def worker_arguments(text: str, broker: KafkaBroker, folder: Path) -> list[str]:
    """Return what is given to the worker; {kafka} and {folder} in it are this round's."""
    return shlex.split(text.format(kafka=broker.bootstrap, folder=folder.as_uri()))


def _endpoint(options: argparse.Namespace, port: int | None) -> str:
    if port is not None:
        return REMOTE.format(function_port=port)
    return EMBEDDED.format(processes=PROCESSES[options.function])


def _children(worker: Worker, cores: Cores) -> list[int]:
    """Return the processes that a worker runs functions in; they get the core that is not the worker's."""
    children = [pid for pid in process_tree(worker.pid) if pid != worker.pid]
    for pid in children:
        os.sched_setaffinity(pid, cores.rest or os.sched_getaffinity(0))
    return children


def table(rounds: Sequence[Round]) -> str:
    """Return one line per number of addresses, with the median of its rounds."""
    heads = ["addresses", "messages/s", "worker µs", "function µs", "broker µs", "driver µs"]
    heads += ["batch", "worker MB", "counts", "saturated"]
    rows = [heads]
    for addresses in dict.fromkeys(row.addresses for row in rounds):
        mine = [row for row in rounds if row.addresses == addresses]
        cpu = [
            _median(row.cpu_us.get(group, 0.0) for row in mine)
            for group in ("worker", "function", "broker", "driver")
        ]
        rows.append(
            [
                f"{addresses:,}",
                f"{statistics.median(row.per_s for row in mine):,.0f}",
                *cpu,
                _median(row.batch_mean for row in mine),
                f"{max(row.worker_memory['peak_mb'] for row in mine):.0f}",
                "right" if all(row.is_right() for row in mine) else "WRONG",
                mine[-1].saturated,
            ]
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(heads))]
    return "\n".join(
        "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        for row in rows
    )


def _median(values: Iterator[float]) -> str:
    return f"{statistics.median(values):.1f}"


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--messages", type=int, default=200_000, help="per round")
    parser.add_argument("--rounds", type=int, default=3, help="the table has their median")
    parser.add_argument("--warmup", type=int, default=100_000, help="messages before round 1")
    parser.add_argument("--addresses", type=int, nargs="+", default=[100_000, 1_000, 10])
    parser.add_argument(
        "--delivery", choices=["none", "at-least-once", "exactly-once"], default="at-least-once"
    )
    parser.add_argument("--worker-args", default="", help=WORKER_ARGS)
    parser.add_argument(
        "--function",
        choices=["c", "serve", "aiohttp", "stock", "javascript", "go", *PROCESSES],
        default="c",
    )
    parser.add_argument("--python", type=Path, help="of another checkout, to measure its worker")
    parser.add_argument("--timeout", type=float, default=300.0, help="seconds for a round")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
