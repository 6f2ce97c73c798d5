"""CPU of one HTTP request, on the client's side: the worker's own clients, aiohttp and httpx.

    python -m tests.bench.http_clients [--requests N] [--clients lean okhttp aiohttp httpx]

Each client runs in a process of its own, on a core of its own, with at most
64 requests at a time on kept-alive connections to the function server in C.
"""

import argparse
import asyncio
import json
import os
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import uvloop

from tests.bench.rig import FNSERVER, function_server, machine, take_cores
from tests.support.provisions import ROOT, Unavailable

AT_ONCE = 64
WARMUP = 1_000
HEADERS = {"content-type": "application/octet-stream"}
INT_TYPE = b"io.statefun.types/int"
Send = Callable[[], Awaitable[None]]


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parse(arguments)
    if options.url:
        if options.core is not None:
            os.sched_setaffinity(0, {options.core})
        result = uvloop.run(CLIENTS[options.clients[0]](options.url, options.requests))
        print(json.dumps({"client": options.clients[0], **result}))
        return 0
    cores = take_cores()
    print(json.dumps({"machine": machine(), "requests_at_once": AT_ONCE}), flush=True)
    try:
        with (
            tempfile.TemporaryDirectory(prefix="statefun-bench-") as folder,
            function_server(FNSERVER, "greetings", Path(folder)) as (_, port),
        ):
            for client in options.clients:
                url = f"http://127.0.0.1:{port}/statefun"
                command = [sys.executable, "-m", "tests.bench.http_clients", "--url", url]
                command += ["--clients", client, "--requests", str(options.requests)]
                if cores.worker:
                    command += ["--core", str(min(cores.worker))]
                subprocess.run(command, check=True, cwd=ROOT)
    except (Unavailable, subprocess.CalledProcessError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


async def run_lean(url: str, requests: int) -> dict[str, float]:
    """The worker's own client: no task, no future, callbacks only."""
    from tests.support.http.clients import make_lean

    async with asyncio.TaskGroup() as tasks:
        client = make_lean(url, tasks, pool_size=AT_ONCE, payload_bytes_max=1 << 20)
        return await _drive(client, requests)


async def run_okhttp(url: str, requests: int) -> dict[str, float]:
    """The worker's client of the transport okhttp, on httpx."""
    from tests.support.http.clients import make_okhttp

    async with asyncio.TaskGroup() as tasks:
        return await _drive(make_okhttp(url, tasks, pool_size=AT_ONCE), requests)


async def _drive(client: Any, requests: int) -> dict[str, float]:
    busy = Busy(client)
    await busy.send_all(WARMUP)
    start = Stopwatch()
    await busy.send_all(requests)
    result = start.read(requests) | {"connections": client.connection_count}
    client.close()
    return result


async def run_aiohttp(url: str, requests: int) -> dict[str, float]:
    import aiohttp

    connector = aiohttp.TCPConnector(limit=AT_ONCE)
    async with aiohttp.ClientSession(connector=connector) as session:

        async def send() -> None:
            async with session.post(url, data=request(), headers=HEADERS) as reply:
                assert reply.status == 200
                await reply.read()

        return await _measure(send, requests)


async def run_httpx(url: str, requests: int) -> dict[str, float]:
    import httpx

    limits = httpx.Limits(max_connections=AT_ONCE, max_keepalive_connections=AT_ONCE)
    async with httpx.AsyncClient(limits=limits, timeout=60.0) as client:

        async def send() -> None:
            reply = await client.post(url, content=request(), headers=HEADERS)
            assert reply.status_code == 200

        return await _measure(send, requests)


CLIENTS = {"lean": run_lean, "okhttp": run_okhttp, "aiohttp": run_aiohttp, "httpx": run_httpx}


class Busy:
    """Keeps one of the worker's clients busy; it tells when there is room for more."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self.client.attach(self)
        self._body = request()
        # The client hands back what it was given; who it is, is not its business.
        self._backlog: Any = object()
        self._unsent = 0
        self._unanswered = 0
        self._done = asyncio.Event()

    async def send_all(self, count: int) -> None:
        self._unsent = self._unanswered = count
        self._done.clear()
        self.has_room()
        await self._done.wait()

    def has_room(self) -> None:
        while self._unsent and self.client.can_send(self._unsent):
            self._unsent -= 1
            self.client.send(self._backlog, self._body, limit_s=60.0)

    def replied(self, backlog: object, body: bytes) -> None:
        self._unanswered -= 1
        if not self._unanswered:
            self._done.set()

    def failed(self, backlog: object, failure: object) -> None:
        raise AssertionError(f"a request failed: {failure}")

    def came_back(self, backlog: object, *, goes_alone: bool) -> None:
        raise AssertionError

    def unreachable(self, failure: object) -> None:
        raise AssertionError(f"the function server is not there: {failure}")


class Stopwatch:
    def __init__(self) -> None:
        self._cpu_s = time.process_time()
        self._wall_s = time.perf_counter()

    def read(self, requests: int) -> dict[str, float]:
        cpu_s = time.process_time() - self._cpu_s
        wall_s = time.perf_counter() - self._wall_s
        return {
            "requests": requests,
            "cpu_us_per_request": round(cpu_s / requests * 1e6, 1),
            "requests_per_s": round(requests / wall_s),
        }


async def _measure(send: Send, requests: int) -> dict[str, float]:
    await _send_all(send, WARMUP)
    start = Stopwatch()
    await _send_all(send, requests)
    return start.read(requests)


async def _send_all(send: Send, count: int) -> None:
    """Send `count` requests, as many at a time as there are connections."""

    async def run_sender(numbers: Iterator[int]) -> None:
        for _ in numbers:
            await send()

    numbers = iter(range(count))
    async with asyncio.TaskGroup() as tasks:
        for _ in range(AT_ONCE):
            tasks.create_task(run_sender(numbers))


def request() -> bytes:
    """Return a ToFunction as a worker makes it: one address, its state, one invocation of 100 bytes."""
    address = _field(1, b"demo") + _field(2, b"greeter") + _field(3, b"00000001")
    seen = _field(1, INT_TYPE) + b"\x10\x01" + _field(3, b"\x0d" + struct.pack("<i", 7))
    state = _field(1, b"seen") + _field(2, seen)
    argument = _field(1, b"demo.types/Name") + b"\x10\x01" + _field(3, b"v" * 100)
    batch = _field(1, address) + _field(2, state) + _field(3, _field(2, argument))
    return _field(100, batch)


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*encoded, value])


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="http_clients", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--clients", nargs="+", choices=list(CLIENTS), default=list(CLIENTS))
    # For the process of one client.
    parser.add_argument("--url", help=argparse.SUPPRESS)
    parser.add_argument("--core", type=int, help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
