"""The faulty server against the bytes that it is meant to send."""

import asyncio
import gzip

import pytest

from tests.support.http.faults import parse_plan
from tests.support.http.faulty_server import FaultyServer

pytestmark = pytest.mark.integration

REQUEST = b"POST /statefun HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\nping"


async def pong(body: bytes) -> bytes:
    return b"pong-" + body


async def exchange(plan: str, *, requests: int = 1) -> tuple[bytes, FaultyServer]:
    """Send the requests on one connection; return all that came until the server was closed."""
    async with FaultyServer(pong, parse_plan(plan)) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(REQUEST * requests)
        received = b""
        try:
            async with asyncio.timeout(0.2):
                while piece := await reader.read(1 << 20):
                    received += piece
        except (TimeoutError, ConnectionResetError):
            pass
        writer.close()
    return received, server


def answer(plan: str) -> tuple[bytes, bytes]:
    received, _ = asyncio.run(exchange(plan))
    head, _, body = received.partition(b"\r\n\r\n")
    return head, body


def test_requests_are_recorded_with_their_connection_and_fault():
    received, server = asyncio.run(exchange("status:503", requests=2))

    assert received.count(b"HTTP/1.1 ") == 2
    assert received.endswith(b"pong-ping")
    assert [(r.number, r.connection, str(r.fault)) for r in server.requests] == [
        (1, 1, "status:503"),
        (2, 1, "ok"),
    ]
    assert server.requests[0].body == b"ping"
    assert server.requests[0].headers["host"] == "x"


@pytest.mark.parametrize("plan", ["ok", "slow:0.01", "late:0.01", "bytewise", "until-close"])
def test_the_correct_kinds_carry_the_reply(plan: str):
    head, body = answer(plan)

    assert head.startswith(b"HTTP/1.1 200 ")
    assert body == b"pong-ping"


@pytest.mark.parametrize("plan", ["close-early", "reset", "lost-reply", "hang"])
def test_the_silent_kinds_send_nothing(plan: str):
    assert answer(plan) == (b"", b"")


def test_a_chunked_reply_ends_with_an_empty_chunk():
    head, body = answer("chunked")

    assert b"transfer-encoding: chunked" in head
    assert body == b"4\r\npong\r\n5\r\n-ping\r\n0\r\n\r\n"


def test_a_gzip_reply_says_so():
    head, body = answer("gzip")

    assert b"content-encoding: gzip" in head
    assert gzip.decompress(body) == b"pong-ping"


def test_a_truncated_reply_is_shorter_than_it_says():
    head, body = answer("truncated")

    length = int(head.rsplit(b"content-length: ", 1)[1])
    assert 0 < len(body) < length


def test_surplus_bytes_follow_a_whole_reply():
    head, body = answer("surplus")

    assert b"content-length: 9" in head
    assert body == b"pong-pingsurplus"


def test_informational_replies_come_before_the_real_one():
    received, _ = asyncio.run(exchange("informational"))

    assert [part.split(b" ")[1] for part in received.split(b"HTTP/1.1")[1:]] == [
        b"100",
        b"103",
        b"200",
    ]


def test_another_content_type_or_none():
    assert b"content-type: text/plain" in answer("content-type:text/plain")[0]
    assert b"content-type" not in answer("content-type")[0]


def test_a_huge_reply_is_as_long_as_told():
    head, body = answer("huge:300000")

    assert b"content-length: 300000" in head
    assert body == bytes(300_000)


def test_garbage_is_no_protobuf_and_no_http():
    assert answer("garbage")[1].startswith(b"\xff\xff\xff\xff")
    assert not answer("not-http")[0].startswith(b"HTTP")


def test_a_connection_that_closes_after_a_reply_serves_no_second_request():
    received, server = asyncio.run(exchange("close-after", requests=2))

    assert received.count(b"HTTP/1.1 ") == 1
    assert len(server.requests) == 1


def test_a_handler_that_fails_is_a_500():
    async def fail(body: bytes) -> bytes:
        raise RuntimeError("no")

    async def run() -> bytes:
        async with FaultyServer(fail) as server:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(REQUEST)
            head = await reader.readuntil(b"\r\n\r\n")
            writer.close()
            return head

    assert asyncio.run(run()).startswith(b"HTTP/1.1 500 ")
