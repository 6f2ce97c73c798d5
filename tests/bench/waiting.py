"""What much that waits costs: a million delayed messages, and a million messages at one address.

    python -m tests.bench.waiting [--delayed N] [--waiting N] [--epochs N] [--interval D]

Before both, between them and after them 1,000 addresses change per epoch: the durations of these checkpoints are
compared. Prints one JSON line per station and one with the ratios; the exit status is 1 if a checkpoint takes more than
twice as long, or the worker more memory than it may.
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from confluent_kafka import Producer
from statefun._wire import FromFunction

from tests.bench.checkpoints import _percentile
from tests.bench.rig import machine
from tests.support.http.faulty_process import FaultyProcess
from tests.support.kafka.broker import KafkaBroker
from tests.support.meter import tree_memory_mb
from tests.support.metrics import Samples
from tests.support.processes import wait_until
from tests.support.provisions import Unavailable
from tests.support.wire_builders import Request, incomplete, typed
from tests.support.worker import Worker

RATIO_MAX, MEMORY_MB_MAX = 2.0, 800.0
CHANGED, PER_REPLY = 1_000, 1_000
HOT = "hot"
MODULE = """\
kind: io.statefun.endpoints.v2/http
spec:
  functions: t/f
  urlPathTemplate: {url}
  transport: {{call: 1h}}
---
kind: io.statefun.kafka.v1/ingress
spec:
  id: t/in
  address: {bootstrap}
  consumerGroupId: waiting
  startupPosition: {{type: earliest}}
  topics:
    - topic: {topic}
      valueType: t/text
      targets: [t/f]
"""


async def handle(body: bytes) -> bytes:
    """Count what came; `delay` sends a thousand messages for later; the hot address never answers."""
    request = Request(body)
    if request.id == HOT:
        await asyncio.sleep(3600)
    if "seen" not in request.state:
        return incomplete("seen")
    reply = FromFunction()
    result = reply.invocation_result
    seen = int(request.state["seen"] or b"0") + len(request.values)
    for value in request.values:
        for number in range(PER_REPLY if value == b"delay" else 0):
            delayed = result.delayed_invocations.add(delay_in_ms=3_600_000)
            target = delayed.target
            target.namespace, target.type, target.id = "t", "f", f"later-{number}"
            delayed.argument.CopyFrom(typed(b"x" * 40))
    mutation = result.state_mutations.add(mutation_type=1, state_name="seen")
    mutation.state_value.CopyFrom(typed(str(seen).encode()))
    return reply.SerializeToString()


class Bench:
    """A worker and what is sent to it."""

    def __init__(self, worker: Worker, broker: KafkaBroker, topic: str) -> None:
        self._worker = worker
        self._topic = topic
        self._producer = Producer({"bootstrap.servers": broker.bootstrap, "linger.ms": 20})
        self._stations: dict[str, dict[str, float]] = {}

    def send(self, key: str, value: bytes) -> None:
        while True:
            try:
                self._producer.produce(self._topic, value, key)
                return
            except BufferError:
                self._producer.poll(0.05)

    def flush(self) -> None:
        assert not self._producer.flush(300)

    def total(self, name: str) -> float:
        return wait_until(self._worker_metrics, "an answer of the worker").total(name)

    def _worker_metrics(self) -> Samples | None:
        """Return what the worker says of itself, unless it is too busy to."""
        try:
            return self._worker.metrics()
        except AssertionError:
            return None

    def changes(self, station: str, epochs: int) -> dict[str, float]:
        """Change 1,000 addresses per epoch; return how long the checkpoints took."""
        self._settled()
        before = wait_until(self._worker_metrics, "an answer")
        for _ in range(epochs):
            began = self.total("statefun_functions_in_total")
            for number in range(CHANGED):
                self.send(f"{number}", b"x")
            self.flush()
            self._await("statefun_functions_in_total", began + CHANGED)
            self._settled()
        numbers = self._numbers(before)
        print(json.dumps({"station": station, **numbers}), flush=True)
        return numbers

    def filled(self, station: str, metric: str, count: int) -> dict[str, float]:
        """Wait until so many are there; return memory, and how checkpoints went meanwhile."""
        before, begin_s = wait_until(self._worker_metrics, "an answer"), time.perf_counter()
        self.flush()
        wait_until(lambda: self.total(metric) >= count, station, timeout_s=900)
        self._settled()
        numbers = self._numbers(before) | {"seconds": round(time.perf_counter() - begin_s, 1)}
        print(json.dumps({"station": station, **numbers}), flush=True)
        return numbers

    def _await(self, metric: str, count: float) -> None:
        wait_until(lambda: self.total(metric) >= count, f"{count} as {metric}", timeout_s=60)

    def _settled(self) -> None:
        wait_until(lambda: self.total("statefun_unsaved_bytes") == 0, "a checkpoint", timeout_s=300)

    def _numbers(self, before: Samples) -> dict[str, float]:
        after = wait_until(self._worker_metrics, "an answer")
        count = _gained("statefun_checkpoint_duration_ms_count", before, after)
        mean_ms = _gained("statefun_checkpoint_duration_ms_sum", before, after) / max(1.0, count)
        p99_ms = _percentile("statefun_checkpoint_duration_ms", 0.99, before, after)
        pause_ms = _percentile("statefun_checkpoint_pause_ms", 0.99, before, after)
        rss_mb = tree_memory_mb(self._worker.pid)["rss_mb"]
        return {
            "mean_ms": round(mean_ms, 1),
            "p99_ms_at_most": p99_ms,
            "pause_ms_p99_at_most": pause_ms,
            "rss_mb": round(rss_mb),
        }


def _gained(name: str, before: Samples, after: Samples) -> float:
    return after.total(name) - before.total(name)


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parse(arguments)
    print(json.dumps({"machine": machine(), "driver": os.getpid()}), flush=True)
    try:
        with KafkaBroker() as broker, tempfile.TemporaryDirectory(prefix="waiting-") as folder:
            return _measure(broker, Path(folder), options)
    except Unavailable as error:
        print(error, file=sys.stderr)
        return 1


def _measure(broker: KafkaBroker, folder: Path, options: argparse.Namespace) -> int:
    topic = broker.unique_topic("in", 4)
    served = FaultyProcess("tests.bench.waiting:handle", folder)
    module = MODULE.format(url=served.url, bootstrap=broker.bootstrap, topic=topic)
    worker = Worker(module, folder, arguments=["--checkpoint-interval", options.interval]).start()
    try:
        bench = Bench(worker, broker, topic)
        alone = bench.changes("1,000 changed per epoch, nothing waits", options.epochs)
        for number in range(options.delayed // PER_REPLY):
            bench.send(f"delayer-{number}", b"delay")
        delayed = bench.filled("delayed messages", "statefun_delayed_messages", options.delayed)
        beside = bench.changes("1,000 changed beside them", options.epochs)
        for _ in range(options.waiting):
            bench.send(HOT, b"x" * 100)
        hot = bench.filled(
            "messages wait at one address", "statefun_functions_numBacklog", options.waiting
        )
        both = bench.changes("1,000 changed beside all of them", options.epochs)
    finally:
        worker.close()
        served.close()
    ratios = [round(one["mean_ms"] / alone["mean_ms"], 2) for one in (beside, both)]
    most_mb = max(one["rss_mb"] for one in (delayed, hot))
    good = max(ratios) <= RATIO_MAX and most_mb <= MEMORY_MB_MAX
    told = {"duration_ratios": ratios, "rss_mb_most": most_mb, "within_target": good}
    print(json.dumps(told))
    return 0 if good else 1


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="waiting", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--delayed", type=int, default=1_000_000)
    parser.add_argument("--waiting", type=int, default=1_000_000)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--interval", default="500ms")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
