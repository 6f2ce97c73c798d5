"""What delayed messages cost: CPU to make one and to deliver one, and the worker's memory while very many wait.

    python -m tests.bench.engine.delayed [--delayed N] [--due N] [--tokens] [--interval D] [--python PYTHON]

N messages are made, a thousand per reply, that are due within the hour after next; then `--due` more that come after some
seconds, at a thousand addresses. The worker is killed at last, and started again. Prints a JSON line per station.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from confluent_kafka import Producer

from tests.bench.rig import on_a_broker
from tests.bench.waiting import MODULE
from tests.support.http.faulty_process import FaultyProcess
from tests.support.kafka.broker import KafkaBroker
from tests.support.meter import Meter, tree_memory_mb
from tests.support.metrics import Samples
from tests.support.processes import wait_until
from tests.support.wire_builders import Request, result
from tests.support.worker import Worker

PER_REPLY = 1_000
_HOUR_MS = 3_600_000
_SOON_MS = 15_000
_GIVEN_BACK_S = 40.0


@cache
def _reply(value: bytes) -> bytes:
    first_ms, step_ms, has_tokens = (int(part) for part in value.split(b" "))
    return result(
        delay=(
            (
                first_ms + number * step_ms,
                "f",
                f"later-{number}",
                b"x" * 40,
                f"token-{number}" if has_tokens else "",
            )
            for number in range(PER_REPLY)
        )
    )


async def handle(body: bytes) -> bytes:
    """Answer `first step tokens` with a thousand messages for later, and everything else with nothing."""
    request = Request(body)
    if request.id.startswith("later"):
        return result()
    return _reply(request.values[0])


class Bench:
    """A worker, and records that have its functions delay messages."""

    def __init__(self, worker: Worker, broker: KafkaBroker, topic: str, *, tokens: bool) -> None:
        self._worker = worker
        self._topic = topic
        self._has_tokens = tokens
        self._producer = Producer({"bootstrap.servers": broker.bootstrap, "linger.ms": 20})
        self._sent = 0

    def _samples(self) -> Samples | None:
        try:
            return self._worker.metrics()
        except AssertionError:
            return None

    def _total(self, name: str) -> float:
        return wait_until(self._samples, "an answer of the worker", timeout_s=60).total(name)

    def _ask(self, count: int, first_ms: int, step_ms: int) -> None:
        for _ in range(count // PER_REPLY):
            self._sent += 1
            value = b"%d %d %d" % (first_ms, step_ms, self._has_tokens)
            self._producer.produce(self._topic, value, f"sender-{self._sent}")
        assert not self._producer.flush(300)

    def _settled(self) -> None:
        wait_until(
            lambda: self._total("statefun_unsaved_bytes") == 0, "a checkpoint", timeout_s=300
        )

    def makes(self, count: int) -> None:
        """Have messages made that are due much later."""
        meter = Meter({"worker": self._worker.pid})
        before = self._total("statefun_delayed_messages")
        meter.start()
        self._ask(count, 2 * _HOUR_MS, _HOUR_MS // PER_REPLY)
        most_mb = 0.0
        while self._total("statefun_delayed_messages") < before + count:
            most_mb = max(most_mb, tree_memory_mb(self._worker.pid)["rss_mb"])
            time.sleep(0.5)
        self._settled()
        self._tell(f"{count} made", count, meter, most_mb)

    def delivers(self, count: int) -> None:
        """Have messages made that are due soon, and wait for them."""
        before = self._total("statefun_delayed_messages")
        self._ask(count, _SOON_MS, 0)
        wait_until(
            lambda: self._total("statefun_delayed_messages") >= before + count,
            "all of them",
            timeout_s=_SOON_MS / 1000,
        )
        self._settled()
        meter = Meter({"worker": self._worker.pid})
        meter.start()
        most_mb = 0.0
        while self._total("statefun_delayed_messages") > before or self._total(
            "statefun_functions_numBacklog"
        ):
            most_mb = max(most_mb, tree_memory_mb(self._worker.pid)["rss_mb"])
            time.sleep(0.5)
        self._settled()
        self._tell(f"{count} delivered, all due at once", count, meter, most_mb)

    def _tell(self, station: str, count: int, meter: Meter, most_mb: float) -> None:
        usage = meter.stop()
        # What is freed is given back twice a minute.
        time.sleep(_GIVEN_BACK_S)
        numbers = {
            "cpu_us_each": usage.cpu_us_per(count)["worker"],
            "seconds": round(usage.wall_s, 1),
            "rss_mb_most": round(most_mb),
            "rss_mb_after": round(tree_memory_mb(self._worker.pid)["rss_mb"]),
        }
        print(json.dumps({"station": station, **numbers}), flush=True)

    def restarts(self) -> None:
        """Kill the worker, and say what a start takes."""
        waiting = self._total("statefun_delayed_messages")
        self._worker.kill9()
        begin_s = time.perf_counter()
        self._worker.start()
        seconds = time.perf_counter() - begin_s
        assert self._total("statefun_delayed_messages") == waiting
        time.sleep(2.0)
        memory = round(tree_memory_mb(self._worker.pid)["rss_mb"])
        told = {"station": "started again", "seconds": round(seconds, 1), "rss_mb_after": memory}
        print(json.dumps(told), flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parse(arguments)
    return on_a_broker(
        "delayed",
        lambda broker, folder: _measure(broker, folder, options),
        load=os.getloadavg()[0],
        tokens=options.tokens,
    )


def _measure(broker: KafkaBroker, folder: Path, options: argparse.Namespace) -> None:
    topic = broker.unique_topic("in", 4)
    served = FaultyProcess("tests.bench.engine.delayed:handle", folder)
    module = MODULE.format(url=served.url, bootstrap=broker.bootstrap, topic=topic)
    arguments = ["--checkpoint-interval", options.interval]
    safe = {"PYTHONSAFEPATH": "1"}
    worker = Worker(module, folder, arguments=arguments, env=safe, python=options.python).start()
    try:
        bench = Bench(worker, broker, topic, tokens=options.tokens)
        bench.makes(options.delayed)
        bench.delivers(options.due)
        bench.restarts()
    finally:
        worker.close()
        served.close()


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="delayed", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--delayed", type=int, default=1_000_000)
    parser.add_argument("--due", type=int, default=200_000)
    parser.add_argument("--tokens", action="store_true")
    parser.add_argument("--interval", default="500ms")
    parser.add_argument("--python", type=Path, help="another checkout's interpreter")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
