"""Encoded replies: whole or not at all, on both transports."""

import asyncio
import gzip
import zlib

import pytest

from statefun_runtime.adapters.http.client import HttpClient
from statefun_runtime.adapters.http.encodings import decode
from statefun_runtime.adapters.http.httpx_client import HttpxClient
from statefun_runtime.core.partition.retry import Cause, Failure
from tests.support.http.clients import make_lean, make_okhttp
from tests.support.http.raw_http import RawServer, response
from tests.support.http.replies import Caller

BODY = b"first and second and third " * 20
PACKED = gzip.compress(BODY, mtime=0)


def bare(body: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(body) + packer.flush()


WHOLE = {
    "gzip": PACKED,
    "x-gzip": PACKED,
    "GZip": gzip.compress(BODY[:100], mtime=0)
    + gzip.compress(b"", mtime=0)
    + gzip.compress(BODY[100:], mtime=0),
    "deflate": zlib.compress(BODY),
    "Deflate": bare(BODY),
    "identity": BODY,
}
PARTS = [
    ("gzip", PACKED[:-1]),
    ("gzip", PACKED[: len(PACKED) // 2]),
    ("gzip", b""),
    ("gzip", PACKED + PACKED[:-3]),
    ("gzip", PACKED + b"surplus"),
    ("deflate", zlib.compress(BODY)[:-2]),
    ("deflate", zlib.compress(BODY) + zlib.compress(BODY)),
    ("deflate", bare(BODY)[:-2]),
    ("deflate", bare(BODY) + b"x"),
    ("br", BODY),
    ("gzip, deflate", BODY),
]


@pytest.mark.parametrize("encoding", WHOLE)
def test_a_whole_body_is_decoded(encoding: str):
    assert decode(WHOLE[encoding], encoding, len(BODY)) == BODY


@pytest.mark.parametrize(("encoding", "body"), PARTS)
def test_of_a_part_of_a_body_nothing_is_decoded(encoding: str, body: bytes):
    outcome = decode(body, encoding, 10_000)

    assert isinstance(outcome, Failure)
    assert outcome.cause is Cause.BAD_HTTP
    assert outcome.detail.startswith("the response's body cannot be decoded: ")


@pytest.mark.parametrize("encoding", ["gzip", "GZip", "deflate", "Deflate"])
def test_a_body_that_is_small_only_on_its_way_is_too_large(encoding: str):
    outcome = decode(WHOLE[encoding], encoding, len(BODY) - 1)

    text = f"the response is larger than {len(BODY) - 1} bytes"
    assert outcome == Failure(Cause.TOO_LARGE, text)


def make(kind: str, url: str, tasks: asyncio.TaskGroup) -> HttpClient | HttpxClient:
    if kind == "okhttp":
        return make_okhttp(url, tasks)
    return make_lean(url, tasks, payload_bytes_max=10_000)


@pytest.mark.parametrize("kind", ["lean", "okhttp"])
def test_both_transports_take_whole_bodies_and_no_others(kind: str):
    replies = [(encoding, body, True) for encoding, body in WHOLE.items()]
    replies += [(encoding, body, False) for encoding, body in PARTS]

    async def main() -> None:
        left = [response(body, content_encoding=encoding) for encoding, body, _ in replies]
        async with (
            RawServer(lambda _: left.pop(0)) as server,
            asyncio.TaskGroup() as tasks,
        ):
            client = make(kind, server.url(), tasks)
            caller = Caller(client)
            for encoding, _, is_whole in replies:
                outcome = await caller.call()
                if is_whole:
                    assert outcome == BODY, encoding
                else:
                    assert isinstance(outcome, Failure), encoding
                    assert outcome.cause is Cause.BAD_HTTP
            client.close()

    asyncio.run(main())
