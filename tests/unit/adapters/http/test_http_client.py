"""The pool of the HTTP client: how its requests look, how connections grow old, names that cannot be resolved."""

import asyncio
from contextlib import suppress
from typing import Any

import pytest

from statefun_runtime.adapters.http.client import HttpClient
from statefun_runtime.core.model.address import TypeName
from statefun_runtime.core.module.specs import EndpointSpec, FunctionPattern
from statefun_runtime.core.partition.backlog import Backlog, Function
from statefun_runtime.core.partition.retry import Cause, Failure
from tests.support.http.clients import make_pool
from tests.support.http.raw_http import RawServer, response
from tests.support.http.replies import Caller

FUNCTION = Function(TypeName("t", "f"), EndpointSpec(FunctionPattern("t", None), "http://x/"))


class Listener:
    def __init__(self) -> None:
        self.failures: list[Failure] = []
        self.told = asyncio.Event()

    def replied(self, backlog: Backlog, body: bytes) -> None:
        raise AssertionError

    def failed(self, backlog: Backlog, failure: Failure) -> None:
        raise AssertionError

    def came_back(self, backlog: Backlog, *, goes_alone: bool) -> None:
        raise AssertionError

    def unreachable(self, failure: Failure) -> None:
        self.failures.append(failure)
        self.told.set()

    def has_room(self) -> None:
        self.told.set()


def client(url: str, tasks: asyncio.TaskGroup, **more: Any) -> HttpClient:
    return HttpClient(url, make_pool(url, tasks, size=8, **more), payload_bytes_max=1000)


@pytest.mark.parametrize(
    ("url", "target", "host"),
    [
        ("http://fns", "/", "fns"),
        ("http://fns:80/a", "/a", "fns"),
        ("http://fns:8080/a/b?c=d#e", "/a/b?c=d#e", "fns:8080"),
        ("http://[::1]:9000/a", "/a", "[::1]:9000"),
        ("https://fns:443/", "/", "fns"),
    ],
)
def test_a_request_has_the_head_of_the_contract(url: str, target: str, host: str):
    async def main() -> None:
        async with asyncio.TaskGroup() as tasks:
            head = client(url, tasks)._head

        assert head.decode() == (
            f"POST {target} HTTP/1.1\r\n"
            f"host: {host}\r\n"
            "content-type: application/octet-stream\r\n"
            "accept: application/octet-stream\r\n"
            "accept-encoding: gzip,deflate\r\n"
            "connection: keep-alive\r\n"
            "user-agent: statefun\r\n"
            "statefun-bundle: 1\r\n"
            "content-length: "
        )

    asyncio.run(main())


@pytest.mark.parametrize("host", ["x" * 70 + ".invalid", "a..invalid"])
def test_a_name_that_cannot_be_one_is_an_endpoint_that_cannot_be_reached(host: str):
    async def main() -> None:
        listener = Listener()
        async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
            pool = client(f"http://{host}/", tasks)
            pool.attach(listener)
            assert not pool.can_send(1)
            await listener.told.wait()
            pool.close()

        assert [failure.cause for failure in listener.failures] == [Cause.CONNECT]
        assert listener.failures[0].detail.startswith(f"cannot connect to {host}:80: ")

    asyncio.run(main())


def test_an_old_connection_is_closed_and_a_new_one_opened(monkeypatch: pytest.MonkeyPatch):
    async def main() -> None:
        async with RawServer(lambda _: response(b"reply")) as server, asyncio.TaskGroup() as tasks:
            pool = make_pool(server.url(), tasks, ttl_s=15.0)
            caller = Caller(HttpClient(server.url(), pool, payload_bytes_max=1000))
            opened = []
            for age_s in (0.0, 14.9, 3.2, 0.0, 0.0):
                assert await caller.call() == b"reply"
                for connection in pool.idle:
                    connection.dies_s -= age_s
                opened.append(server.opened)
            pool.leave(caller.client)

        # What is old by then carries one more request, and is closed.
        assert opened == [1, 1, 1, 1, 2]

    asyncio.run(main())


def test_a_connection_that_is_made_after_the_end_is_closed():
    async def main() -> None:
        ended = asyncio.Event()

        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with suppress(ConnectionResetError):
                await reader.read()
            ended.set()
            writer.close()

        server = await asyncio.start_server(accept, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        listener = Listener()
        async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
            pool = client(f"http://127.0.0.1:{port}/", tasks)
            pool.attach(listener)
            assert not pool.can_send(1)
            await asyncio.sleep(0)
            pool.close()
            await ended.wait()

        assert pool.connection_count == 0
        assert not listener.told.is_set()
        server.close()

    asyncio.run(main())
