"""What TLS adds to a request of the worker's own client, in CPU time of the client.

    python -m tests.bench.tls_cost [--requests N] [--rounds N]

The server is another process, on another core where there is one. Rounds alternate between plain HTTP and TLS,
on connections that are kept alive; the difference is taken within a round, and the median over the rounds told.
"""

import argparse
import asyncio
import json
import multiprocessing
import ssl
import sys
import tempfile
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from typing import Any

import uvloop

from statefun_runtime.adapters.http.tls import ClientTls
from statefun_runtime.core.module.specs import TlsSpec
from tests.bench.http_clients import AT_ONCE, WARMUP, Busy, Stopwatch
from tests.bench.rig import machine
from tests.support.authority import Authority
from tests.support.http.clients import make_lean

_REPLY = b"\x12\x00" * 50
_RESPONSE = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/octet-stream\r\ncontent-length: %d\r\n\r\n%b"
    % (len(_REPLY), _REPLY)
)
_TARGET_US = 25.0


class _Answering(asyncio.Protocol):
    """Answers each request with the same reply; requests come whole."""

    transport: asyncio.Transport

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(_RESPONSE)


def _serve(ports: "Connection", cert: str, key: str) -> None:
    async def main() -> None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(cert, key)
        loop = asyncio.get_running_loop()
        plain = await loop.create_server(_Answering, "127.0.0.1", 0)
        secure = await loop.create_server(_Answering, "127.0.0.1", 0, ssl=context)
        ports.send([each.sockets[0].getsockname()[1] for each in (plain, secure)])
        await loop.run_in_executor(None, ports.poll, None)

    uvloop.run(main())


async def _measure(url: str, tls: ClientTls | None, requests: int) -> float:
    """Return CPU microseconds per request."""
    async with asyncio.TaskGroup() as tasks:
        client = make_lean(url, tasks, pool_size=AT_ONCE, payload_bytes_max=1 << 20, tls=tls)
        busy = Busy(client)
        await busy.send_all(WARMUP)
        start = Stopwatch()
        await busy.send_all(requests)
        result = start.read(requests)["cpu_us_per_request"]
        client.close()
    return result


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parse(arguments)
    print(json.dumps({"machine": machine(), "requests_at_once": AT_ONCE}), flush=True)
    with tempfile.TemporaryDirectory(prefix="statefun-bench-") as folder:
        authority = Authority(Path(folder))
        pair = authority.issue("server")
        ours, theirs = multiprocessing.Pipe()
        server = multiprocessing.get_context("spawn").Process(
            target=_serve, args=(theirs, str(pair.cert), str(pair.key))
        )
        server.start()
        plain_port, secure_port = ours.recv()
        tls = ClientTls(TlsSpec(trust_cacerts=str(authority.file)))
        rounds = []
        for _ in range(options.rounds):
            plain = uvloop.run(_measure(f"http://127.0.0.1:{plain_port}/", None, options.requests))
            secure = uvloop.run(
                _measure(f"https://127.0.0.1:{secure_port}/", tls, options.requests)
            )
            rounds.append((plain, secure))
        ours.send(None)
        server.join()
    added = median(secure - plain for plain, secure in rounds)
    print(
        json.dumps(
            {
                "plain_cpu_us": median(plain for plain, _ in rounds),
                "tls_cpu_us": median(secure for _, secure in rounds),
                "added_cpu_us": round(added, 1),
                "rounds": rounds,
            }
        )
    )
    return 0 if added <= _TARGET_US else 1


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tls_cost", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=7)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
