"""What Java wrote is read as it was meant, and what is cut off is told, not waited for."""

import pytest

from statefun_runtime.connectors.flink.files.hashes import flink_key_group, operator_id
from statefun_runtime.connectors.flink.files.snappy import (
    decompress,
    decompress_slowly,
    masked_crc32c,
    unframed,
)
from statefun_runtime.connectors.flink.files.source import Source, modified_utf8, read_string


def test_a_source_gives_bytes_over_the_borders_of_its_pieces():
    source = Source([b"\x00\x00", b"\x00\x03ab", b"c"], size_max=7)
    assert (source.blob(), source.offset, source.left) == (b"abc", 7, 0)


@pytest.mark.parametrize("size", [-1, 8, 1 << 30])
def test_a_length_that_cannot_be_is_refused_before_room_is_made_for_it(size: int):
    with pytest.raises(ValueError, match="bytes are wanted where there are 7"):
        Source.of(b"1234567").take(size)


def test_pieces_that_end_early_are_refused():
    with pytest.raises(ValueError, match="4 bytes are wanted where there are 3"):
        Source([b"ab", b"c"], size_max=10).take(4)


@pytest.mark.parametrize(
    ("data", "text"),
    [(b"a\xc0\x80b", "a\0b"), (b"\xed\xa0\xbd\xed\xb8\x80", "😀"), (b"\xc3\xbc", "ü")],
)
def test_javas_own_utf8_is_read(data: bytes, text: str):
    assert modified_utf8(data) == text


def test_a_string_of_flink_is_read_unit_by_unit():
    assert read_string(b"\x04abc-", 0) == ("abc", 4)
    assert read_string(b"-\x03\xfc\x01a", 1) == ("üa", 5)
    units = "😀".encode("utf-16-be")
    wide = b"".join(
        bytes((unit & 127 | 128, unit >> 7 & 127 | 128, unit >> 14))
        for unit in (int.from_bytes(units[:2], "big"), int.from_bytes(units[2:], "big"))
    )
    assert read_string(b"\x03" + wide, 0) == ("😀", 7)


@pytest.mark.parametrize("data", [b"", b"\x00", b"\x05abc", b"\x03a\x80", b"\x02\xff\xff\xff\x01"])
def test_a_string_that_is_none_is_refused(data: bytes):
    with pytest.raises(ValueError):
        read_string(data, 0)


def test_operators_and_key_groups_are_where_flink_puts_them():
    assert operator_id("functions_uid1") == "6b87a4870d0e21cecbbe271bd893cfcc"
    assert [flink_key_group(key, 128) for key in ("", "a", "😀")] == [94, 81, 54]


def test_both_ways_to_decompress_say_the_same():
    block = bytes([13, 3 << 2]) + b"abcd" + bytes([(7 << 2) | 2, 4, 0]) + bytes([0]) + b"e"
    assert decompress_slowly(block) == b"abcdabcdabcde"
    assert decompress(block) == decompress_slowly(block)


@pytest.mark.parametrize(
    "block", [b"\x04\x0cab", b"\x05\x0cabcd", b"\x04\x12\x01\x00", b"\xff\xff\x7f\x00"]
)
def test_a_block_that_is_none_is_refused(block: bytes):
    for decode in (decompress, decompress_slowly):
        with pytest.raises(ValueError):
            decode(block)


def chunk(kind: int, content: bytes) -> bytes:
    return bytes([kind]) + len(content).to_bytes(3, "little") + content


def test_chunks_are_checked_with_the_checksum_beside_them():
    plain = masked_crc32c(b"abcd").to_bytes(4, "little") + b"abcd"
    begin = chunk(0xFF, b"sNaPpY")
    assert list(unframed(Source.of(begin + chunk(1, plain)))) == [b"abcd"]
    with pytest.raises(ValueError, match="checksum"):
        list(unframed(Source.of(begin + chunk(1, plain[:-1] + b"e"))))
