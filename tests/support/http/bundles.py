"""Bundles as a test writes and reads them, by hand: it knows nothing of the code that it tests."""

from collections.abc import Iterator

CONTENT_TYPE = "application/vnd.statefun.bundle"


def varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 127:
        encoded.append(number & 127 | 128)
        number >>= 7
    return bytes([*encoded, number])


def framed(*parts: bytes) -> bytes:
    return b"".join(varint(len(part)) + part for part in parts)


def split(body: bytes) -> Iterator[bytes]:
    """Yield what stands behind each length."""
    at = 0
    while at < len(body):
        size, at = read_varint(body, at)
        assert at + size <= len(body), "a bundle ends within a batch"
        yield body[at : at + size]
        at += size


def read_varint(data: bytes, at: int) -> tuple[int, int]:
    """Return a number, and where it ends."""
    number = shift = 0
    while True:
        byte = data[at]
        number |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return number, at


def outcome(
    index: int,
    *,
    reply: bytes | None = None,
    status: int = 0,
    text: str = "",
    later_s: float | None = None,
) -> bytes:
    """Return a BundleOutcome: a reply, or a failure if there is a status."""
    data = b"" if not index else b"\x08" + varint(index)
    if reply is not None:
        return data + b"\x12" + framed(reply)
    failure = b"\x08" + varint(status) + b"\x12" + framed(text.encode())
    if later_s is not None:
        failure += b"\x18" + varint(round(later_s))
    return data + b"\x1a" + framed(failure)
