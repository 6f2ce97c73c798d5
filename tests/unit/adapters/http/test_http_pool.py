"""Connections that function types share: none is open in vain, and none that was closed costs anything."""

import asyncio
from collections.abc import Callable

import pytest

from statefun_runtime.adapters.descriptors import Descriptors
from statefun_runtime.adapters.http.client import HttpClient
from statefun_runtime.adapters.http.httpx_client import HttpxClient
from statefun_runtime.adapters.http.slots import Slots
from statefun_runtime.core.model.address import TypeName
from statefun_runtime.core.module.specs import EndpointSpec, FunctionPattern, OkHttpTransport
from statefun_runtime.core.partition.backlog import Backlog, Function
from statefun_runtime.core.partition.partition import Partition
from statefun_runtime.core.partition.retry import Cause, Failure
from statefun_runtime.ports.function_client import FunctionClient
from tests.support.http.clients import make_lean, make_okhttp, make_pool
from tests.support.http.narrow import NarrowServer
from tests.support.http.raw_http import RawRequest, RawServer, response

FUNCTION = Function(TypeName("t", "f"), EndpointSpec(FunctionPattern("t", None), "http://x/"))


class Burst:
    """Sends so many requests as fast as there is room, and hears what becomes of each."""

    def __init__(self, client: FunctionClient) -> None:
        self.client = client
        self.unsent = 0
        self.body = b""
        self.replied_count = 0
        self.failures: list[Failure] = []
        self.out_max = 0
        self._told = asyncio.Event()
        client.attach(self)

    def start(self, count: int, body: bytes = b"body") -> None:
        self.unsent += count
        self.body = body
        self.has_room()

    async def send(self, count: int) -> None:
        """Send requests, and wait until it is known what became of all."""
        wanted = self._known_count + count
        self.start(count)
        await self.until(lambda: self._known_count >= wanted)

    @property
    def _known_count(self) -> int:
        return self.replied_count + len(self.failures)

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not condition():
                self._told.clear()
                await self._told.wait()

    def has_room(self) -> None:
        while self.unsent and self.client.can_send(self.unsent):
            self.unsent -= 1
            self.client.send(
                Partition(0, range(1)).admit(FUNCTION, "alice", b""), self.body, limit_s=30.0
            )
        self.out_max = max(self.out_max, self.client.in_flight())
        self._told.set()

    def replied(self, backlog: Backlog, body: bytes) -> None:
        self.replied_count += 1
        self._told.set()

    def failed(self, backlog: Backlog, failure: Failure) -> None:
        self.failures.append(failure)
        self._told.set()

    def came_back(self, backlog: Backlog, *, goes_alone: bool) -> None:
        raise AssertionError

    def unreachable(self, failure: Failure) -> None:
        self.failed(Partition(0, range(1)).admit(FUNCTION, "", b""), failure)


def reply(_: RawRequest) -> bytes:
    return response(b"reply")


def test_connections_that_are_not_needed_are_closed_at_once():
    async def main() -> None:
        seen: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        server = await asyncio.start_server(lambda r, w: seen.append((r, w)), "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
            burst = Burst(make_lean(url, tasks, pool_size=20))
            assert not burst.client.can_send(9)
            await burst.until(lambda: len(seen) == 9)
            for reader, writer in seen:
                assert await reader.read() == b""
                writer.close()

            assert burst.client.connection_count == 0
            assert burst.failures == []
            burst.client.close()
        server.close()

    asyncio.run(main())


@pytest.mark.parametrize("make", [make_lean, make_okhttp])
def test_what_a_burst_left_over_is_closed_when_it_has_been_idle(make: Callable[..., HttpClient]):
    async def main() -> None:
        told = response(b"reply", keep_alive="timeout=1")
        async with RawServer(lambda _: told) as server, asyncio.TaskGroup() as tasks:
            burst = Burst(make(server.url(), tasks, pool_size=20))
            await burst.send(20)
            await server.left()

            assert burst.client.connection_count == 0
            await burst.send(1)
            assert burst.failures == []
            burst.client.close()

    asyncio.run(main())


@pytest.mark.parametrize("make", [make_lean, make_okhttp])
def test_kept_connections_that_the_server_closed_cost_nothing(make: Callable[..., HttpClient]):
    async def main() -> None:
        async with RawServer(reply) as server, asyncio.TaskGroup() as tasks:
            files = Descriptors()
            burst = Burst(make(server.url(), tasks, pool_size=20, descriptors=files))
            await burst.send(20)
            opened = server.opened

            def is_settled() -> bool:
                """What is cut while it is being opened is a failure, and rightly so."""
                taken = files.outgoing_max - files.free()
                return server.open_count == burst.client.connection_count == taken

            async with asyncio.timeout(20):
                # A turn of the loop after one is opened, it is known that it waits.
                turns = 0
                while turns < 3:
                    turns = turns + 1 if is_settled() else 0
                    await asyncio.sleep(0)
            server.cut()
            # Before anybody can have heard of it.
            await burst.send(20)

            assert burst.failures == []
            assert server.opened >= opened + 1
            burst.client.close()

    asyncio.run(main())


def test_a_connection_that_nobody_needed_and_the_server_closed_costs_nothing():
    async def main() -> None:
        async with RawServer(reply) as server, asyncio.TaskGroup() as tasks:
            pool = make_pool(server.url(), tasks)
            burst = Burst(HttpClient(server.url(), pool, payload_bytes_max=1000))
            assert not burst.client.can_send(1)
            await burst.until(lambda: bool(pool.idle) and server.open_max == 1)
            server.cut()
            # Before anybody can have heard of it.
            await burst.send(1)

            assert burst.failures == []
            burst.client.close()

    asyncio.run(main())


@pytest.mark.parametrize("make", [make_lean, make_okhttp])
def test_a_server_that_closes_after_each_reply_without_a_word_costs_nothing(
    make: Callable[..., HttpClient],
):
    async def main() -> None:
        async with RawServer(reply, is_abrupt=True) as server, asyncio.TaskGroup() as tasks:
            burst = Burst(make(server.url(), tasks, pool_size=5))
            await burst.send(100)

            assert burst.failures == []
            burst.client.close()

    asyncio.run(main())


@pytest.mark.parametrize(("places", "count"), [(1, 5), (1, 500), (10, 500)])
def test_a_server_with_few_places_answers_all(places: int, count: int):
    async def main() -> None:
        async with NarrowServer(places) as server, asyncio.TaskGroup() as tasks:
            burst = Burst(make_lean(server.url(), tasks, pool_size=256))
            await burst.send(count)

            assert burst.failures == []
            assert server.open_max <= places
            burst.client.close()

    asyncio.run(main())


def shared(kind: str, url: str, tasks: asyncio.TaskGroup, size: int) -> list[FunctionClient]:
    if kind == "lean":
        pool = make_pool(url, tasks, size=size)
        return [HttpClient(url, pool, payload_bytes_max=1000) for _ in range(3)]
    slots = Slots(tasks.create_task, size=size)
    return [HttpxClient(url, tasks.create_task, OkHttpTransport(), slots) for _ in range(3)]


@pytest.mark.parametrize("kind", ["lean", "okhttp"])
@pytest.mark.parametrize("size", [8, 100])
def test_types_share_the_connections_of_their_endpoint_and_one_that_hangs_stops_no_other(
    kind: str, size: int
):
    def answer(request: RawRequest) -> bytes | None:
        return None if request.body == b"hang" else response(b"reply")

    async def main() -> None:
        async with RawServer(answer) as server, asyncio.TaskGroup() as tasks:
            bursts = [Burst(client) for client in shared(kind, server.url(), tasks, size)]
            hanging, *others = bursts
            hanging.start(1000, b"hang")
            await hanging.until(lambda: hanging.client.in_flight() >= size // 2)
            for other in others:
                await other.send(50)
            assert hanging.replied_count == 0
            assert sum(burst.client.in_flight() for burst in bursts) <= size
            # The other transport also opens one a type to see whether there is anybody.
            assert server.open_max <= (size if kind == "lean" else size + len(bursts))
            for burst in bursts:
                assert burst.failures == []
                burst.client.close()

    asyncio.run(main())


@pytest.mark.parametrize("kind", ["lean", "okhttp"])
def test_with_one_connection_types_take_turns(kind: str):
    async def main() -> None:
        async with RawServer(reply) as server, asyncio.TaskGroup() as tasks:
            busy, *others = (Burst(client) for client in shared(kind, server.url(), tasks, 1))
            busy.start(100_000)
            for other in others:
                await other.send(20)

            assert busy.unsent > 0
            # As above.
            assert server.open_max <= (1 if kind == "lean" else 1 + len(others))
            for burst in (busy, *others):
                burst.client.close()

    asyncio.run(main())


class Eager(Burst):
    """Wakes itself at each reply, as a type does whose functions send messages to their own type."""

    def replied(self, backlog: Backlog, body: bytes) -> None:
        asyncio.get_running_loop().call_soon(self.has_room)
        super().replied(backlog, body)


@pytest.mark.parametrize("size", [1, 8])
def test_a_type_that_wakes_itself_at_each_reply_leaves_room_to_those_who_have_none(size: int):
    async def main() -> None:
        async with RawServer(reply) as server, asyncio.TaskGroup() as tasks:
            clients = shared("lean", server.url(), tasks, size)
            busy, other = Eager(clients[0]), Burst(clients[1])
            Burst(clients[2])
            busy.start(1_000_000)
            await busy.until(lambda: busy.replied_count > 100)
            before = busy.replied_count
            await other.send(20)

            # As many as it has connections, a few times for each of the other's.
            assert busy.replied_count - before < 20 * size * 10
            for burst in (busy, other):
                burst.client.close()

    asyncio.run(main())


@pytest.mark.parametrize("kind", ["lean", "okhttp"])
def test_a_server_that_is_away_is_told_to_those_alone_who_have_something_to_send(kind: str):
    async def main() -> None:
        async with RawServer(reply) as server:
            pass
        async with asyncio.TaskGroup() as tasks:
            one, other, third = (Burst(c) for c in shared(kind, server.url(), tasks, 20))
            one.start(5)
            await one.until(lambda: bool(one.failures))
            other.start(1)
            await other.until(lambda: bool(other.failures))

            assert {failure.cause for failure in one.failures} == {Cause.CONNECT}
            assert third.failures == []
            for burst in (one, other, third):
                burst.client.close()

    asyncio.run(main())


def test_a_type_that_leaves_takes_its_requests_along():
    async def main() -> None:
        async with RawServer(lambda _: None) as server, asyncio.TaskGroup() as tasks:
            leaving, staying, _ = (Burst(c) for c in shared("lean", server.url(), tasks, 20))
            leaving.start(3)
            staying.start(3)
            await staying.until(lambda: not staying.unsent)
            await leaving.until(lambda: not leaving.unsent)
            leaving.client.close()

            assert (leaving.client.in_flight(), staying.client.in_flight()) == (0, 3)
            assert staying.client.capacity() > 0
            staying.client.close()

    asyncio.run(main())
