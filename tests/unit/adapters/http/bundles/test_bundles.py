"""Many addresses in one request: when they go together, and what becomes of whom when something is wrong."""

import asyncio
from collections import Counter
from collections.abc import Callable

import pytest

from statefun_runtime.adapters.http.bundles import agreement as agreements
from statefun_runtime.adapters.http.bundles.agreement import Agreement
from statefun_runtime.adapters.http.client import HttpClient
from statefun_runtime.core.model.address import TypeName
from statefun_runtime.core.module.specs import EndpointSpec, FunctionPattern
from statefun_runtime.core.partition.backlog import Backlog, Function
from statefun_runtime.core.partition.partition import Partition
from statefun_runtime.core.partition.retry import Cause, Failure
from tests.support.http.bundles import CONTENT_TYPE, framed, outcome, split
from tests.support.http.clients import make_pool
from tests.support.http.raw_http import RawRequest, RawServer, response

FUNCTION = Function(TypeName("t", "f"), EndpointSpec(FunctionPattern("t", None), "http://x/"))
Answer = Callable[[RawRequest], bytes | None]


def is_bundle(request: RawRequest) -> bool:
    return request.headers["content-type"] == CONTENT_TYPE


def outcomes(*parts: bytes, **headers: str) -> bytes:
    return response(framed(*parts), content_type=CONTENT_TYPE, **headers)


def echo(request: RawRequest) -> bytes:
    """Answer each request with itself, the last of a bundle first."""
    if not is_bundle(request):
        return response(request.body, statefun_bundle="1")
    parts = [outcome(index, reply=body) for index, body in enumerate(split(request.body))]
    return outcomes(*reversed(parts))


class Crowd:
    """Sends the requests of many addresses as soon as there is room; what comes back goes again as it should."""

    def __init__(self, client: HttpClient) -> None:
        self.client = client
        self.limit_s = 30.0
        self.ends: dict[str, str] = {}
        self.back: Counter[str] = Counter()
        self.sent: dict[str, Backlog] = {}
        self._together: list[Backlog] = []
        self._alone: list[Backlog] = []
        self._told = asyncio.Event()
        self.is_closed = False
        client.attach(self)

    async def ask(self, *ids: str) -> dict[str, str]:
        """Send requests, and return what became of each when all have ended."""
        self.begin(*ids)
        await self.until(lambda: all(id in self.ends for id in ids))
        return {id: self.ends.pop(id) for id in ids}

    def begin(self, *ids: str) -> None:
        for id in ids:
            self.sent[id] = Partition(0, range(1)).admit(FUNCTION, id, b"")
            self._together.append(self.sent[id])
        self.has_room()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not condition():
                self._told.clear()
                await self._told.wait()

    def heard(self, answer: Answer) -> Answer:
        """Return an answer that has `until` look again: what the server has got is looked for, too."""

        def told(request: RawRequest) -> bytes | None:
            asyncio.get_running_loop().call_soon(self._told.set)
            return answer(request)

        return told

    def has_room(self) -> None:
        for waiting, is_alone in ((self._alone, True), (self._together, False)):
            while waiting and self.client.can_send(len(waiting), is_alone=is_alone):
                backlog = waiting.pop(0)
                body = backlog.id.encode()
                self.client.send(backlog, body, limit_s=self.limit_s, is_alone=is_alone)
        self._told.set()

    def replied(self, backlog: Backlog, body: bytes) -> None:
        self._end(backlog, f"replied {body.decode()}")

    def failed(self, backlog: Backlog, failure: Failure) -> None:
        self._end(backlog, f"{failure.cause.value} {failure.status or failure.detail}")

    def _end(self, backlog: Backlog, how: str) -> None:
        assert backlog.id not in self.ends, f"{backlog.id} ended twice"
        assert not self.is_closed
        self.ends[backlog.id] = how
        self._told.set()

    def came_back(self, backlog: Backlog, *, goes_alone: bool) -> None:
        self.back[backlog.id] += 1
        (self._alone if goes_alone else self._together).append(backlog)
        asyncio.get_running_loop().call_soon(self.has_room)

    def unreachable(self, failure: Failure) -> None:
        raise AssertionError(failure)


def play(
    answer: Answer, body: Callable[[Crowd, RawServer], object], *, size: int = 8, **more: int
) -> None:
    """Run a test in which the server has said that it takes bundles."""

    async def main() -> None:
        replies: list[Answer] = [echo]
        server = RawServer(lambda request: replies[-1](request))
        async with server, asyncio.TaskGroup() as tasks:
            pool = make_pool(server.url(), tasks, size=size)
            client = HttpClient(server.url(), pool, payload_bytes_max=1000, **more)
            crowd = Crowd(client)
            await crowd.ask("first")
            server.requests.clear()
            replies.append(crowd.heard(answer))
            await body(crowd, server)  # type: ignore[misc]
            assert client.in_flight() == 0
            assert (pool.lent, len(pool.busy)) == (0, 0)
            crowd.is_closed = True
            client.close()

    asyncio.run(main())


def ids(count: int) -> list[str]:
    return [f"id-{number}" for number in range(count)]


def well(*names: str) -> dict[str, str]:
    return {name: f"replied {name}" for name in names}


def test_what_is_sent_in_one_turn_leaves_together():
    async def body(crowd: Crowd, server: RawServer) -> None:
        assert await crowd.ask(*ids(20)) == well(*ids(20))
        assert [len(list(split(r.body))) for r in server.requests] == [20]
        assert server.requests[0].headers["statefun-bundle"] == "1"
        assert "accept-encoding" not in server.requests[0].headers

    play(echo, body)


def test_a_single_request_goes_as_ever():
    async def body(crowd: Crowd, server: RawServer) -> None:
        assert await crowd.ask("alice") == well("alice")
        assert [r.headers["content-type"] for r in server.requests] == ["application/octet-stream"]

    play(echo, body)


def test_a_server_that_does_not_ask_for_bundles_gets_none():
    async def main() -> None:
        server = RawServer(lambda r: response(r.body, statefun_bundle="2"))
        async with server, asyncio.TaskGroup() as tasks:
            pool = make_pool(server.url(), tasks, size=8)
            crowd = Crowd(HttpClient(server.url(), pool, payload_bytes_max=1000))
            await crowd.ask(*ids(20))
            await crowd.ask(*ids(20))
            assert not any(is_bundle(r) for r in server.requests)
            crowd.client.close()

    asyncio.run(main())


def test_many_are_spread_over_a_few_connections():
    async def body(crowd: Crowd, server: RawServer) -> None:
        assert await crowd.ask(*ids(1000)) == well(*ids(1000))
        assert 4 <= len(server.requests) <= 40
        assert server.open_max <= 4

    play(echo, body)


def test_a_bundle_holds_as_many_bytes_as_a_request_may_have():
    async def body(crowd: Crowd, server: RawServer) -> None:
        names = [f"{name}-{'x' * 30}" for name in ids(30)]
        assert await crowd.ask(*names, "y" * 200) == well(*names, "y" * 200)
        large = [r.body for r in server.requests if len(r.body) > 120]
        assert large == [b"y" * 200]

    play(echo, body, bundle_bytes_max=136)


@pytest.mark.parametrize(
    "refusal",
    [
        response(b"", status=415),
        response(b"", status=400),
        response(b"", status=500),
        response(b"", status=204),
        response(b"an ordinary reply"),
        response(b"", content_type=CONTENT_TYPE, content_encoding="gzip"),
        b"HTTP/1.1 502 Whatever\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n",
    ],
)
def test_a_server_that_understands_no_bundles_any_more_costs_nothing(refusal: bytes):
    def answer(request: RawRequest) -> bytes:
        return refusal if is_bundle(request) else response(request.body)

    async def body(crowd: Crowd, server: RawServer) -> None:
        assert await crowd.ask(*ids(20)) == well(*ids(20))
        assert crowd.back == Counter(ids(20))
        await crowd.ask(*ids(20))
        assert [is_bundle(r) for r in server.requests] == [True] + 40 * [False]

    play(answer, body)


def test_it_is_asked_again_when_an_ordinary_answer_wants_it_and_ever_later():
    def answer(request: RawRequest) -> bytes:
        return response(status=415) if is_bundle(request) else echo(request)

    async def body(crowd: Crowd, server: RawServer) -> None:
        loop = asyncio.get_running_loop()
        ends_s = loop.time() + 0.75
        while loop.time() < ends_s:
            assert await crowd.ask(*ids(5)) == well(*ids(5))
        # At once, and after 0.1, 0.3 and 0.7 s.
        assert 2 <= sum(is_bundle(r) for r in server.requests) <= 4

    play(answer, body)


def test_a_bundle_that_is_too_large_is_halved():
    def answer(request: RawRequest) -> bytes:
        is_large = is_bundle(request) and len(request.body) > 150
        return response(status=413) if is_large else echo(request)

    async def body(crowd: Crowd, server: RawServer) -> None:
        for _ in range(10):
            assert await crowd.ask(*ids(40)) == well(*ids(40))
        sizes = [len(r.body) for r in server.requests if is_bundle(r)]
        assert sum(size > 150 for size in sizes) == 1
        assert sum(size <= sizes[0] // 2 for size in sizes) > 20

    play(answer, body)


def test_one_that_fails_fails_alone():
    def answer(request: RawRequest) -> bytes:
        return outcomes(
            outcome(1, status=500, text="ValueError: no"),
            outcome(2, status=429, text="busy", later_s=7),
            outcome(0, reply=b"a"),
            b"\x08\x03",
        )

    async def body(crowd: Crowd, server: RawServer) -> None:
        ends = await crowd.ask("a", "b", "c", "d")
        assert ends == {"a": "replied a", "b": "status 500", "c": "status 429", "d": "replied "}

    play(answer, body)


CUT = "disconnect the connection was closed before a whole reply came"


def test_an_answer_that_ends_too_early_is_one_for_those_that_came():
    def answer(request: RawRequest) -> bytes:
        return outcomes(outcome(1, reply=b"b"))

    async def body(crowd: Crowd, server: RawServer) -> None:
        assert await crowd.ask("a", "b", "c") == {"a": CUT, "b": "replied b", "c": CUT}
        assert not crowd.back

    play(answer, body)


@pytest.mark.parametrize(
    "wrong",
    [outcome(1, reply=b"again"), outcome(3, reply=b"foreign"), b"\xff\xff\xff"],
)
def test_nothing_is_believed_behind_an_outcome_that_cannot_be(wrong: bytes):
    def answer(request: RawRequest) -> bytes:
        return outcomes(outcome(1, reply=b"b"), wrong, outcome(0, reply=b"a"))

    async def body(crowd: Crowd, server: RawServer) -> None:
        ends = await crowd.ask("a", "b", "c")
        assert ends.pop("b") == "replied b"
        assert {each.split(" ")[0] for each in ends.values()} == {"disconnect"}
        await server.left()

    play(answer, body)


def test_a_connection_that_is_cut_in_an_answer_keeps_what_came():
    part = framed(outcome(1, reply=b"b"))
    head = (
        b"HTTP/1.1 200 OK\r\ncontent-type: %b\r\ncontent-length: 100\r\n\r\n"
        % CONTENT_TYPE.encode()
    )

    async def body(crowd: Crowd, server: RawServer) -> None:
        crowd.begin("a", "b", "c")
        await crowd.until(lambda: "b" in crowd.ends)
        assert crowd.client.in_flight() == 2
        server.cut()
        await crowd.until(lambda: len(crowd.ends) == 3)
        assert crowd.ends == {"a": CUT, "b": "replied b", "c": CUT}

    play(lambda _: head + part, body)


def test_neighbours_of_one_that_hangs_go_alone_and_have_lost_nothing():
    def answer(request: RawRequest) -> bytes | None:
        """Work one after another, and hang at the second."""
        if not is_bundle(request):
            return echo(request) if request.body != b"b" else None
        head = f"HTTP/1.1 200 OK\r\ncontent-type: {CONTENT_TYPE}\r\ncontent-length: 999\r\n\r\n"
        return head.encode() + framed(outcome(0, reply=b"a"))

    async def body(crowd: Crowd, server: RawServer) -> None:
        crowd.limit_s = 0.1
        ends = await crowd.ask("a", "b", "c", "d")
        assert ends.pop("b") == f"{Cause.TIMEOUT.value} no reply within the time limit"
        assert ends == well("a", "c", "d")
        assert crowd.back == Counter("cd")
        assert [r.body for r in server.requests[1:]] == [b"c", b"d"]

    play(answer, body)


def test_an_answer_that_does_not_end_after_its_last_outcome_fails_nobody():
    head = (
        f"HTTP/1.1 200 OK\r\ncontent-type: {CONTENT_TYPE}\r\ncontent-length: 999\r\n\r\n".encode()
    )

    async def body(crowd: Crowd, server: RawServer) -> None:
        crowd.limit_s = 0.1
        assert await crowd.ask("a", "b") == {"a": "replied 1", "b": "replied 2"}
        await server.left()
        await asyncio.sleep(0.01)

    play(lambda _: head + framed(outcome(0, reply=b"1"), outcome(1, reply=b"2")), body)


def test_one_that_is_cancelled_is_not_told_and_the_others_are():
    held: list[bytes] = []

    def answer(request: RawRequest) -> bytes | None:
        held.append(echo(request))
        return None

    async def body(crowd: Crowd, server: RawServer) -> None:
        crowd.begin("a", "b", "c")
        assert crowd.client.cancel(crowd.sent["c"])
        await crowd.until(lambda: len(server.requests) == 1 or crowd.has_room() or False)
        assert crowd.client.in_flight() == 2
        assert crowd.client.cancel(crowd.sent["a"])
        assert not crowd.client.cancel(crowd.sent["a"])
        assert crowd.client.in_flight() == 1
        (writer,) = server._writers
        writer.write(held[0])
        await crowd.until(lambda: bool(crowd.ends))
        await asyncio.sleep(0.01)
        assert crowd.ends == well("b")

    play(answer, body)


def test_when_all_are_cancelled_the_connection_is_closed():
    async def body(crowd: Crowd, server: RawServer) -> None:
        crowd.begin("a", "b")
        await asyncio.sleep(0.02)
        assert crowd.client.cancel(crowd.sent["a"])
        assert crowd.client.cancel(crowd.sent["b"])
        await server.left()

    play(lambda _: None, body)


def test_a_slow_address_holds_up_neither_its_neighbours_nor_the_next_bundle():
    """With a place for four bundles, ten go out of which one outcome each does not come."""
    head = (
        f"HTTP/1.1 200 OK\r\ncontent-type: {CONTENT_TYPE}\r\ncontent-length: 9999\r\n\r\n".encode()
    )

    def answer(request: RawRequest) -> bytes:
        parts = [outcome(index, reply=body) for index, body in enumerate(split(request.body))]
        return head + framed(*parts[1:])

    async def body(crowd: Crowd, server: RawServer) -> None:
        for number in range(10):
            names = [f"{number}-{name}" for name in ids(5)]
            crowd.begin(*names)
            await crowd.until(lambda: set(names[1:]) <= set(crowd.ends))  # noqa: B023
        assert crowd.client.in_flight() == 10
        for number in range(10):
            crowd.client.cancel(crowd.sent[f"{number}-id-0"])

    play(answer, body, size=16)


def test_bundles_of_which_nothing_is_heard_keep_the_next_waiting_for_a_moment_only():
    def answer(request: RawRequest) -> bytes | None:
        return None if b"hangs" in request.body else echo(request)

    async def body(crowd: Crowd, server: RawServer) -> None:
        hanging = [f"hangs-{number}" for number in range(8)]
        for at in range(0, 8, 2):
            crowd.begin(*hanging[at : at + 2])
            await crowd.until(lambda: len(server.requests) == at // 2 + 1)  # noqa: B023
        assert not crowd.client.can_send(1)
        assert await crowd.ask("a", "b") == well("a", "b")
        for name in hanging:
            crowd.client.cancel(crowd.sent[name])

    play(answer, body, size=16)


def test_function_types_of_one_url_share_what_is_known_of_it():
    async def main() -> None:
        async with RawServer(echo) as server, asyncio.TaskGroup() as tasks:
            pool = make_pool(server.url(), tasks, size=8)
            one, other, elsewhere = (
                Crowd(HttpClient(server.url(path), pool, payload_bytes_max=1000))
                for path in ("/statefun", "/statefun", "/else")
            )
            await one.ask("first")
            for crowd, knows in ((other, True), (elsewhere, False)):
                server.requests.clear()
                await crowd.ask(*ids(3))
                assert is_bundle(server.requests[0]) is knows
            for crowd in (one, other, elsewhere):
                crowd.client.close()

    asyncio.run(main())


def test_a_sweep_between_gathering_and_leaving_does_no_harm():
    async def body(crowd: Crowd, server: RawServer) -> None:
        for connection in crowd.client._pool.idle:
            connection.ends_s = 0.0
        crowd.begin(*ids(5))
        assert crowd.client.in_flight() == 5
        crowd.client._pool._sweep()
        await crowd.until(lambda: len(crowd.ends) == 5)
        assert crowd.ends == well(*ids(5))

    play(echo, body)


def test_who_goes_alone_has_the_connections_that_requests_are_worth():
    """Twice as many are out when nothing comes back for half a second, also while bundles do."""

    def answer(request: RawRequest) -> bytes | None:
        return echo(request) if is_bundle(request) else None

    async def body(crowd: Crowd, server: RawServer) -> None:
        first = crowd.client.capacity() // 2
        slow = [Partition(0, range(1)).admit(FUNCTION, f"slow-{n}", b"") for n in range(60)]
        out: list[Backlog] = []
        async with asyncio.timeout(10):
            while len(out) < 50:
                is_allowed = len(out) < crowd.client.capacity() // 2
                if is_allowed and crowd.client.can_send(1, is_alone=True):
                    out.append(slow.pop())
                    crowd.client.send(out[-1], b"slow", limit_s=30.0, is_alone=True)
                await crowd.ask("a", "b")
        assert first < 50
        for backlog in out:
            crowd.client.cancel(backlog)

    play(answer, body, size=200)


def test_who_goes_alone_goes_alone():
    async def body(crowd: Crowd, server: RawServer) -> None:
        backlog = Partition(0, range(1)).admit(FUNCTION, "slow", b"")
        await crowd.until(lambda: crowd.client.can_send(1, is_alone=True))
        crowd.client.send(backlog, b"slow", limit_s=1.0, is_alone=True)
        await crowd.ask("a", "b")
        await crowd.until(lambda: "slow" in crowd.ends)
        assert sorted(r.body for r in server.requests if not is_bundle(r)) == [b"slow"]

    play(echo, body)


@pytest.mark.parametrize(("spread_s", "whole_s"), [(0.3, 0.3), (0.0, 1.2)])
def test_a_server_that_takes_long_for_each_gets_few_at_a_time_and_a_quick_one_many(
    spread_s: float, whole_s: float
):
    agreement = Agreement(1000)
    first = agreement.addresses_max

    def answered(addresses: int, spread_s: float, whole_s: float) -> int:
        agreement.answered(addresses, 500, spread_s=spread_s, whole_s=whole_s, now_s=1.0)
        return agreement.addresses_max

    assert answered(first, spread_s, whole_s) == first // 2
    assert answered(10, spread_s, whole_s) == first // 2
    for _ in range(20):
        answered(agreement.addresses_max, spread_s, whole_s)
    assert agreement.addresses_max == agreements._ADDRESSES_MIN
    for _ in range(20):
        answered(agreement.addresses_max, 0.001, 0.002)
    assert agreement.addresses_max == agreements.ADDRESSES_MAX


@pytest.mark.parametrize(
    ("refused_at", "pause_s"), [((9.0,), 0.1), ((9.0, 9.2), 0.2), ((9.0, 9.2, 9.5), 0.4)]
)
def test_with_every_refusal_that_follows_soon_it_is_left_alone_for_longer(
    refused_at: tuple[float, ...], pause_s: float
):
    agreement = Agreement(1000)
    for now_s in refused_at:
        agreement.refused(now_s)
    assert not asked(agreement, refused_at[-1] + pause_s - 0.01)
    assert asked(agreement, refused_at[-1] + pause_s + 0.01)

    agreement.refused(30.0)
    assert asked(agreement, 30.11)


def asked(agreement: Agreement, now_s: float) -> bool:
    agreement.asked(now_s)
    return agreement.is_on
