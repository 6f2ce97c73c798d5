"""Records of the Kinesis producer library, packed by hand after its published format."""

import pytest

from statefun_runtime.connectors.kinesis.aggregation import hash_of, unpack
from tests.support.kinesis.records import MAGIC, field, framed, item, packed

ALL = 2**128 - 1


def unpacked(data: bytes, first_hash: int = 0, last_hash: int = ALL) -> list[tuple[str, bytes]]:
    return list(unpack("outer", data, first_hash=first_hash, last_hash=last_hash))


def test_a_packed_record_is_taken_apart_in_order():
    records = [("a", b"1"), ("b", b"2"), ("a", b"3")]
    assert unpacked(packed(records)) == records


def test_what_does_not_belong_to_the_shard_was_sent_again_elsewhere():
    data = framed(
        field(1, b"a"),
        field(1, b"b"),
        field(2, b"0"),
        field(2, str(ALL).encode()),
        item(0, b"1"),
        item(1, b"2"),
        item(0, b"3", hash_key=0),
        item(0, b"4", hash_key=1),
    )
    low, high = sorted([("a", hash_of("a")), ("b", hash_of("b"))], key=lambda pair: pair[1])
    value = {"a": b"1", "b": b"2"}
    assert set(unpacked(data, 0, low[1])) == {(low[0], value[low[0]]), ("a", b"3")}
    assert set(unpacked(data, low[1] + 1, ALL)) == {(high[0], value[high[0]]), ("a", b"4")}


def test_the_hash_of_a_key_is_that_of_kinesis():
    assert hash_of("a") == 0x0CC175B9C0F1B6A831C399E269772661


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"plain",
        MAGIC,
        MAGIC + b"x" * 16,
        MAGIC + b"x" * 40,
        framed(field(1, b"a"), item(0, b"1"))[:-1] + b"\x00",
        framed(b"\xff\xff"),
        framed(item(0, b"1")),
        framed(field(1, b"a"), item(0, b"1", hash_key=0)),
        framed(field(1, b"a"), field(2, b"0x1"), item(0, b"1", hash_key=0)),
    ],
)
def test_what_is_not_packed_or_not_whole_is_a_record_as_it_is(data: bytes):
    assert unpacked(data) == [("outer", data)]


@pytest.mark.parametrize(
    ("key", "expected"), [("é😀", "é😀"), ("a\ud800b", "a\ufffdb"), ("\udc00", "\ufffd")]
)
def test_a_key_that_is_no_text_becomes_text(key: str, expected: str):
    assert list(unpack(key, b"v", first_hash=0, last_hash=ALL)) == [(expected, b"v")]
