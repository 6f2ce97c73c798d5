"""Bundles: the batches of many addresses in one request, as docs/reference/protocol.md has them.

A bundle is a sequence of ToFunction, each behind its length; its answer is one of BundleOutcome
(protos/extensions/bundle.proto), each behind its length, in the order in which they are there.
"""

from collections.abc import Iterator
from functools import lru_cache

from statefun.calls.encoding import varint

BUNDLE = "application/vnd.statefun.bundle"
# What a response says so that the runtime sends bundles from then on.
OFFER = {"StateFun-Bundle": "1"}

_LENGTH_BYTES_MAX = 10
_TEXT_BYTES_MAX = 4096


def is_bundle(content_type: str | None) -> bool:
    """Return whether a request with this content type is a bundle."""
    return content_type is not None and (content_type.partition(";")[0].strip().lower() == BUNDLE)


def split(body: bytes) -> list[bytes]:
    """Return the requests in a bundle; raise ValueError if it is none."""
    return list(_split(body))


def _split(body: bytes) -> Iterator[bytes]:
    at, size = 0, len(body)
    while at < size:
        length = body[at]
        at += 1
        if length > 127:
            length, at = _length(body, at - 1)
        end = at + length
        if end > size:
            raise ValueError(
                f"the bundle ends {end - size} bytes too early; was its body cut on the way?"
            )
        yield body[at:end]
        at = end


def _length(body: bytes, at: int) -> tuple[int, int]:
    length = 0
    for count, byte in enumerate(body[at : at + _LENGTH_BYTES_MAX]):
        length |= (byte & 127) << (7 * count)
        if byte < 128:
            return length, at + count + 1
    raise ValueError("the bundle has a length that does not end; was its body cut on the way?")


def reply_outcome(index: int, reply: bytes) -> bytes:
    """Return the outcome of a batch that was answered, behind its length."""
    return _reply_head(index, len(reply)) + reply


@lru_cache(maxsize=16_384)
def _reply_head(index: int, size: int) -> bytes:
    head = _index(index) + b"\x12" + varint(size)
    return varint(len(head) + size) + head


def failure_outcome(index: int, status: int, text: str, retry_after_s: int = 0) -> bytes:
    """Return the outcome of a batch that failed, behind its length."""
    said = _cut(text)
    failure = b"\x08%b\x12%b%b" % (varint(status), varint(len(said)), said)
    if retry_after_s:
        failure += b"\x18" + varint(retry_after_s)
    outcome = b"%b\x1a%b%b" % (_index(index), varint(len(failure)), failure)
    return varint(len(outcome)) + outcome


def _cut(text: str) -> bytes:
    """Return a text in UTF-8, and no more of it than an outcome may have."""
    said = text.encode(errors="replace")
    if len(said) <= _TEXT_BYTES_MAX:
        return said
    return said[:_TEXT_BYTES_MAX].decode(errors="ignore").encode()


def _index(index: int) -> bytes:
    return b"\x08" + varint(index) if index else b""
