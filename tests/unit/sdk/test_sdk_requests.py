"""Requests that are read without a parser mean what the parser says, whatever was read before.

A reader that has seen nothing yet has the parser read what it gets.
"""

from collections.abc import Iterable

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st
from sdk_requests import INT, STRING, request, value
from statefun._wire import ToFunction, TypedValue
from statefun.calls.requests import RequestReader

names = st.sampled_from(["", "a", "seen", "größe", "n" * 130])
data = st.one_of(st.binary(max_size=3), st.sampled_from([b"v" * 100, b"v" * 200, b"w" * 17_000]))


@st.composite
def typed_values(draw: st.DrawFn) -> TypedValue:
    return value(draw(names), draw(data), has_value=draw(st.booleans()))


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    address = st.tuples(names, names, names)
    return request(
        state=draw(st.dictionaries(names, st.one_of(st.none(), typed_values()), max_size=2)),
        arguments=draw(st.lists(typed_values(), max_size=2)),
        caller=draw(st.one_of(st.none(), address)),
        target=draw(address),
    )


@given(st.lists(requests(), min_size=1, max_size=4))
def test_requests_are_read_as_the_parser_reads_them(bodies: Iterable[bytes]):
    reader = RequestReader()

    for body in bodies:
        assert said_of(reader, body) == said_of(RequestReader(), body)
        assert said_of(reader, body) == said_of(RequestReader(), body)


ALL = request(
    state={
        "seen": value(INT, b"\x0d\x05\x00\x00\x00"),
        "zero": value(INT),
        "none": None,
        "untyped": value("", b"x"),
    },
    arguments=[value(STRING, b"\n\x02hi"), value(STRING), value("a/b", b"v" * 130)],
    caller=("com.example", "user", "bob"),
)
BARE = request(arguments=[value(STRING, b"\n\x02hi")])
both = pytest.mark.parametrize("known", [ALL, BARE], ids=["all", "bare"])


@both
def test_what_differs_by_a_byte_from_what_was_read_is_read_as_the_parser_reads_it(known: bytes):
    for place in range(len(known)):
        for byte in {0, 1, 2, 3, 8, 10, 16, 18, 26, 34, 42, 127, 128, 200, 255}:
            wrong = known[:place] + bytes([byte]) + known[place + 1 :]
            assert said_after(known, wrong) == said_of(RequestReader(), wrong), (place, byte)


@both
@pytest.mark.parametrize("more", [b"\x12\x01z", b"\x0a\x01z", b"\xba\x01\x01z", b"\x08\x00", b"z"])
def test_what_is_longer_than_what_was_read_is_read_as_the_parser_reads_it(
    known: bytes, more: bytes
):
    batch = ToFunction.FromString(known).invocation
    parts = [(b"\x0a", batch.target), *((b"\x12", state) for state in batch.state)]
    parts += [(b"\x1a", invocation) for invocation in batch.invocations]
    fields = [(tag, part.SerializeToString()) for tag, part in parts]
    for longer in range(len(fields)):
        whole = b"".join(
            field(tag, content + (more if number == longer else b""))
            for number, (tag, content) in enumerate(fields)
        )
        for body in (field(b"\xa2\x06", whole), field(b"\xa2\x06", whole) + more):
            assert said_after(known, body) == said_of(RequestReader(), body)


@both
def test_what_is_shorter_than_what_was_read_is_read_as_the_parser_reads_it(known: bytes):
    batch = ToFunction.FromString(known).invocation.SerializeToString()
    for size in range(len(batch)):
        body = field(b"\xa2\x06", batch[:size])
        assert said_after(known, body) == said_of(RequestReader(), body)


def field(tag: bytes, content: bytes) -> bytes:
    size = len(content)
    length = bytes([size]) if size < 128 else bytes([size & 127 | 128, size >> 7])
    return tag + length + content


def said_after(known: bytes, body: bytes) -> object:
    reader = RequestReader()
    reader.read(known)
    return said_of(reader, body)


def said_of(reader: RequestReader, body: bytes) -> object:
    try:
        *parts, invocations = reader.read(body)
    except (DecodeError, ValueError) as error:
        return str(error)
    # What an invocation has besides is only asked for where the parser read it.
    return parts, [each[:3] for each in invocations]
