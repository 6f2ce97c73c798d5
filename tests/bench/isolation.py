"""One slow function beside a fast one: what the slow one does to the latency of the fast one.

The slow function takes 2 s a call, and 200 of its addresses are busy all the time. The fast one gets messages
at a steady rate, from topic to topic. Each pair measures it alone and then beside the slow one, in the same worker.

    python -m tests.bench.isolation [--pairs N] [--seconds S] [--rate N] [--addresses N] [--call S] [--bundles]

With --bundles there is one function, under `statefun serve`, and the slow ones are addresses of it: fast and slow go in
the same requests.

Prints one JSON line per pair and one with the medians; the exit status is 1 if the target is missed.
"""

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from confluent_kafka import Consumer, Producer, TopicPartition

from tests.bench.rig import FNSERVER, function_server, machine, sdk_functions
from tests.support.http.faulty_process import FaultyProcess
from tests.support.kafka.broker import KafkaBroker
from tests.support.processes import wait_until
from tests.support.provisions import Unavailable
from tests.support.worker import Worker

RATIO_MAX, MORE_MS_MAX = 1.5, 5.0
FAST_ADDRESSES = 1000
MODULE = """\
kind: io.statefun.endpoints.v2/http
spec:
  functions: demo/greeter
  urlPathTemplate: http://127.0.0.1:{fast_port}/statefun
---
kind: io.statefun.endpoints.v2/http
spec:
  functions: demo/slow
  urlPathTemplate: {slow_url}
"""
INGRESS = """\
---
kind: io.statefun.kafka.v1/ingress
spec:
  id: demo.io/in
  address: {bootstrap}
  consumerGroupId: isolation
  startupPosition:
    type: earliest
  topics:
    - topic: {fast}
      valueType: demo.types/Name
      targets:
        - demo/greeter
    - topic: {slow}
      valueType: demo.types/Name
      targets:
        - demo/{slow_name}
---
kind: io.statefun.kafka.v1/egress
spec:
  id: demo.io/out
  address: {bootstrap}
"""


async def slow(body: bytes) -> bytes:
    """The slow function: takes as long as its last message says."""
    mark = body.rindex(b"sleep=")
    await asyncio.sleep(float(body[mark + 6 :].split(b";", 1)[0]))
    return b""


class Pace:
    """Writes messages at a steady rate until told to stop, from a thread of its own."""

    def __init__(self, bootstrap: str) -> None:
        self._producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 0, "log_level": 0})

    def run(self, topic: str, *, rate: float, seconds: float) -> int:
        """Return how many messages were written; each holds the moment it was due."""
        count = int(rate * seconds)
        begin_s = time.perf_counter()
        for number in range(count):
            due_s = begin_s + number / rate
            while (left_s := due_s - time.perf_counter()) > 0:
                self._producer.poll(min(left_s, 0.01))
            key = f"{number % FAST_ADDRESSES:08d}"
            self._producer.produce(topic, f"{time.perf_counter_ns()};", key)
        assert not self._producer.flush(30)
        return count

    def keep_busy(
        self, topic: str, stop: threading.Event, *, addresses: int, call_s: float
    ) -> None:
        """Give every slow address a new message before its call is over."""
        while not stop.is_set():
            for number in range(addresses):
                self._producer.produce(topic, f"sleep={call_s};", f"slow-{number}")
            self._producer.flush(30)
            stop.wait(call_s / 2)


class Ends:
    """Reads what came out, and tells how long each message took."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": uuid.uuid4().hex,
                "fetch.wait.max.ms": 5,
                "log_level": 0,
            }
        )
        self._consumer.assign([TopicPartition(topic, 0, 0)])

    def latencies_ms(self, count: int) -> list[float]:
        found: list[float] = []
        deadline_s = time.monotonic() + 60
        while len(found) < count:
            assert time.monotonic() < deadline_s, f"{len(found)} of {count} messages came out"
            # One at a time: asked for many, the client waits for many.
            message = self._consumer.poll(0.05)
            if message is not None:
                assert message.error() is None, message.error()
                sent_ns = int((message.value() or b"").split(b";")[1])
                found.append((time.perf_counter_ns() - sent_ns) / 1e6)
        return found

    def close(self) -> None:
        self._consumer.close()


class Bench:
    """A running worker with both functions."""

    def __init__(self, options: argparse.Namespace, broker: KafkaBroker, folder: Path) -> None:
        self._options = options
        self._fast = broker.unique_topic("fast")
        self._slow = broker.unique_topic("slow")
        self._out = broker.unique_topic("out")
        self._broker = broker
        self._folder = folder
        self._pace, self._pressure = Pace(broker.bootstrap), Pace(broker.bootstrap)

    @contextmanager
    def running(self) -> Iterator[Worker]:
        in_bundles = self._options.bundles
        functions = (
            sdk_functions("serve", self._out, self._folder, "either")
            if in_bundles
            else function_server(FNSERVER, self._out, self._folder)
        )
        with functions as (_, fast_port):
            served = FaultyProcess("tests.bench.isolation:slow", self._folder)
            module = (MODULE.partition("---\n")[0] if in_bundles else MODULE) + INGRESS
            written = module.format(
                fast_port=fast_port,
                slow_url=served.url,
                bootstrap=self._broker.bootstrap,
                fast=self._fast,
                slow=self._slow,
                slow_name="greeter" if in_bundles else "slow",
            )
            worker = Worker(written, self._folder)
            self._ends = Ends(self._broker.bootstrap, self._out)
            try:
                yield worker.start()
            finally:
                worker.close()
                served.close()
                self._ends.close()

    def measure(self, seconds: float) -> dict[str, float]:
        """Return the fast function's latency under its steady rate."""
        counts: list[int] = []
        rate = self._options.rate
        thread = threading.Thread(
            target=lambda: counts.append(self._pace.run(self._fast, rate=rate, seconds=seconds))
        )
        thread.start()
        found = self._ends.latencies_ms(int(rate * seconds))
        thread.join()
        found.sort()
        at = {name: found[int(len(found) * share)] for name, share in (("p50", 0.5), ("p99", 0.99))}
        return {name: round(value, 2) for name, value in at.items()}

    @contextmanager
    def slow_beside(self, worker: Worker) -> Iterator[None]:
        stop = threading.Event()
        addresses, call_s = self._options.addresses, self._options.call
        thread = threading.Thread(
            target=lambda: self._pressure.keep_busy(
                self._slow, stop, addresses=addresses, call_s=call_s
            )
        )
        thread.start()
        try:
            name = "greeter" if self._options.bundles else "slow"
            wait_until(lambda: busy(worker, name) >= addresses, f"{addresses} slow addresses busy")
            yield
            assert busy(worker, name) >= addresses * 0.9, "the slow addresses did not stay busy"
        finally:
            stop.set()
            thread.join()
        wait_until(lambda: busy(worker, name) == 0, "the slow function at rest")


def busy(worker: Worker, name: str) -> float:
    sample = f'statefun_functions_busyAddresses{{name="{name}",namespace="demo"}}'
    return worker.metrics().get(sample, 0.0)


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parse(arguments)
    print(json.dumps({"machine": machine()}), flush=True)
    pairs = []
    try:
        with KafkaBroker() as broker, tempfile.TemporaryDirectory(prefix="isolation-") as folder:
            bench = Bench(options, broker, Path(folder))
            with bench.running() as worker:
                bench.measure(options.warmup)
                for number in range(options.pairs):
                    alone = bench.measure(options.seconds)
                    with bench.slow_beside(worker):
                        beside = bench.measure(options.seconds)
                    pairs.append((alone, beside))
                    row = {"pair": number + 1, "alone_ms": alone, "beside_ms": beside}
                    print(json.dumps(row), flush=True)
    except Unavailable as error:
        print(error, file=sys.stderr)
        return 1
    ratio = statistics.median(beside["p99"] / alone["p99"] for alone, beside in pairs)
    more_ms = statistics.median(beside["p99"] - alone["p99"] for alone, beside in pairs)
    good = ratio <= RATIO_MAX or more_ms <= MORE_MS_MAX
    medians = {
        "p99_ratio": round(ratio, 2),
        "p99_more_ms": round(more_ms, 2),
        "within_target": good,
    }
    print(json.dumps(medians))
    return 0 if good else 1


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="isolation", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=8.0, help="length of each measurement")
    parser.add_argument("--warmup", type=float, default=3.0, help="seconds before the first pair")
    parser.add_argument("--rate", type=float, default=500.0, help="messages/s to the fast function")
    parser.add_argument("--addresses", type=int, default=200, help="of the slow function")
    parser.add_argument("--bundles", action="store_true", help="one function, in bundles")
    parser.add_argument("--call", type=float, default=2.0, help="seconds of a slow call")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
