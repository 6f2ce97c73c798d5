"""The client of okhttp: redirects, proxies, sockets, timeouts, and connections that grow old."""

import asyncio
import gzip
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from statefun_runtime.adapters.http import httpx_client
from statefun_runtime.adapters.http.client import HttpClient
from statefun_runtime.adapters.http.header_lines import Headers
from statefun_runtime.adapters.http.httpx_client import HttpxClient
from statefun_runtime.adapters.http.tls import ClientTls
from statefun_runtime.core.module.specs import HeaderSpec, OkHttpTransport, TlsSpec
from statefun_runtime.core.partition.allowance import START
from statefun_runtime.core.partition.retry import Cause, Failure
from tests.support.authority import Authority
from tests.support.http.clients import make_lean, make_okhttp
from tests.support.http.raw_http import RawRequest, RawServer, Tunnel, response
from tests.support.http.replies import Caller

SPEC = OkHttpTransport()
SECRET = (HeaderSpec("Authorization", "Bearer secret"), HeaderSpec("X-Key", "secret"))


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@asynccontextmanager
async def calling(
    url: str, spec: OkHttpTransport = SPEC, **more: Any
) -> AsyncIterator[tuple[Caller, HttpxClient]]:
    async with asyncio.TaskGroup() as tasks:
        client = make_okhttp(url, tasks, spec, **more)
        yield Caller(client), client
        client.close()


def redirecting(status: int, to: Callable[[], str]) -> Callable[[RawRequest], bytes]:
    """Answer `/statefun` with a redirect, and what comes elsewhere with its method and body."""

    def answer(request: RawRequest) -> bytes:
        if request.target == "/statefun":
            return response(b"moved", status, location=to())
        return response(request.method.encode() + b" " + request.body)

    return answer


@pytest.mark.parametrize(
    ("status", "reply"),
    [
        (300, b"GET "),
        (301, b"GET "),
        (302, b"GET "),
        (303, b"GET "),
        (307, b"POST body"),
        (308, b"POST body"),
    ],
)
def test_a_redirect_is_followed_as_okhttp_follows_it(status: int, reply: bytes):
    async def main() -> None:
        async with RawServer(redirecting(status, lambda: "/there?a=b")) as server:
            async with calling(server.url()) as (caller, _):
                assert await caller.call() == reply
                assert await caller.call() == reply

            assert server.opened == 1
            assert [r.target for r in server.requests] == ["/statefun", "/there?a=b"] * 2
            lengths = {r.headers.get("content-length") for r in server.requests if r.body}
            assert lengths == {"4"}
            got = [r for r in server.requests if r.method == "GET"]
            assert all({"content-length", "content-type"}.isdisjoint(r.headers) for r in got)

    asyncio.run(main())


@pytest.mark.parametrize("location", ["ftp://elsewhere/", "mailto:me", None])
def test_a_redirect_to_nowhere_is_a_failure(location: str | None):
    async def main() -> None:
        more = {"location": location} if location else {}
        async with (
            RawServer(lambda _: response(b"", 302, **more)) as server,
            calling(server.url()) as (caller, _),
        ):
            failure = await caller.failure()
            assert failure == Failure(
                Cause.STATUS, "the endpoint answered with status 302", status=302
            )

    asyncio.run(main())


@pytest.mark.parametrize("host", ["127.0.0.1:1", "x" * 70 + ".invalid", "nobody.invalid"])
def test_a_redirect_to_where_nobody_is_says_so(host: str):
    async def main() -> None:
        async with (
            RawServer(lambda _: response(b"", 307, location=f"http://{host}/")) as server,
            calling(server.url()) as (caller, client),
        ):
            failure = await caller.failure()
            assert failure.cause is Cause.CONNECT
            text = f"redirected to {host}, and cannot connect to it: "
            assert failure.detail.startswith(text)
            assert client.can_send(1), "the endpoint itself was reached"

    asyncio.run(main())


def test_redirects_in_a_circle_end():
    async def main() -> None:
        async with (
            RawServer(lambda _: response(b"", 307, location="/statefun")) as server,
            calling(server.url()) as (caller, _),
        ):
            failure = await caller.failure()
            assert failure == Failure(Cause.DISCONNECT, "redirected more than 20 times")
            assert len(server.requests) == 21

    asyncio.run(main())


def test_what_is_secret_goes_to_the_endpoint_alone():
    async def main() -> None:
        async with (
            RawServer(lambda _: response(b"reply")) as other,
            RawServer(redirecting(307, lambda: other.url("/there"))) as server,
            calling(server.url(), headers=Headers(SECRET)) as (caller, _),
        ):
            assert await caller.call() == b"reply"
            assert server.requests[0].headers["authorization"] == "Bearer secret"
            assert other.requests[0].headers.keys().isdisjoint({"authorization", "x-key"})
            assert other.requests[0].headers["host"] == f"127.0.0.1:{other.port}"

    asyncio.run(main())


def test_a_redirect_may_lead_to_https(tmp_path: Path):
    async def main() -> None:
        authority = Authority(tmp_path)
        context = authority.issue("server").server_context()
        tls = ClientTls(TlsSpec(trust_cacerts=str(authority.file)))
        async with (
            RawServer(lambda _: response(b"reply"), tls=context) as other,
            RawServer(redirecting(308, lambda: other.url("/there"))) as server,
            calling(server.url(), tls=tls) as (caller, _),
        ):
            assert await caller.call() == b"reply"

    asyncio.run(main())


def proxied(proxy: RawServer, way: str, monkeypatch: pytest.MonkeyPatch) -> OkHttpTransport:
    where = f"http://me:pass%20word@127.0.0.1:{proxy.port}"
    if way == "environment":
        monkeypatch.setenv("HTTP_PROXY", where)
        return SPEC
    return OkHttpTransport(proxy=where)


@pytest.mark.parametrize("way", ["module", "environment"])
def test_requests_go_through_the_proxy(way: str, monkeypatch: pytest.MonkeyPatch):
    async def main() -> None:
        async with RawServer(lambda request: response(request.target.encode())) as proxy:
            spec = proxied(proxy, way, monkeypatch)
            async with calling("http://functions.invalid:8000/statefun", spec) as (caller, _):
                reply = b"http://functions.invalid:8000/statefun"
                assert await caller.call() == reply
                assert await caller.call() == reply

            assert proxy.requests[0].headers["host"] == "functions.invalid:8000"
            # me:pass word
            authorization = proxy.requests[0].headers["proxy-authorization"]
            assert authorization == "Basic bWU6cGFzcyB3b3Jk"

    asyncio.run(main())


def test_hosts_that_need_no_proxy_are_called_directly(monkeypatch: pytest.MonkeyPatch):
    async def main() -> None:
        monkeypatch.setenv("HTTP_PROXY", "http://proxy.invalid:3128")
        monkeypatch.setenv("NO_PROXY", "localhost,127.0.0.1")
        async with (
            RawServer(lambda _: response(b"reply")) as server,
            calling(server.url()) as (caller, _),
        ):
            assert await caller.call() == b"reply"

    asyncio.run(main())


def test_https_goes_through_a_tunnel_of_the_proxy(tmp_path: Path):
    async def main() -> None:
        authority = Authority(tmp_path)
        context = authority.issue("server").server_context()
        tls = ClientTls(TlsSpec(trust_cacerts=str(authority.file)))
        async with (
            RawServer(lambda _: response(b"reply"), tls=context) as server,
            Tunnel() as tunnel,
        ):
            spec = OkHttpTransport(proxy=f"http://127.0.0.1:{tunnel.port}")
            async with calling(server.url(), spec, tls=tls) as (caller, _):
                assert await caller.call() == b"reply"

            asked = [(request.method, request.target) for request in tunnel.requests]
            assert asked == [("CONNECT", f"127.0.0.1:{server.port}")]

    asyncio.run(main())


def test_a_proxy_that_is_away_is_told_without_its_password():
    async def main() -> None:
        spec = OkHttpTransport(proxy="http://me:secret@127.0.0.1:1")
        async with calling("http://functions.invalid/", spec) as (caller, _):
            failure = await caller.failure()

        assert failure.cause is Cause.CONNECT
        assert failure.detail.startswith("cannot connect to 127.0.0.1:1: ")
        assert "secret" not in failure.detail

    asyncio.run(main())


@pytest.mark.parametrize("kind", ["lean", "okhttp"])
@pytest.mark.parametrize(
    ("rest", "target"), [("", "/"), ("/statefun", "/statefun"), ("/a/b%20c?d=e", "/a/b%20c?d=e")]
)
def test_a_socket_is_asked_for_the_path_behind_it(
    kind: str, rest: str, target: str, tmp_path: Path
):
    async def main() -> None:
        path = tmp_path / "fns.sock"
        async with RawServer(lambda _: response(b"reply"), socket=path) as server:
            async with asyncio.TaskGroup() as tasks:
                url = f"http+unix://{path}{rest}"
                client = make(kind, url, tasks)
                assert await Caller(client).call() == b"reply"
                client.close()

            assert server.requests[0].target == target
            assert server.requests[0].headers["host"] == "unused"

    asyncio.run(main())


@pytest.mark.parametrize("kind", ["lean", "okhttp"])
def test_a_socket_that_is_away_is_named(kind: str, tmp_path: Path):
    async def main() -> None:
        async with asyncio.TaskGroup() as tasks:
            client = make(kind, f"https+unix://{tmp_path}/fns.sock", tasks)
            failure = await Caller(client).failure()
            client.close()

        assert failure.cause is Cause.CONNECT
        assert failure.detail.startswith(f"cannot connect to {tmp_path}/fns.sock: ")

    asyncio.run(main())


def make(kind: str, url: str, tasks: asyncio.TaskGroup) -> HttpClient | HttpxClient:
    if kind == "okhttp":
        return make_okhttp(url, tasks)
    return make_lean(url, tasks)


def test_nothing_for_as_long_as_read_says_is_a_timeout():
    async def main() -> None:
        async with (
            RawServer(lambda _: None) as server,
            calling(server.url(), OkHttpTransport(read_s=0.05)) as (caller, _),
        ):
            assert await caller.failure() == Failure(Cause.TIMEOUT, "nothing came for 0.05 s")

    asyncio.run(main())


def test_a_reply_that_trickles_is_limited_by_the_call_alone():
    async def main() -> None:
        async with (
            RawServer(lambda _: None) as server,
            calling(server.url(), OkHttpTransport(read_s=5.0)) as (caller, _),
        ):
            failure = await caller.failure(limit_s=0.05)
            assert failure == Failure(Cause.TIMEOUT, "no reply within the time limit")

    asyncio.run(main())


def test_a_compressed_reply_is_decoded_and_a_damaged_one_is_a_failure():
    replies = [
        response(gzip.compress(b"reply"), content_encoding="gzip"),
        response(b"nonsense", content_encoding="gzip"),
    ]

    async def main() -> None:
        async with (
            RawServer(lambda _: replies.pop(0)) as server,
            calling(server.url()) as (caller, _),
        ):
            assert await caller.call() == b"reply"
            failure = await caller.failure()
            assert failure.cause is Cause.BAD_HTTP
            assert failure.detail.startswith("the response's body cannot be decoded: ")

    asyncio.run(main())


def test_a_reply_that_is_too_large_is_a_failure(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(httpx_client, "_REPLY_BYTES_MAX", 1000)
    packed = response(gzip.compress(bytes(100_000)), content_encoding="gzip")

    async def main() -> None:
        async with RawServer(lambda _: packed) as server, calling(server.url()) as (caller, _):
            failure = await caller.failure()
            text = "the response is larger than 1000 bytes"
            assert failure == Failure(Cause.TOO_LARGE, text)

    asyncio.run(main())


def test_what_is_not_http_is_a_failure():
    async def main() -> None:
        async with (
            RawServer(lambda _: b"SSH-2.0-OpenSSH\r\n\r\n") as server,
            calling(server.url()) as (caller, _),
        ):
            failure = await caller.failure()
            assert failure.cause is Cause.BAD_HTTP
            assert failure.detail.startswith("the response is not proper HTTP: ")

    asyncio.run(main())


def test_a_connection_is_used_again_until_it_is_old():
    async def main() -> None:
        async with (
            RawServer(lambda _: response(b"reply")) as server,
            calling(server.url(), OkHttpTransport(pool_ttl_s=15.0)) as (caller, client),
        ):
            opened = []
            for age_s in (0.0, 14.9, 3.2, 0.0, 0.0):
                assert await caller.call() == b"reply"
                for slot in client._slots._idle:
                    slot.dies_s -= age_s
                opened.append(server.opened)
            # What is old by then carries one more request, and is closed.
            assert opened == [1, 1, 1, 1, 2]

    asyncio.run(main())


def test_more_requests_go_out_when_none_comes_back():
    async def main() -> None:
        async with RawServer(lambda _: None) as server, calling(server.url()) as (_, client):
            listener = Counting()
            client.attach(listener)
            for out in (START, 2 * START):
                async with asyncio.timeout(10):
                    while not client.can_send(1):
                        listener.told.clear()
                        await listener.told.wait()
                while client.can_send(1):
                    client.send(listener.backlog(), b"", limit_s=30.0)
                assert client.in_flight() == out

    asyncio.run(main())


class Counting(Caller):
    """Hears that there is room, and nothing else."""

    def __init__(self) -> None:
        self.told = asyncio.Event()

    def has_room(self) -> None:
        self.told.set()


def test_a_connection_that_was_idle_for_long_is_not_used_again(monkeypatch: pytest.MonkeyPatch):
    async def main() -> None:
        async with (
            RawServer(lambda _: response(b"reply")) as server,
            calling(server.url(), OkHttpTransport(pool_ttl_s=0.0)) as (caller, client),
        ):
            start_s = asyncio.get_running_loop().time()
            opened = []
            for age_s in (0.0, 3.9, 8.0):
                monkeypatch.setattr(client._slots, "_now_s", lambda at=start_s + age_s: at)
                assert await caller.call() == b"reply"
                opened.append(server.opened)
            assert opened == [1, 1, 2]

    asyncio.run(main())
