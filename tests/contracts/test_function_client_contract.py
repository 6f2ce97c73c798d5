"""The FunctionClient port: both HTTP clients against a real server, and the client in the same process.

The lean client does it with bundles, too: then each request leaves with one of another address, which goes well.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pytest

from statefun_runtime.adapters.http.client import HttpClient
from statefun_runtime.adapters.http.httpx_client import HttpxClient
from statefun_runtime.adapters.http.tls import ClientTls
from statefun_runtime.core.model.address import TypeName
from statefun_runtime.core.module.specs import EndpointSpec, FunctionPattern, TlsSpec
from statefun_runtime.core.partition.backlog import Backlog, Function
from statefun_runtime.core.partition.partition import Partition
from statefun_runtime.core.partition.retry import Cause, Failure
from statefun_runtime.ports.function_client import FunctionClient
from tests.fakes.endpoint import Answer, Endpoint, Fate
from tests.fakes.function_client import FakeFunctionClient
from tests.fakes.virtual_time import run_virtual
from tests.support.authority import Authority, Pair
from tests.support.http.clients import make_lean, make_okhttp
from tests.support.http.endpoint import HttpEndpoint

FUNCTION = Function(TypeName("t", "f"), EndpointSpec(FunctionPattern("t", None), "http://x/"))
LONG_S = 30.0
COMPANION, COMPANION_BODY = "companion", b"of a companion"


def address(function_id: str = "alice") -> Backlog:
    return Partition(0, range(1)).admit(FUNCTION, function_id, b"")


class Listener:
    """Remembers what it is told, and lets a test wait for it."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str, object]] = []
        self.is_sending = False
        self.client: FunctionClient
        # What was asked for whom, and until when, as whoever sends has to know it.
        self.asked: dict[Backlog, tuple[bytes, float]] = {}
        self._back: list[Backlog] = []
        self._told = asyncio.Event()

    def _add(self, what: str, backlog: Backlog | None, detail: object) -> None:
        assert not self.is_sending, f"{what} was called inside send"
        if backlog is not None and backlog.id == COMPANION:
            return
        self.events.append((what, backlog.id if backlog else "", detail))
        self._told.set()

    def replied(self, backlog: Backlog, body: bytes) -> None:
        self._add("replied", backlog, body)

    def failed(self, backlog: Backlog, failure: Failure) -> None:
        self._add("failed", backlog, failure.cause)
        self.failure = failure

    def came_back(self, backlog: Backlog, *, goes_alone: bool) -> None:
        assert not self.is_sending, "came_back was called inside send"
        self._back.append(backlog)
        asyncio.get_running_loop().call_soon(self._send_again)

    def _send_again(self) -> None:
        while self._back and self.client.can_send(len(self._back), is_alone=True):
            backlog = self._back.pop()
            body, ends_s = self.asked[backlog]
            limit_s = ends_s - asyncio.get_running_loop().time()
            self.client.send(backlog, body, limit_s=limit_s, is_alone=True)

    def unreachable(self, failure: Failure) -> None:
        self._add("unreachable", None, failure.cause)

    def has_room(self) -> None:
        self._send_again()
        self._told.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not condition():
                self._told.clear()
                await self._told.wait()

    async def ended(self, count: int) -> list[tuple[str, str, object]]:
        await self.until(lambda: len(self.events) >= count)
        return self.events


class Server(Protocol):
    """How a test takes the endpoint away and brings it back."""

    def leave(self) -> None: ...
    async def listen(self) -> None: ...


@dataclass
class Rig:
    endpoint: Endpoint
    client: FunctionClient
    listener: Listener
    server: Server
    in_pairs: bool = False

    def __post_init__(self) -> None:
        self.listener.client = self.client
        self.client.attach(self.listener)

    async def room(self) -> None:
        await self.listener.until(lambda: self.client.can_send(1))

    async def send(
        self, function_id: str, body: bytes = b"body", *, limit_s: float = LONG_S
    ) -> None:
        await self.room()
        self._send(address(function_id), body, limit_s)
        if self.in_pairs and self.client.can_send(1):
            self._send(address(COMPANION), COMPANION_BODY, limit_s)

    def _send(self, backlog: Backlog, body: bytes, limit_s: float) -> None:
        self.listener.asked[backlog] = body, asyncio.get_running_loop().time() + limit_s
        self.listener.is_sending = True
        self.client.send(backlog, body, limit_s=limit_s)
        self.listener.is_sending = False

    async def exchange(self, function_id: str = "alice", **how: float) -> tuple[str, str, object]:
        """Send one request and return what came of it."""
        count = len(self.listener.events)
        await self.send(function_id, **how)  # type: ignore[arg-type]
        return (await self.listener.ended(count + 1))[count]


class _FakeServer:
    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint

    def leave(self) -> None:
        self._endpoint.is_up = False

    async def listen(self) -> None:
        self._endpoint.is_up = True


@asynccontextmanager
async def fake_rig(pool_size: int) -> AsyncIterator[Rig]:
    endpoint, listener = Endpoint(), Listener()
    client = FakeFunctionClient(endpoint, pool_size=pool_size)
    yield Rig(endpoint, client, listener, _FakeServer(endpoint))
    client.close()


class PairEndpoint(Endpoint):
    """What it is asked beside the test's own requests goes well, and is not counted."""

    def take(self, request: bytes) -> Answer:
        return Answer(b"well") if request == COMPANION_BODY else super().take(request)


@dataclass
class Way:
    """How a client and a server meet: over TCP, TLS or a unix domain socket."""

    authority: Authority
    pair: Pair
    folder: Path
    kind: str
    takes_bundles: bool = False

    def server(self, endpoint: Endpoint) -> HttpEndpoint:
        return HttpEndpoint(
            endpoint,
            tls=self.pair.server_context() if self.kind == "tls" else None,
            folder=self.folder if self.kind == "unix" else None,
            takes_bundles=self.takes_bundles,
        )

    def tls(self) -> ClientTls | None:
        if self.kind != "tls":
            return None
        return ClientTls(TlsSpec(trust_cacerts=str(self.authority.file)))


def lean(url: str, tasks: asyncio.TaskGroup, pool_size: int, way: Way) -> HttpClient:
    return make_lean(url, tasks, pool_size=pool_size, payload_bytes_max=1 << 20, tls=way.tls())


def okhttp(url: str, tasks: asyncio.TaskGroup, pool_size: int, way: Way) -> HttpxClient:
    return make_okhttp(url, tasks, pool_size=pool_size, tls=way.tls())


@asynccontextmanager
async def http_rig(
    pool_size: int, way: Way, make: Callable[..., FunctionClient]
) -> AsyncIterator[Rig]:
    endpoint = PairEndpoint() if way.takes_bundles else Endpoint()
    async with way.server(endpoint) as server, asyncio.TaskGroup() as tasks:
        client = make(server.url, tasks, pool_size, way)
        rig = Rig(endpoint, client, Listener(), server)
        if way.takes_bundles:
            await rig.exchange()
            rig.listener.events.clear()
            endpoint.requests.clear()
            rig.in_pairs = True
        yield rig
        client.close()


Body = Callable[[Rig], Awaitable[None]]
BUNDLED = [f"bundled-{kind}" for kind in ("tcp", "tls", "unix")]
REAL = [f"{client}-{kind}" for client in ("lean", "okhttp") for kind in ("tcp", "tls", "unix")]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def pair(authority: Authority) -> Pair:
    return authority.issue("server")


@pytest.fixture(params=["fake", *REAL, *BUNDLED])
def with_rig(
    request: pytest.FixtureRequest, authority: Authority, pair: Pair, tmp_path: Path
) -> Callable[..., None]:
    client, _, kind = request.param.partition("-")

    def make(pool_size: int) -> AbstractAsyncContextManager[Rig]:
        if client == "fake":
            return fake_rig(pool_size)
        way = Way(authority, pair, tmp_path, kind, takes_bundles=client == "bundled")
        return http_rig(pool_size, way, okhttp if client == "okhttp" else lean)

    def run(body: Body, *, pool_size: int = 8) -> None:
        async def main() -> None:
            async with make(pool_size) as rig:
                await body(rig)

        if client == "fake":
            run_virtual(main)
        else:
            asyncio.run(main())

    return run


# One is about connections, of which bundles need few; the other begins before anybody could have offered any.
without_bundles = pytest.mark.parametrize("with_rig", ["fake", *REAL], indirect=True)


def test_a_request_is_replied_to_with_the_endpoint_s_body(with_rig: Callable[..., None]):
    async def body(rig: Rig) -> None:
        rig.endpoint.answer = lambda request: Answer(b"reply to " + request)

        assert await rig.exchange() == ("replied", "alice", b"reply to body")
        assert rig.endpoint.requests == [b"body"]
        assert rig.client.in_flight() == 0

    with_rig(body)


def test_an_empty_body_is_a_reply_too(with_rig: Callable[..., None]):
    async def body(rig: Rig) -> None:
        assert await rig.exchange() == ("replied", "alice", b"")

    with_rig(body)


def test_every_request_has_one_outcome_and_its_own(with_rig: Callable[..., None]):
    async def body(rig: Rig) -> None:
        rig.endpoint.answer = lambda r: Answer(r, after_s=0.02 if r < b"body-50" else 0.0)
        for number in range(100):
            await rig.send(f"{number:02d}", b"body-%02d" % number)
        events = await rig.listener.ended(100)

        assert sorted(events) == [("replied", f"{n:02d}", b"body-%02d" % n) for n in range(100)]

    with_rig(body)


@without_bundles
def test_no_more_requests_are_out_than_the_pool_holds(with_rig: Callable[..., None]):
    async def body(rig: Rig) -> None:
        # None of them is over before the third one is out, however long it takes to connect.
        rig.endpoint.answer = lambda _: Answer(after_s=1.0)
        for number in range(3):
            await rig.send(str(number))

        assert rig.client.in_flight() == 3
        assert not rig.client.can_send(1)
        await rig.listener.ended(1)
        await rig.room()

    with_rig(body, pool_size=3)


@pytest.mark.parametrize("status", [300, 404, 500, 503])
def test_another_status_is_a_failure_and_the_connection_goes_on(
    with_rig: Callable[..., None], status: int
):
    async def body(rig: Rig) -> None:
        rig.endpoint.answer = lambda _: Answer(status=status)

        assert await rig.exchange() == ("failed", "alice", Cause.STATUS)
        assert rig.listener.failure.status == status
        assert str(status) in rig.listener.failure.detail
        assert rig.client.can_send(1)

    with_rig(body)


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("is_date", [False, True])
def test_when_to_ask_again_is_told_in_seconds(
    with_rig: Callable[..., None], status: int, is_date: bool
):
    async def body(rig: Rig) -> None:
        rig.endpoint.answer = lambda _: Answer(
            b"busy", status=status, retry_after_s=60.0, is_retry_after_date=is_date
        )

        assert await rig.exchange() == ("failed", "alice", Cause.STATUS)
        failure = rig.listener.failure
        assert failure.is_later
        # Dates are whole seconds, and one may pass before it is read.
        assert 55.0 < (failure.retry_after_s or 0.0) <= 61.0
        rig.endpoint.answer = lambda _: Answer(status=status)
        await rig.exchange()
        assert rig.listener.failure.retry_after_s is None

    with_rig(body)


def test_another_content_type_is_a_failure(with_rig: Callable[..., None]):
    async def body(rig: Rig) -> None:
        rig.endpoint.answer = lambda _: Answer(b"<html>", content_type="text/html")

        assert await rig.exchange() == ("failed", "alice", Cause.CONTENT_TYPE)
        assert "text/html" in rig.listener.failure.detail

    with_rig(body)


def test_a_reply_that_does_not_come_is_a_timeout(with_rig: Callable[..., None]):
    async def body(rig: Rig) -> None:
        rig.endpoint.answer = lambda _: Answer(fate=Fate.LOST)

        assert await rig.exchange(limit_s=0.05) == ("failed", "alice", Cause.TIMEOUT)
        assert rig.client.in_flight() == 0

    with_rig(body)


def test_a_reply_that_comes_too_late_is_not_heard(with_rig: Callable[..., None]):
    async def body(rig: Rig) -> None:
        rig.endpoint.answer = lambda r: Answer(r, after_s=0.15 if r == b"late" else 0.0)
        await rig.send("alice", b"late", limit_s=0.03)
        assert (await rig.listener.ended(1))[0] == ("failed", "alice", Cause.TIMEOUT)

        rig.endpoint.answer = lambda r: Answer(r, after_s=0.15)
        assert await rig.exchange("bob") == ("replied", "bob", b"body")
        assert len(rig.listener.events) == 2

    with_rig(body, pool_size=1)


def test_nobody_is_told_what_comes_of_a_cancelled_request(with_rig: Callable[..., None]):
    async def body(rig: Rig) -> None:
        rig.endpoint.answer = lambda r: Answer(r, after_s=0.1 if r == b"slow" else 0.0)
        await rig.room()
        slow = address("alice")
        rig.listener.is_sending = True
        rig.client.send(slow, b"slow", limit_s=LONG_S)
        rig.listener.is_sending = False
        await asyncio.sleep(0.03)

        assert rig.client.cancel(slow)
        assert not rig.client.cancel(slow)
        assert rig.client.in_flight() == 0
        # There is room for the next, of the same address as well.
        assert await rig.exchange("alice", body=b"fast") == ("replied", "alice", b"fast")
        await asyncio.sleep(0.15)
        assert len(rig.listener.events) == 1

    with_rig(body, pool_size=1)


def test_what_was_answered_cannot_be_cancelled(with_rig: Callable[..., None]):
    async def body(rig: Rig) -> None:
        await rig.exchange("alice")
        assert not rig.client.cancel(address("alice"))

    with_rig(body)


def test_a_connection_cut_in_the_middle_is_a_failure(with_rig: Callable[..., None]):
    async def body(rig: Rig) -> None:
        await rig.exchange()
        rig.endpoint.answer = lambda _: Answer(b"reply", fate=Fate.CUT)

        assert await rig.exchange() == ("failed", "alice", Cause.DISCONNECT)

    with_rig(body)


def test_what_went_out_on_a_closed_connection_is_sent_again_on_a_new_one(
    with_rig: Callable[..., None],
):
    async def body(rig: Rig) -> None:
        await rig.exchange()
        answers = [Answer(fate=Fate.STALE)]
        rig.endpoint.answer = lambda r: answers.pop() if answers else Answer(b"reply to " + r)

        assert await rig.exchange("bob") == ("replied", "bob", b"reply to body")
        assert rig.endpoint.requests == [b"body"] * 3
        assert rig.client.in_flight() == 0

    with_rig(body)


def test_what_is_closed_on_a_new_connection_too_is_a_failure(with_rig: Callable[..., None]):
    async def body(rig: Rig) -> None:
        await rig.exchange()
        rig.endpoint.answer = lambda _: Answer(fate=Fate.STALE)

        assert await rig.exchange("bob") == ("failed", "bob", Cause.DISCONNECT)
        # What came back from a bundle is a new request of its own.
        assert len(rig.endpoint.requests) in ((3, 4) if rig.in_pairs else (3,))
        assert len(rig.listener.events) == 2

    with_rig(body)


def test_a_request_that_goes_again_keeps_its_limit(with_rig: Callable[..., None]):
    async def body(rig: Rig) -> None:
        await rig.exchange()
        answers = [Answer(fate=Fate.STALE)]
        rig.endpoint.answer = lambda _: answers.pop() if answers else Answer(fate=Fate.LOST)

        assert await rig.exchange("bob", limit_s=0.1) == ("failed", "bob", Cause.TIMEOUT)

    with_rig(body)


def test_a_fresh_connection_closed_without_a_byte_is_a_failure(with_rig: Callable[..., None]):
    async def body(rig: Rig) -> None:
        rig.endpoint.answer = lambda _: Answer(fate=Fate.STALE)

        assert await rig.exchange() == ("failed", "alice", Cause.DISCONNECT)

    with_rig(body)


@without_bundles
def test_an_endpoint_that_is_not_there_is_unreachable_until_it_is(with_rig: Callable[..., None]):
    async def body(rig: Rig) -> None:
        rig.server.leave()
        assert not rig.client.can_send(1)
        assert (await rig.listener.ended(1))[0] == ("unreachable", "", Cause.CONNECT)
        assert rig.endpoint.requests == []

        await rig.server.listen()
        assert await rig.exchange() == ("replied", "alice", b"")

    with_rig(body)


def test_room_is_told_when_a_connection_is_free_again(with_rig: Callable[..., None]):
    async def body(rig: Rig) -> None:
        rig.endpoint.answer = lambda _: Answer(after_s=0.02)
        for number in range(5):
            await rig.send(str(number))
        await rig.listener.ended(5)

        assert rig.client.can_send(1)

    with_rig(body, pool_size=1)


def test_after_close_nothing_is_told(with_rig: Callable[..., None]):
    async def body(rig: Rig) -> None:
        rig.endpoint.answer = lambda _: Answer(after_s=0.02)
        await rig.send("alice")
        rig.client.close()

        assert rig.client.in_flight() == 0
        await asyncio.sleep(0)
        assert rig.listener.events == []

    with_rig(body)


def test_large_bodies_pass_both_ways(with_rig: Callable[..., None]):
    async def body(rig: Rig) -> None:
        rig.endpoint.answer = Answer
        large = bytes(range(256)) * 3000
        await rig.send("alice", large)

        assert (await rig.listener.ended(1))[0] == ("replied", "alice", large)

    with_rig(body)
