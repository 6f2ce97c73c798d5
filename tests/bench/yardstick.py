"""Drives the yardstick: the bench.py and fnstatic.c that measured the original, from the directory given.

    python -m tests.bench.yardstick DIR [--messages N] [--rounds N] [--delivery …] [--worker-args "…"]

Prints the JSON lines of its `drain` (three numbers of addresses, warm), `latency` and `idle`.
"""

import argparse
import json
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.bench.rig import Cores, function_server, machine, take_cores
from tests.support.kafka.broker import KafkaBroker
from tests.support.provisions import Unavailable
from tests.support.worker import Worker

PARTITIONS = 4
ADDRESSES = (100_000, 1_000, 10)
WARMUP = 100_000


@dataclass(frozen=True, slots=True)
class Subject:
    """A running worker as the yardstick's driver wants to know it."""

    driver: Path
    bootstrap: str
    names: str
    greetings: str
    pids: tuple[str, ...]
    reads_uncommitted: bool

    def measure(self, what: str, *arguments: str | int) -> str:
        """Run one measurement; return its JSON lines."""
        command = [sys.executable, str(self.driver), what, "--bootstrap", self.bootstrap]
        command += ["--names-topic", self.names, "--out-topic", self.greetings]
        command += ["--pids", *self.pids, *(str(argument) for argument in arguments)]
        if self.reads_uncommitted:
            command.append("--uncommitted")
        return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parse(arguments)
    cores = take_cores()
    print(json.dumps({"machine": machine(), "delivery": options.delivery}), flush=True)
    try:
        with KafkaBroker() as broker:
            for measure in (_drain, _latency, _idle):
                measure(broker, cores, options)
    except (Unavailable, subprocess.CalledProcessError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _drain(broker: KafkaBroker, cores: Cores, options: argparse.Namespace) -> None:
    for addresses in options.addresses:
        with subject(broker, cores, options) as one:
            keys = ("--keys", addresses, "--label", f"{addresses} addresses")
            one.measure("drain", "--messages", WARMUP, *keys)
            rounds = ("--messages", options.messages, "--rounds", options.rounds)
            print(one.measure("drain", *rounds, *keys, "--settle", 1), end="", flush=True)


def _latency(broker: KafkaBroker, cores: Cores, options: argparse.Namespace) -> None:
    with subject(broker, cores, options) as one:
        keys = ("--keys", 1_000)
        one.measure("drain", "--messages", WARMUP, *keys)
        pace = ("--rate", options.rate, "--seconds", options.seconds)
        print(one.measure("latency", *pace, *keys), end="", flush=True)


def _idle(broker: KafkaBroker, cores: Cores, options: argparse.Namespace) -> None:
    with subject(broker, cores, options) as one:
        print(one.measure("idle", "--seconds", 20, "--label", "fresh"), end="", flush=True)
        one.measure("drain", "--messages", WARMUP, "--keys", 100_000)
        print(one.measure("idle", "--seconds", 20, "--label", "after work"), end="", flush=True)


@contextmanager
def subject(broker: KafkaBroker, cores: Cores, options: argparse.Namespace) -> Iterator[Subject]:
    """Run a fresh worker on fresh topics, with the yardstick's module and function server."""
    names = broker.unique_topic("names", PARTITIONS)
    run = names.removeprefix("names-")
    greetings = broker.create_topic(f"greetings-{run}", PARTITIONS)
    with (
        tempfile.TemporaryDirectory(prefix="statefun-yardstick-") as folder,
        function_server(options.directory / "fnstatic.c", greetings, Path(folder)) as served,
    ):
        function, port = served
        module = filled(
            (options.directory / "module.yaml.in").read_text(),
            function_port=port,
            bootstrap=broker.bootstrap,
            run=run,
            delivery=options.delivery,
        )
        extra = shlex.split(options.worker_args)
        worker = Worker(module, Path(folder), arguments=extra, cpus=cores.worker)
        try:
            worker.start()
            # The first group is the one that the driver freezes while it preloads.
            pids = (f"worker={worker.pid}", f"function={function.pid}")
            yield Subject(
                driver=options.directory / "bench.py",
                bootstrap=broker.bootstrap,
                names=names,
                greetings=greetings,
                pids=(*pids, f"kafka={broker.pid}") if broker.is_ours else pids,
                reads_uncommitted=options.delivery != "exactly-once",
            )
        except subprocess.CalledProcessError:
            print(worker.output()[-3000:], file=sys.stderr)
            raise
        finally:
            worker.close()


def filled(template: str, *, function_port: int, bootstrap: str, run: str, delivery: str) -> str:
    """Return the module that the yardstick's template makes."""
    timeout = "    transactionTimeout: 15min" if delivery == "exactly-once" else ""
    values = {
        "@FN@": str(function_port),
        # The template has the host, 127.0.0.1, itself.
        "@KPORT@": bootstrap.rpartition(":")[2],
        "@RUN@": run,
        "@TRANSPORT@": "async",
        "@SEM@": delivery,
        "@TXT@": timeout,
        "@BATCH@": "",
    }
    for mark, value in values.items():
        template = template.replace(mark, value)
    return template


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="yardstick", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("directory", type=Path, help="has bench.py, fnstatic.c, module.yaml.in")
    parser.add_argument("--messages", type=int, default=300_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--addresses", type=int, nargs="+", default=ADDRESSES)
    parser.add_argument("--rate", type=int, default=500, help="messages/s of the latency run")
    parser.add_argument("--seconds", type=int, default=30, help="length of the latency run")
    parser.add_argument(
        "--delivery", choices=["none", "at-least-once", "exactly-once"], default="at-least-once"
    )
    parser.add_argument("--worker-args", default="")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
