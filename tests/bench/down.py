"""An endpoint that is down for everyone, with many messages waiting for it: what it does to another endpoint.

Each pair starts a worker, measures how fast one function's topic is worked off alone, then gives 100,000 messages to a
function whose endpoint is not there, and measures again beside them. Before each measurement the worker is frozen
until the topic is filled, so that only the worker is measured.

    python -m tests.bench.down [--pairs N] [--messages N] [--waiting N] [--addresses N]

Prints one JSON line per pair and one with the medians; the exit status is 1 if the target is missed.
"""

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.bench.isolation import MODULE
from tests.bench.load import Collector, Feed
from tests.bench.rig import FNSERVER, frozen, function_server, machine, take_cores
from tests.support.kafka.broker import KafkaBroker
from tests.support.meter import Meter
from tests.support.processes import wait_until
from tests.support.provisions import Unavailable
from tests.support.sockets import free_port
from tests.support.worker import Worker

RATIO_MIN = 0.8
_LIMIT_S = 120.0


def measure_pair(
    broker: KafkaBroker, folder: Path, options: argparse.Namespace, cpus: frozenset[int] | None
) -> dict[str, dict[str, float]]:
    """Return messages/s and CPU per message of the other endpoint, alone and beside the one that is down."""
    fast, down, out = (broker.unique_topic(name) for name in ("fast", "down", "out"))
    with function_server(FNSERVER, out, folder) as (_, port):
        module = MODULE.format(
            fast_port=port,
            slow_url=f"http://127.0.0.1:{free_port()}/statefun",
            bootstrap=broker.bootstrap,
            fast=fast,
            slow=down,
        )
        worker = Worker(module, folder, cpus=cpus).start()
        try:
            feed = Feed(broker.bootstrap, fast, addresses=1000)
            _throughput(broker, worker, feed, out, options.messages // 4)
            alone = _throughput(broker, worker, feed, out, options.messages)
            Feed(broker.bootstrap, down, addresses=options.addresses).preload(options.waiting)
            wait_until(
                lambda: _waiting(worker) >= options.waiting,
                f"{options.waiting} messages waiting",
                timeout_s=_LIMIT_S,
            )
            wait_until(
                lambda: worker.metrics().total("statefun_unsaved_bytes") == 0,
                "a checkpoint that holds them",
                timeout_s=_LIMIT_S,
            )
            beside = _throughput(broker, worker, feed, out, options.messages)
            assert _waiting(worker) >= options.waiting, "messages left an endpoint that is down"
            return {"alone": alone, "beside": beside}
        finally:
            worker.close()


def _throughput(
    broker: KafkaBroker, worker: Worker, feed: Feed, out: str, messages: int
) -> dict[str, float]:
    collector = Collector(broker.bootstrap, out, is_committed=False)
    meter = Meter({"worker": worker.pid})
    try:
        with frozen(worker.pid):
            feed.preload(messages)
        meter.start()
        arrivals = collector.collect(messages, timeout_s=_LIMIT_S)
        usage = meter.stop()
        assert len(arrivals.records) == messages, f"{len(arrivals.records)} of {messages} came out"
        cpu_us = usage.cpu_us_per(messages)["worker"]
        return {"messages_per_s": arrivals.per_s(), "cpu_us": round(cpu_us, 1)}
    finally:
        collector.close()


def _waiting(worker: Worker) -> float:
    return worker.metrics().get('statefun_functions_numBacklog{name="slow",namespace="demo"}', 0.0)


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parse(arguments)
    print(json.dumps({"machine": machine()}), flush=True)
    cores = take_cores()
    pairs = []
    try:
        with KafkaBroker() as broker:
            for number in range(options.pairs):
                with tempfile.TemporaryDirectory(prefix="down-") as folder:
                    pair = measure_pair(broker, Path(folder), options, cores.worker)
                pairs.append(pair)
                print(json.dumps({"pair": number + 1, **pair}), flush=True)
    except Unavailable as error:
        print(error, file=sys.stderr)
        return 1
    ratio = statistics.median(
        pair["beside"]["messages_per_s"] / pair["alone"]["messages_per_s"] for pair in pairs
    )
    good = ratio >= RATIO_MIN
    print(json.dumps({"throughput_ratio": round(ratio, 2), "within_target": good}))
    return 0 if good else 1


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="down", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--messages", type=int, default=200_000, help="in each measurement")
    parser.add_argument(
        "--waiting", type=int, default=100_000, help="for the endpoint that is down"
    )
    parser.add_argument("--addresses", type=int, default=10_000, help="that they wait at")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
