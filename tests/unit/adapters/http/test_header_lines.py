"""Headers that a module declares: in requests of both clients, from files that are replaced, never in a log."""

import asyncio
import logging
from pathlib import Path

import pytest

from statefun_runtime.adapters.http.client import HttpClient
from statefun_runtime.adapters.http.header_lines import Headers
from statefun_runtime.adapters.http.httpx_client import HttpxClient
from statefun_runtime.core.module.specs import HeaderSpec
from statefun_runtime.errors import ConfigError
from tests.support.http.clients import make_lean, make_okhttp, make_pool
from tests.support.http.raw_http import RawServer, response
from tests.support.http.replies import Caller


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def token(folder: Path, content: bytes = b"Bearer one\n") -> Path:
    path = folder / "token"
    path.write_bytes(content)
    return path


def test_headers_stand_in_requests_as_they_were_declared():
    headers = Headers([HeaderSpec("X-Tenant", "shop"), HeaderSpec("Authorization", "Bearer é")])

    assert headers.lines == b"x-tenant: shop\r\nauthorization: Bearer \xe9\r\n"
    assert not headers.can_change


def test_a_file_is_read_again_when_it_was_replaced_and_looked_at_once_a_second(tmp_path: Path):
    clock = Clock()
    path = token(tmp_path)
    headers = Headers([HeaderSpec("Authorization", file=str(path))], clock)
    assert headers.lines == b"authorization: Bearer one\r\n"

    path.write_bytes(b"Bearer other")
    clock.now_s += 0.9
    assert not headers.have_changed()
    assert headers.lines == b"authorization: Bearer one\r\n"
    clock.now_s += 0.1
    assert headers.have_changed()
    assert headers.lines == b"authorization: Bearer other\r\n"
    clock.now_s += 1.0
    assert not headers.have_changed()


def test_a_new_file_that_cannot_be_used_is_logged_once_and_the_last_value_stays(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    clock = Clock()
    path = token(tmp_path)
    headers = Headers([HeaderSpec("Authorization", file=str(path))], clock)

    path.write_bytes(b"Bearer two\r\nX-Admin: yes")
    for _ in range(3):
        clock.now_s += 1.0
        headers.have_changed()

    assert headers.lines == b"authorization: Bearer one\r\n"
    assert [record.getMessage() for record in caplog.records] == [
        f"the file '{path}' of header 'Authorization' cannot be used: "
        "it has more than one line, or control characters [SF1055]; its last value stays in use"
    ]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b" \n", "it is empty"),
        (b"secret\nX-Admin: yes", "it has more than one line, or control characters"),
        (b"secret\x00", "it has more than one line, or control characters"),
        (None, "no such file or directory"),
    ],
)
def test_a_file_that_cannot_be_used_is_told_at_once(
    tmp_path: Path, content: bytes | None, reason: str
):
    path = tmp_path / "token"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(ConfigError) as raised:
        Headers([HeaderSpec("Authorization", file=str(path))])

    assert str(raised.value) == (
        f"SF1055: the file '{path}' of header 'Authorization' cannot be used: {reason}\n"
        "hint: the file holds the value alone, in one line"
    )


def test_a_value_is_not_in_what_is_printed_of_a_header():
    assert "secret" not in repr(HeaderSpec("Authorization", "secret"))


@pytest.mark.parametrize("kind", ["lean", "okhttp"])
def test_requests_carry_the_value_that_is_in_the_file_now(
    kind: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    async def main() -> None:
        clock = Clock()
        path = token(tmp_path)
        specs = [HeaderSpec("X-Tenant", "shop"), HeaderSpec("Authorization", file=str(path))]
        headers = Headers(specs, clock)
        async with RawServer(lambda _: response(b"reply")) as server, asyncio.TaskGroup() as tasks:
            client = make(kind, server.url(), tasks, headers)
            caller = Caller(client)
            for value in ("one", "two"):
                path.write_text(f"Bearer {value}\n")
                clock.now_s += 1.0
                # The lean client looks when it has been idle, or with its sweep.
                if isinstance(client, HttpClient):
                    client.freshen()
                assert await caller.call() == b"reply"
            client.close()

        sent = [request.headers["authorization"] for request in server.requests]
        assert sent == ["Bearer one", "Bearer two"]
        assert {request.headers["x-tenant"] for request in server.requests} == {"shop"}
        assert {request.headers["content-length"] for request in server.requests} == {"4"}
        assert {request.method for request in server.requests} == {"POST"}

    with caplog.at_level(logging.DEBUG):
        asyncio.run(main())
    assert "Bearer" not in caplog.text


def test_all_types_of_an_endpoint_hear_of_a_new_value(tmp_path: Path):
    async def main() -> None:
        clock = Clock()
        path = token(tmp_path)
        headers = Headers([HeaderSpec("Authorization", file=str(path))], clock)
        async with RawServer(lambda _: response(b"reply")) as server, asyncio.TaskGroup() as tasks:
            pool = make_pool(server.url(), tasks)
            clients = [
                HttpClient(server.url(), pool, payload_bytes_max=1000, headers=headers)
                for _ in range(2)
            ]
            callers = [Caller(client) for client in clients]
            path.write_text("Bearer two\n")
            clock.now_s += 1.0
            for client, caller in zip(clients, callers, strict=True):
                client.freshen()
                assert await caller.call() == b"reply"
            for client in clients:
                client.close()

        sent = [request.headers["authorization"] for request in server.requests]
        assert sent == ["Bearer two", "Bearer two"]

    asyncio.run(main())


def make(
    kind: str, url: str, tasks: asyncio.TaskGroup, headers: Headers
) -> HttpClient | HttpxClient:
    if kind == "okhttp":
        return make_okhttp(url, tasks, headers=headers)
    return make_lean(url, tasks, headers=headers)
