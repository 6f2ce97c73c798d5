"""What a hop from one worker to another takes: over a pair of sockets, and over a Kafka topic.

    python -m tests.bench.engine.hops [--frames N] [--pause-ms N]

One loop has both ends, so that one clock measures: a frame is sent every few milliseconds, and the time until it is taken is
that of one direction. Prints a JSON line for each way.
"""

import argparse
import asyncio
import json
import os
import socket
import sys
import time
import uuid
from collections.abc import Sequence

from statefun_runtime.adapters.team.socket_links import SocketLinks
from statefun_runtime.connectors.kafka.cluster.links import TopicLinks
from statefun_runtime.connectors.kafka.cluster.topics import Brokers, inbox_ends
from statefun_runtime.ports.team import Links
from tests.bench.rig import machine
from tests.support.kafka.broker import KafkaBroker
from tests.support.kafka.cluster import cluster_topics
from tests.support.provisions import Unavailable

_WARM_UP = 50


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parse(arguments)
    print(json.dumps({"machine": machine()}), flush=True)
    try:
        with KafkaBroker() as broker:
            brokers = cluster_topics(broker)
            for way, work in (
                ("sockets", _by_sockets(options)),
                ("kafka", _by_kafka(brokers, options)),
            ):
                print(json.dumps({"way": way, **asyncio.run(work)}), flush=True)
    except Unavailable as error:
        print(error, file=sys.stderr)
        return 1
    return 0


async def _by_sockets(options: argparse.Namespace) -> dict[str, float]:
    one, other = socket.socketpair()
    return await _measure(SocketLinks({1: one}), SocketLinks({0: other}), options)


async def _by_kafka(brokers: Brokers, options: argparse.Namespace) -> dict[str, float]:
    ends, nonce = await inbox_ends(brokers, [0, 1]), uuid.uuid4().hex
    sender, receiver = (TopicLinks(brokers, nonce, slot, ends[slot]) for slot in (0, 1))
    return await _measure(sender, receiver, options)


async def _measure(sender: Links, receiver: Links, options: argparse.Namespace) -> dict[str, float]:
    taken_ms: list[float] = []

    def take(slot: int, frame: bytes) -> None:
        taken_ms.append((time.perf_counter_ns() - int(frame)) / 1e6)

    sender.attach(lambda slot, frame: None)
    receiver.attach(take)
    cpu_s = 0.0
    async with asyncio.TaskGroup() as tasks:
        beside = [tasks.create_task(one.run()) for one in (sender, receiver)]
        for number in range(options.frames + _WARM_UP):
            if number == _WARM_UP:
                cpu_s = time.process_time()
            sender.send(1, b"%d" % time.perf_counter_ns())
            await asyncio.sleep(options.pause_ms / 1000)
        async with asyncio.timeout(30):
            while len(taken_ms) < options.frames + _WARM_UP:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        cpu_s = time.process_time() - cpu_s
        for task in beside:
            task.cancel()
    found = sorted(taken_ms[_WARM_UP:])
    return {
        "p50_ms": round(found[len(found) // 2], 2),
        "p99_ms": round(found[int(len(found) * 0.99)], 2),
        "cpu_us_a_frame": round(cpu_s / options.frames * 1e6),
        "load": round(os.getloadavg()[0], 1),
    }


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="hops", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--frames", type=int, default=1000)
    parser.add_argument("--pause-ms", type=float, default=5.0)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
