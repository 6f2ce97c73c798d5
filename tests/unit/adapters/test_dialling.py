"""A name with several addresses: they are raced, and the dead are remembered for a while."""

import asyncio
import socket
from collections.abc import Callable, Coroutine, Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import Any

import pytest

from statefun_runtime.adapters import dialling
from statefun_runtime.adapters.dialling import Dialler
from statefun_runtime.adapters.http.probe import Destination, reach
from tests.support.http.clients import make_lean, make_okhttp
from tests.support.http.raw_http import RawServer, response
from tests.support.http.replies import Caller

HANGS, REFUSES, LIVES = "127.0.0.2", "127.0.0.3", "127.0.0.1"
NAME = "functions.test"


@contextmanager
def hanging(port: int) -> Iterator[None]:
    """Let an address answer no connection, not even with a refusal: nobody takes what its backlog holds."""
    with ExitStack() as sockets:
        listening = sockets.enter_context(closing(socket.create_server((HANGS, port), backlog=0)))
        for _ in range(2):
            filling = sockets.enter_context(closing(socket.socket()))
            filling.setblocking(False)
            filling.connect_ex(listening.getsockname())
        yield


def resolve_to(monkeypatch: pytest.MonkeyPatch, *hosts: str) -> None:
    """Let the name have these addresses, in this order."""
    loop = asyncio.get_running_loop()
    resolve = loop.getaddrinfo

    async def getaddrinfo(host: Any, port: Any, **how: Any) -> list[Any]:
        if host not in (NAME, NAME.encode()):
            return await resolve(host, port, **how)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in hosts]

    monkeypatch.setattr(loop, "getaddrinfo", getaddrinfo)


def with_server(body: Callable[[RawServer], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        async with asyncio.timeout(20), RawServer(lambda _: response(b"reply")) as server:
            await body(server)

    asyncio.run(main())


def peer(connected: socket.socket) -> str:
    with connected:
        host: str = connected.getpeername()[0]
        return host


def test_a_dead_first_address_costs_its_head_start_once(monkeypatch: pytest.MonkeyPatch):
    async def body(server: RawServer) -> None:
        resolve_to(monkeypatch, HANGS, LIVES)
        dialler = Dialler()
        with hanging(server.port):
            monkeypatch.setattr(dialling, "HEAD_START_S", 0.05)
            assert peer(await dialler.dial(NAME, server.port)) == LIVES
            # From now on nobody would wait so long.
            monkeypatch.setattr(dialling, "HEAD_START_S", 1000.0)
            assert peer(await dialler.dial(NAME, server.port)) == LIVES
            assert await dialler.known_good(NAME, server.port) == [LIVES]

    with_server(body)


def test_a_refusal_needs_no_head_start(monkeypatch: pytest.MonkeyPatch):
    async def body(server: RawServer) -> None:
        monkeypatch.setattr(dialling, "HEAD_START_S", 1000.0)
        resolve_to(monkeypatch, REFUSES, LIVES)
        assert peer(await Dialler().dial(NAME, server.port)) == LIVES

    with_server(body)


def test_when_all_addresses_are_dead_the_first_one_s_reason_is_told(
    monkeypatch: pytest.MonkeyPatch,
):
    async def body(server: RawServer) -> None:
        resolve_to(monkeypatch, REFUSES, "127.0.0.4")
        dialler = Dialler()
        for _ in range(2):
            with pytest.raises(ConnectionRefusedError, match=REFUSES):
                await dialler.dial(NAME, server.port)
        assert await dialler.known_good(NAME, server.port) == []

    with_server(body)


def test_what_was_dead_is_tried_again_later(monkeypatch: pytest.MonkeyPatch):
    async def body(server: RawServer) -> None:
        resolve_to(monkeypatch, REFUSES, LIVES)
        dialler = Dialler()
        await dialler.dial(NAME, server.port)
        assert await dialler.known_good(NAME, server.port) == [LIVES]
        monkeypatch.setattr(dialler, "_loop", Later(asyncio.get_running_loop()))
        assert await dialler.known_good(NAME, server.port) == []

    with_server(body)


class Later:
    """A loop a minute later."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.getaddrinfo = loop.getaddrinfo
        self._time = loop.time

    def time(self) -> float:
        return self._time() + 61.0


def test_good_addresses_are_tried_in_the_order_of_the_resolver(monkeypatch: pytest.MonkeyPatch):
    async def body(server: RawServer) -> None:
        listening = socket.create_server((HANGS, server.port))
        dialler = Dialler()
        with listening:
            for first, second in ((LIVES, HANGS), (HANGS, LIVES), (LIVES, HANGS)):
                resolve_to(monkeypatch, first, second)
                assert peer(await dialler.dial(NAME, server.port)) == first

    with_server(body)


def test_families_take_turns():
    def places(*families: int) -> list[dialling.Place]:
        return [dialling.Place(family, 1, 6, (str(at), 80)) for at, family in enumerate(families)]

    six, four = socket.AF_INET6, socket.AF_INET
    ordered = dialling.interleaved(places(six, six, six, four, four))
    assert [place.family for place in ordered] == [six, four, six, four, six]
    assert [place.address[0] for place in ordered] == ["0", "3", "1", "4", "2"]


@pytest.mark.parametrize("dead", [HANGS, REFUSES])
def test_an_endpoint_whose_first_address_is_dead_passes_the_check(
    dead: str, monkeypatch: pytest.MonkeyPatch
):
    async def body(server: RawServer) -> None:
        resolve_to(monkeypatch, dead, LIVES)
        with hanging(server.port):
            async with asyncio.timeout(2):
                await reach(Destination(NAME, server.port), None)

    with_server(body)


@pytest.mark.parametrize("make", [make_lean, make_okhttp])
@pytest.mark.parametrize("dead", [HANGS, REFUSES])
def test_an_endpoint_whose_first_address_is_dead_is_reached(
    make: Callable[..., Any], dead: str, monkeypatch: pytest.MonkeyPatch
):
    async def body(server: RawServer) -> None:
        resolve_to(monkeypatch, dead, LIVES)
        url = f"http://{NAME}:{server.port}/statefun"
        with hanging(server.port):
            async with asyncio.TaskGroup() as tasks:
                client = make(url, tasks)
                caller = Caller(client)
                assert await caller.call() == b"reply"
                server.cut()
                monkeypatch.setattr(dialling, "HEAD_START_S", 1000.0)
                assert await caller.call() == b"reply"
                client.close()

    with_server(body)
