"""Content encodings of replies: the whole body comes out, or none of it.

What a decoder gives before it meets damage would be taken for effects: a length-delimited message decodes from half of
its bytes as well.
"""

import zlib

from statefun_runtime.core.partition.retry import Cause, Failure

ACCEPTED = "gzip,deflate"
_GZIP = zlib.MAX_WBITS | 16


def decode(body: bytes, encoding: str, bytes_max: int) -> bytes | Failure:
    """Return a response's body without its content encoding, of at most so many bytes; or why that cannot be."""
    try:
        match encoding.strip().lower():
            case "" | "identity":
                return body
            case "gzip" | "x-gzip":
                return _members(body, bytes_max)
            case "deflate":
                return _deflated(body, bytes_max)
    except (zlib.error, ValueError) as error:
        return Failure(Cause.BAD_HTTP, f"the response's body cannot be decoded: {error}")
    except _TooLarge:
        return Failure(Cause.TOO_LARGE, f"the response is larger than {bytes_max} bytes")
    unknown = f"unknown content encoding {encoding!r}"
    return Failure(Cause.BAD_HTTP, f"the response's body cannot be decoded: {unknown}")


class _TooLarge(Exception):
    """What was packed small is larger than a reply may be."""


def _members(body: bytes, bytes_max: int) -> bytes:
    """A gzip file is one member or several, one after the other; all of them are its content."""
    parts: list[bytes] = []
    size = 0
    while body or not parts:
        part, body = _unpack(body, _GZIP, bytes_max - size)
        parts.append(part)
        size += len(part)
    return b"".join(parts)


def _deflated(body: bytes, bytes_max: int) -> bytes:
    """Deflate is a zlib stream by the standard, and a bare one by half of those who send it."""
    try:
        part, rest = _unpack(body, zlib.MAX_WBITS, bytes_max)
    except zlib.error:
        part, rest = _unpack(body, -zlib.MAX_WBITS, bytes_max)
    if rest:
        raise ValueError(f"{len(rest)} bytes follow behind its end")
    return part


def _unpack(body: bytes, wbits: int, bytes_max: int) -> tuple[bytes, bytes]:
    """Return what one stream holds, and what stands behind it."""
    decoder = zlib.decompressobj(wbits=wbits)
    # One more than allowed, or 0 would mean without limit, and the largest could not be told from one too large.
    part = decoder.decompress(body, bytes_max + 1)
    if len(part) > bytes_max:
        raise _TooLarge
    if not decoder.eof:
        raise ValueError("it ends too early")
    return part, decoder.unused_data
