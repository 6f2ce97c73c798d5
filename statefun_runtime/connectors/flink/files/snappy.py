"""Snappy, as Flink and RocksDB write it, with the checksums that they put beside it."""

from collections.abc import Callable, Iterator
from importlib.util import find_spec

from aiokafka.record.util import calc_crc32c

from statefun_runtime.connectors.flink.files.source import Source
from statefun_runtime.core.model.messages import read_varint

_IDENTIFIER = b"sNaPpY"
_COMPRESSED, _PLAIN, _BEGIN = 0, 1, 0xFF
_SKIPPABLE = 0x80
# No byte of the compressed form stands for more of the plain one.
_GROWTH_MAX = 64


def masked_crc32c(data: bytes) -> int:
    """Return the checksum of some bytes in the form that both keep."""
    crc: int = calc_crc32c(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def decompress(block: bytes) -> bytes:
    """Return what a block holds; raise ValueError if it is none."""
    size, _ = read_varint(block, 0)
    if size > len(block) * _GROWTH_MAX:
        raise ValueError(f"a Snappy block says that it holds {size} bytes")
    return _library(block) if _library is not None else decompress_slowly(block)


def _find_library() -> Callable[[bytes], bytes] | None:
    """Return the decoder of cramjam, which `statefun-runtime[kafka-compression]` brings, if it is there."""
    if find_spec("cramjam") is None:
        return None
    import cramjam

    def decode(block: bytes) -> bytes:
        try:
            return bytes(cramjam.snappy.decompress_raw(block))
        except cramjam.DecompressionError as error:
            raise ValueError(f"a Snappy block cannot be read: {error}") from error

    return decode


def decompress_slowly(block: bytes) -> bytes:
    """Do the same without a library, some hundred times slower."""
    size, at = read_varint(block, 0)
    out = bytearray()
    while at < len(block):
        tag = block[at]
        at += 1
        if tag & 3 == 0:
            length, at = _literal_length(block, tag, at)
            if at + length > len(block):
                raise ValueError("a Snappy block is cut off")
            out += block[at : at + length]
            at += length
        else:
            length, distance, at = _copy(block, tag, at)
            _repeat(out, length, distance)
        if len(out) > size:
            raise ValueError("a Snappy block holds more than it says")
    if len(out) != size:
        raise ValueError("a Snappy block holds less than it says")
    return bytes(out)


def _literal_length(block: bytes, tag: int, at: int) -> tuple[int, int]:
    length = tag >> 2
    if length < 60:
        return length + 1, at
    width = length - 59
    return int.from_bytes(block[at : at + width], "little") + 1, at + width


def _copy(block: bytes, tag: int, at: int) -> tuple[int, int, int]:
    width = (0, 1, 2, 4)[tag & 3]
    distance = int.from_bytes(block[at : at + width], "little")
    if width == 1:
        return (tag >> 2 & 7) + 4, tag >> 5 << 8 | distance, at + width
    return (tag >> 2) + 1, distance, at + width


def _repeat(out: bytearray, length: int, distance: int) -> None:
    begin = len(out) - distance
    if distance == 0 or begin < 0:
        raise ValueError("a Snappy block points in front of itself")
    piece = bytes(out[begin : begin + length])
    # What is copied may reach into what it makes.
    out += (piece * (length // len(piece) + 1))[:length]


def unframed(source: Source) -> Iterator[bytes]:
    """Yield what the chunks of a framed stream hold, one at a time, each checked."""
    while source.left > 0:
        kind = source.u8()
        content = source.take(int.from_bytes(source.take(3), "little"))
        if kind == _BEGIN:
            if content != _IDENTIFIER:
                raise ValueError("a Snappy stream does not begin like one")
        elif kind in (_COMPRESSED, _PLAIN):
            yield _checked(content, is_plain=kind == _PLAIN)
        elif kind < _SKIPPABLE:
            raise ValueError(f"a Snappy stream has a chunk of the unknown kind {kind}")


def _checked(content: bytes, *, is_plain: bool) -> bytes:
    plain = content[4:] if is_plain else decompress(content[4:])
    if masked_crc32c(plain) != int.from_bytes(content[:4], "little"):
        raise ValueError("a Snappy chunk does not have the checksum that stands beside it")
    return plain


_library = _find_library()
