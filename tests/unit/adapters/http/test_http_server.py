"""The server of the worker's own ports, over real sockets."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest

from statefun_runtime.adapters.http.server import HttpRequest, HttpResponse, HttpServer
from statefun_runtime.errors import UnavailableError

BODY_MAX = 1000
Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def echo(request: HttpRequest) -> HttpResponse:
    if request.path == "/bug":
        raise AssertionError("a bug of ours")
    text = f"{request.method} {'|'.join(request.segments())} {request.query}".encode()
    return HttpResponse(200, text + b" " + request.body, headers=(("X-Own", "1"),))


def talk(body: Talk, *, errors: list[BaseException] | None = None) -> None:
    async def main() -> None:
        def collect(loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
            error = context.get("exception")
            assert errors is not None, context
            assert isinstance(error, BaseException)
            errors.append(error)

        asyncio.get_running_loop().set_exception_handler(collect)
        server = HttpServer(echo, host="127.0.0.1", port=0, body_bytes_max=BODY_MAX)
        await server.start(what="the test")
        async with asyncio.timeout(20):
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            await body(reader, writer)
            writer.close()
        await server.close()

    asyncio.run(main())


async def response(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    status, *lines = head.strip().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return int(status.split()[1]), headers, body


def exchange(*data: bytes) -> tuple[int, str, bool]:
    """Send data in pieces; return status, body, and whether the connection goes on."""
    found: list[tuple[int, str, bool]] = []

    async def body(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for piece in data:
            writer.write(piece)
            await writer.drain()
        status, headers, content = await response(reader)
        found.append((status, content.decode(), headers["connection"] == "keep-alive"))
        if headers["connection"] == "close":
            with suppress(ConnectionResetError):
                assert await reader.read() == b""

    talk(body)
    return found[0]


def put(body: bytes, path: bytes = b"/a/b", headers: bytes = b"") -> bytes:
    return b"PUT %b HTTP/1.1\r\nHost: x\r\n%bContent-Length: %d\r\n\r\n%b" % (
        path,
        headers,
        len(body),
        body,
    )


def test_a_request_is_answered_and_the_connection_goes_on():
    assert exchange(put(b"body", b"/a/b?q=1&r")) == (200, "PUT a|b q=1&r body", True)


def test_a_path_is_decoded_part_by_part():
    status, text, _ = exchange(put(b"", b"/a%2Fb/c%20d/%C3%A9/%FF//"))

    assert (status, text) == (200, "PUT a/b|c d|é|\ufffd||  ")


def test_a_chunked_body_is_put_together():
    head = b"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"

    assert exchange(head + b"2\r\nbo\r\n", b"2\r\ndy\r\n0\r\n\r\n") == (200, "POST a  body", True)


def test_requests_in_a_row_are_answered_in_order():
    async def body(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"".join(put(b"%d" % number) for number in range(20)))
        for number in range(20):
            status, headers, content = await response(reader)
            assert (status, content) == (200, b"PUT a|b  %d" % number)
            assert headers["x-own"] == "1"

    talk(body)


@pytest.mark.parametrize(
    "data", [put(b"x", headers=b"Connection: close\r\n"), put(b"x").replace(b"/1.1", b"/1.0")]
)
def test_a_client_that_wants_no_more_is_let_go(data: bytes):
    assert exchange(data) == (200, "PUT a|b  x", False)


@pytest.mark.parametrize(
    "data",
    [
        b"garbage\r\n\r\n",
        b"PUT /a HTTP/1.1\r\nno colon\r\n\r\n",
        b"PUT /a HTTP/1.1\r\nContent-Length: x\r\n\r\n",
        b"PUT /a HTTP/1.1\r\nContent-Length: %b\r\n\r\n" % (b"9" * 5000),
        b"PUT /a HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 this is TLS",
    ],
)
def test_what_is_not_proper_http_is_refused_and_let_go(data: bytes):
    status, text, goes_on = exchange(data)

    assert (status, goes_on) == (400, False)
    assert text.startswith("not a proper HTTP request: ")


@pytest.mark.parametrize("body", [b"", b"body"])
def test_an_upgrade_is_refused_once(body: bytes):
    data = put(body, headers=b"Upgrade: h2c\r\nConnection: upgrade\r\n")

    assert exchange(data) == (400, "upgrades are not supported\n", False)


def test_a_target_that_is_no_path_is_refused():
    status, text, _ = exchange(b"PUT http://x/a HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")

    assert (status, text) == (400, "the request's target must be a path\n")


def test_a_body_that_says_it_is_too_large_is_refused_before_it_comes():
    data = put(b"x" * (BODY_MAX + 1))

    assert exchange(data[: -BODY_MAX - 1]) == (413, "the body is larger than 1000 bytes\n", False)


def test_a_chunked_body_that_becomes_too_large_is_refused():
    head = b"PUT /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunk = b"258\r\n" + b"x" * 600 + b"\r\n"

    assert exchange(head + chunk + chunk)[0] == 413


def test_the_largest_body_is_taken():
    assert exchange(put(b"x" * BODY_MAX))[0] == 200


@pytest.mark.parametrize(
    "data",
    [
        b"PUT /a HTTP/1.1\r\nX: " + b"y" * 70_000,
        b"PUT /a HTTP/1.1\r\n" + b"X: yyyyyyyyyyyyyyyy\r\n" * 4000,
        b"PUT /" + b"a" * 70_000,
        put(b"", headers=b"X: " + b"y" * 70_000 + b"\r\n"),
    ],
)
def test_a_head_that_is_too_large_is_refused_even_if_it_never_ends(data: bytes):
    assert exchange(data) == (431, "the request's head is too large\n", False)


def test_a_client_that_asks_first_is_told_to_go_on():
    async def body(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        data = put(b"body", headers=b"Expect: 100-continue\r\n")
        writer.write(data[:-4])
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"body")
        assert (await response(reader))[2] == b"PUT a|b  body"

    talk(body)


def test_a_client_that_asks_first_with_too_large_a_body_is_refused():
    data = put(b"x" * (BODY_MAX + 1), headers=b"Expect: 100-continue\r\n")

    assert exchange(data[: -BODY_MAX - 1])[0] == 413


def test_head_is_answered_without_a_body():
    async def body(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HEAD /a HTTP/1.1\r\nHost: x\r\n\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
        assert b"Content-Length: 8\r\n" in head
        writer.write(put(b"next"))
        assert (await response(reader))[2] == b"PUT a|b  next"

    talk(body)


def test_a_bug_of_ours_is_not_the_client_s_fault_and_does_not_stay_hidden():
    errors: list[BaseException] = []

    async def body(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(put(b"", b"/bug"))
        assert (await response(reader))[0] == 500

    talk(body, errors=errors)

    assert [str(error) for error in errors] == ["a bug of ours"]
    assert isinstance(errors[0], AssertionError)


def test_a_port_that_is_taken_is_told():
    async def main() -> None:
        first = HttpServer(echo, host="127.0.0.1", port=0, body_bytes_max=0)
        await first.start(what="the first")
        second = HttpServer(echo, host="127.0.0.1", port=first.port, body_bytes_max=0)
        with pytest.raises(UnavailableError) as refused:
            await second.start(what="the second")
        await first.close()

        said = str(refused.value)
        assert said.startswith(f"SF3040: the second cannot listen on 127.0.0.1:{first.port}: ")
        assert said.endswith("\nhint: choose another port, or end the process that has it")

    asyncio.run(main())
