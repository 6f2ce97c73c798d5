"""Bundles as they stand in requests and answers; docs/reference/protocol.md says what they mean."""

from collections.abc import Iterator, Sequence

from google.protobuf.message import DecodeError

from statefun_runtime.adapters.http.responses import refusal
from statefun_runtime.adapters.wire import decode_outcome
from statefun_runtime.core.partition.retry import Failure

CONTENT_TYPE = "application/vnd.statefun.bundle"
# What stands in front of a request, at most.
LENGTH_BYTES = 4
_LENGTH_BYTES_MAX = 10
_FAILED = 500
# Tags of an outcome.
_INDEX, _REPLY = 0x08, 0x12
_ONE_BYTE = tuple(bytes([number]) for number in range(128))

Outcome = bytes | Failure


class BrokenBundleError(Exception):
    """What came is no sequence of outcomes; nothing behind it can be believed."""


def bundle(requests: Sequence[bytes]) -> bytes:
    """Return the body of a bundle: each request behind its length."""
    parts: list[bytes] = []
    for request in requests:
        size = len(request)
        parts.append(_ONE_BYTE[size] if size < 128 else _varint(size))
        parts.append(request)
    return b"".join(parts)


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 127:
        encoded.append(number & 127 | 128)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


class OutcomeReader:
    """Reads an answer in whatever pieces it comes; an outcome larger than `bytes_max` is none."""

    def __init__(self, bytes_max: int) -> None:
        # An outcome is a reply, with a few bytes around it.
        self._bytes_max = bytes_max + 64
        self._rest = bytearray()
        self._wanted = 0

    def feed(self, piece: bytes) -> Iterator[tuple[int, Outcome]]:
        """Yield index and content of each outcome that is whole; raise BrokenBundleError behind the last good one."""
        rest = self._rest
        if rest:
            rest += piece
            if len(rest) < self._wanted:
                return
            piece = bytes(rest)
        at, size = 0, len(piece)
        self._wanted = 0
        while at < size:
            length = piece[at]
            begin = at + 1
            if length > 127:
                # Two bytes are the usual length of a length.
                if begin < size and piece[begin] < 128:
                    length = length & 127 | piece[begin] << 7
                    begin += 1
                else:
                    length, begin = self._length(piece, at)
            if length > self._bytes_max:
                raise BrokenBundleError(f"an outcome of {length} bytes")
            end = begin + length
            if not begin or end > size:
                self._wanted = end - at if begin else 0
                break
            yield _outcome(piece[begin:end])
            at = end
        self._rest = bytearray(piece[at:])

    @staticmethod
    def _length(piece: bytes, at: int) -> tuple[int, int]:
        """Return the length that begins there, and where it ends: 0 if not all of it is there."""
        length = 0
        for count, byte in enumerate(piece[at : at + _LENGTH_BYTES_MAX]):
            length |= (byte & 127) << (7 * count)
            if byte < 128:
                return length, at + count + 1
        if len(piece) - at >= _LENGTH_BYTES_MAX:
            raise BrokenBundleError("a length that does not end")
        return 0, 0


def _outcome(data: bytes) -> tuple[int, Outcome]:
    try:
        # An index, if it is not 0, and a reply up to the end: what a parser is not needed for.
        index, at = (data[1], 2) if data[0] == _INDEX else (0, 0)
        if index > 127:
            index, at = index & 127 | data[2] << 7, 3
        if data[at] == _REPLY and index < 1 << 14:
            length, at = data[at + 1], at + 2
            if length > 127:
                length, at = length & 127 | data[at] << 7, at + 1
            if length < 1 << 14 and at + length == len(data):
                return index, data[at:]
    except IndexError:
        pass
    return _parsed_outcome(data)


def _parsed_outcome(data: bytes) -> tuple[int, Outcome]:
    try:
        outcome = decode_outcome(data)
    except DecodeError as error:
        raise BrokenBundleError(f"an outcome that does not parse: {error}") from error
    if not outcome.HasField("failure"):
        return outcome.index, outcome.reply
    failure = outcome.failure
    status = failure.status if failure.status >= 300 else _FAILED
    later = str(failure.retry_after_s) if failure.retry_after_s else ""
    return outcome.index, refusal(status, "", failure.text.encode(), later)
