"""Large states and large messages: what a message costs the worker, beside the cost of copying its bytes four times.

    python -m tests.bench.beside.large [--state BYTES …] [--message BYTES …] [--addresses N] [--copied BYTES] [--rounds N]

Exactly-once with a checkpoint a second; the functions are Python's, under `statefun serve`. A state of so many bytes goes to
the function and comes back with each message; a large message comes from Kafka, goes to the function, comes back and goes to Kafka.
Either way the bytes pass four times between the worker and others, or the store. What it costs to have them pass four
times through a socket is told, too: no worker can do with less. Saved in docs/benchmarks/large.json.
"""

import argparse
import json
import os
import selectors
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from tests.bench.beside.results import RESULTS, Measured
from tests.bench.beside.subjects import OURS, running
from tests.bench.load import VALUE_BYTES
from tests.bench.rig import Cores, sdk_functions, take_cores
from tests.support.kafka.broker import KafkaBroker
from tests.support.provisions import Unavailable

_COPIES = 4
# More than a processor keeps near: each copy reads what was not read lately.
_POOL_BYTES = 256 << 20
_PASSING_S = 0.3


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parse(arguments)
    cores = take_cores()
    measured = Measured("large", addresses=options.addresses)
    cells = [(size, VALUE_BYTES) for size in options.state]
    cells += [(0, size) for size in options.message]
    points: list[dict[str, Any]] = []
    try:
        with KafkaBroker(cpus=cores.rest) as broker:
            for state_bytes, message_bytes in cells:
                for point in _points(broker, cores, state_bytes, message_bytes, options):
                    points.append({**point, "load": measured.load()})
                    print(json.dumps(points[-1]), flush=True)
    except Unavailable as error:
        print(error, file=sys.stderr)
        return 1
    measured.save(RESULTS / "large.json", points=points)
    return 0 if all(point["is_right"] for point in points) else 1


def _points(
    broker: KafkaBroker,
    cores: Cores,
    state_bytes: int,
    message_bytes: int,
    options: argparse.Namespace,
) -> Iterator[dict[str, Any]]:
    os.environ["BENCH_STATE_BYTES"] = str(state_bytes)
    size = max(state_bytes, message_bytes)
    count = max(options.least, min(options.messages, options.copied // size))
    functions = partial(_functions, "serve")
    with running(broker, cores, OURS, "exactly-once", functions=functions) as one:
        line = one.line(options.addresses, size_bytes=message_bytes)
        rows = [
            line.measure(options.addresses, number, count, timeout_s=options.timeout)
            for number in range(options.rounds + 1)
        ][1:]
        copy_us = copied_us(size)
        cpu_us = statistics.median(row.cpu_us["worker"] for row in rows)
        yield {
            "state_bytes": state_bytes,
            "message_bytes": message_bytes,
            "messages": count,
            "cpu_us": cpu_us,
            "function_us": statistics.median(row.cpu_us["function"] for row in rows),
            "per_s": round(statistics.median(row.per_s for row in rows)),
            "peak_mb": max(row.worker_memory["peak_mb"] for row in rows),
            "four_copies_us": copy_us,
            "of_four_copies": round(cpu_us / copy_us, 1),
            "four_passes_us": passed_us(size),
            "is_right": all(row.is_right() for row in rows),
        }


def _functions(kind: str, topic: str, folder: Any) -> Any:
    return sdk_functions(kind, topic, folder, name="large")


def copied_us(size: int) -> float:
    """Return the CPU that four copies of so many bytes cost this machine, each of bytes that are in no cache."""
    pool = bytes(_POOL_BYTES)
    places = range(0, _POOL_BYTES - size, max(size, 1))
    began_s = time.process_time()
    count = 0
    while time.process_time() - began_s < 0.3:
        for place in places[:1000]:
            bytearray(memoryview(pool)[place : place + size])
            count += 1
    return round((time.process_time() - began_s) / count * _COPIES * 1e6, 2)


def passed_us(size: int) -> float:
    """Return the CPU of sending so many bytes twice over a socket of this machine, and of receiving them twice."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        echo = f"""
import socket
with socket.create_connection({server.getsockname()!r}) as link:
    while data := link.recv(1 << 18):
        link.sendall(data)
"""
        with subprocess.Popen([sys.executable, "-c", echo]), server.accept()[0] as link:
            content, buffer, count = b"v" * size, bytearray(1 << 18), 0
            link.setblocking(False)
            with selectors.DefaultSelector() as selector:
                selector.register(link, selectors.EVENT_READ | selectors.EVENT_WRITE)
                began_s = time.process_time()
                while time.process_time() - began_s < _PASSING_S:
                    _pass(selector, link, memoryview(content), buffer)
                    count += 1
                spent_s = time.process_time() - began_s
    return round(spent_s / count * (_COPIES // 2) * 1e6, 2)


def _pass(
    selector: selectors.BaseSelector, link: socket.socket, rest: memoryview, buffer: bytearray
) -> None:
    """Send all of it, and receive it all again."""
    missing = len(rest)
    while missing:
        waits_for = selectors.EVENT_READ | (selectors.EVENT_WRITE if rest else 0)
        selector.modify(link, waits_for)
        for _, events in selector.select():
            if events & selectors.EVENT_READ:
                missing -= link.recv_into(buffer)
            if events & selectors.EVENT_WRITE:
                rest = rest[link.send(rest) :]


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="large", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--state", type=int, nargs="*", default=[100, 1_000, 10_000, 100_000])
    parser.add_argument("--message", type=int, nargs="*", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--addresses", type=int, default=10_000)
    parser.add_argument("--messages", type=int, default=50_000, help="per round, at most")
    parser.add_argument("--copied", type=int, default=500_000_000, help="bytes of a round, at most")
    parser.add_argument("--least", type=int, default=300, help="messages of a round, at least")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--timeout", type=float, default=120.0, help="seconds for a round")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
