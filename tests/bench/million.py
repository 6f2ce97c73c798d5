"""One million addresses with an int each: the worker's memory, at rest and while more messages run; and an idle worker.

    python -m tests.bench.million [--addresses N] [--more N] [--idle S] [--workers N]

Prints one JSON line per station: idle after start, after one message to each address, while `more` messages run, idle
again. Of several workers it is the one process that has most. The exit status is 1 if a target is missed.
"""

import argparse
import json
import os
import random
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from confluent_kafka import Producer

from tests.bench.bench import MODULE, PARTITIONS
from tests.bench.rig import FNSERVER, function_server, on_a_broker
from tests.support.kafka.broker import KafkaBroker
from tests.support.meter import Meter, process_tree, rss_bytes
from tests.support.processes import wait_until
from tests.support.worker import Worker

RSS_MB_MAX, IDLE_RSS_MB_MAX, IDLE_CPU_MAX = 600.0, 100.0, 0.01
# What is still called flat: growth over 200,000 messages.
FLAT_MB = 30.0
_SAMPLE_S = 0.2


class Bench:
    """A running worker, its topics, and its memory over time."""

    def __init__(self, broker: KafkaBroker, worker: Worker, names: str, out: str) -> None:
        self._broker = broker
        self._worker = worker
        self._names = names
        self._out = out
        self._sent = 0
        settings = {"linger.ms": 20, "queue.buffering.max.messages": 1_000_000, "log_level": 0}
        self._producer = Producer({"bootstrap.servers": broker.bootstrap, **settings})

    def run(self, keys: Iterable[int], *, timeout_s: float) -> dict[str, float]:
        """Send a message to each key and wait until all results are out; return time and memory."""
        begin_s = time.perf_counter()
        peak_mb = self.send(keys)
        while (out := self.out_count()) < self._sent:
            assert time.perf_counter() - begin_s < timeout_s, f"{out} of {self._sent} came out"
            peak_mb = max(peak_mb, self.rss_mb())
            time.sleep(_SAMPLE_S)
        assert out == self._sent, f"{out} came out, {self._sent} went in"
        seconds = time.perf_counter() - begin_s
        rss_mb = self.rss_mb()
        return {"seconds": round(seconds, 1), "rss_mb": rss_mb, "peak_mb": max(peak_mb, rss_mb)}

    def send(self, keys: Iterable[int]) -> float:
        """Send a message to each key; return the most memory seen meanwhile."""
        peak_mb = 0.0
        for key in keys:
            self._produce(b"%08d" % key)
            self._sent += 1
            if not self._sent & 8191:
                peak_mb = max(peak_mb, self.rss_mb())
        assert not self._producer.flush(120)
        return peak_mb

    def out_count(self) -> int:
        """Return how many results have come out."""
        return sum(self._broker.end_offsets(self._out).values())

    def idle(self, seconds: float) -> dict[str, float]:
        meter = Meter({"worker": self._worker.pid})
        meter.start()
        time.sleep(seconds)
        share = meter.stop().cpu_shares()["worker"]
        return {"rss_mb": self.rss_mb(), "core_share": share}

    def rss_mb(self) -> float:
        return round(max(map(rss_bytes, process_tree(self._worker.pid))) / 2**20, 1)

    def restart_s(self) -> float:
        """Kill the worker; return how long its next life took from process start to the first new output."""
        self._worker.kill9()
        before = self.out_count()
        self.send([1, 2, 3])
        begin_s = time.perf_counter()
        self._worker.start(is_ready_awaited=False)
        wait_until(lambda: self.out_count() > before, "new output", timeout_s=120)
        return round(time.perf_counter() - begin_s, 2)

    def _produce(self, key: bytes) -> None:
        while True:
            try:
                self._producer.produce(self._names, b"v", key)
                self._producer.poll(0)
                return
            except BufferError:
                self._producer.poll(0.05)


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parse(arguments)
    return on_a_broker(
        "million", lambda broker, folder: _measure(broker, folder, options), driver=os.getpid()
    )


def _measure(broker: KafkaBroker, folder: Path, options: argparse.Namespace) -> int:
    names, out = broker.unique_topic("names", PARTITIONS), broker.unique_topic("out", PARTITIONS)
    with function_server(FNSERVER, out, folder) as (_, port):
        module = MODULE.format(
            function_port=port, bootstrap=broker.bootstrap, names=names, delivery="at-least-once"
        )
        several = ["--workers", str(options.workers)] if options.workers > 1 else []
        worker = Worker(module, folder, arguments=several)
        try:
            bench = Bench(broker, worker.start(), names, out)
            fresh = _tell("idle, fresh", bench.idle(options.idle))
            full = _tell(
                f"{options.addresses:,} addresses",
                bench.run(range(options.addresses), timeout_s=options.timeout),
            )
            chosen = random.Random(1)
            keys = (chosen.randrange(options.addresses) for _ in range(options.more))
            more = _tell(f"{options.more:,} more", bench.run(keys, timeout_s=options.timeout))
            after = _tell("idle, full", bench.idle(options.idle))
            begin_s = time.perf_counter()
            worker.stop_cleanly(timeout_s=120)
            _tell("clean stop", {"seconds": round(time.perf_counter() - begin_s, 1)})
            begin_s = time.perf_counter()
            worker.start(timeout_s=120)
            _tell(
                "start from it",
                {"seconds": round(time.perf_counter() - begin_s, 1), "rss_mb": bench.rss_mb()},
            )
        finally:
            worker.close()
    good = {
        "rss_below_600_mb": max(full["peak_mb"], more["peak_mb"]) < RSS_MB_MAX,
        "flat": more["peak_mb"] - full["rss_mb"] < FLAT_MB,
        "idle_rss_below_100_mb": fresh["rss_mb"] < IDLE_RSS_MB_MAX,
        "idle_cpu_below_1_percent": max(fresh["core_share"], after["core_share"]) < IDLE_CPU_MAX,
    }
    print(json.dumps(good))
    return 0 if all(good.values()) else 1


def _tell(station: str, numbers: dict[str, float]) -> dict[str, float]:
    print(json.dumps({"station": station, **numbers}), flush=True)
    return numbers


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="million", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--addresses", type=int, default=1_000_000)
    parser.add_argument(
        "--more", type=int, default=200_000, help="messages after the first of each"
    )
    parser.add_argument("--idle", type=float, default=10.0, help="seconds of looking at rest")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--timeout", type=float, default=300.0, help="seconds for each part")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
