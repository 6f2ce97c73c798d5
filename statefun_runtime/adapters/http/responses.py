"""Responses, as the connections of the lean client and of the other take them: heads, bodies, and what is no reply.

The usual response (length known, not encoded) has a head that says all; any other is read with a parser.
"""

import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

import httptools

from statefun_runtime.adapters.http.encodings import decode
from statefun_runtime.core.partition.retry import Cause, Failure

# Under the five seconds of most servers, so that they seldom close first.
IDLE_S = 4.0
_DETAIL_BYTES = 800
_SIZE_DIGITS_MAX = 18
_OCTETS = "application/octet-stream"
_BUNDLE_VERSION = "1"


@dataclass(frozen=True, slots=True)
class Head:
    """What matters of a response's head; `size` is None if the body has to be found by a parser.

    `idle_s` is how long the server keeps the connection, if it said so; `retry_after` when to ask again, in its words;
    `asks_for_bundles` that it takes many addresses in one request (docs/reference/protocol.md).
    """

    status: int
    size: int | None
    is_octets: bool
    content_type: str
    keeps_alive: bool
    idle_s: float | None = None
    retry_after: str = ""
    asks_for_bundles: bool = False


def parse_head(text: bytes) -> Head | None:
    """Read a head whose body length is given; None if a parser has to find the end."""
    first, _, rest = text.partition(b"\r\n")
    if not first.startswith(b"HTTP/1.1 ") or not first[9:12].isdigit():
        return None
    status = int(first[9:12])
    if status < 200 or status in (204, 304):
        return None
    fields: dict[str, str] = {}
    for line in rest.split(b"\r\n"):
        name, colon, value = line.partition(b":")
        if not colon or name.strip() != name:
            return None
        key = name.lower().decode("latin-1")
        text_value = value.strip().decode("latin-1")
        fields[key] = f"{fields[key]},{text_value}" if key in fields else text_value
    size = fields.get("content-length", "")
    if (
        not size.isdecimal()
        or len(size) > _SIZE_DIGITS_MAX
        or "transfer-encoding" in fields
        or "content-encoding" in fields
    ):
        return None
    content_type = fields.get("content-type", "")
    idle_s = announced_idle_s(fields)
    return Head(
        status,
        int(size),
        is_octets(content_type),
        content_type,
        "close" not in fields.get("connection", "").lower() and idle_s != 0,
        idle_s,
        fields.get("retry-after", ""),
        fields.get("statefun-bundle") == _BUNDLE_VERSION,
    )


def announced_idle_s(fields: dict[str, str]) -> float | None:
    """Return how long the connection may stay idle by `Keep-Alive: timeout=5, max=100`; 0 if it may not be used again.

    A server closes at its time, not at ours: what it announces is shortened by a second, or by half if it is short.
    """
    text = fields.get("keep-alive")
    if text is None:
        return None
    idle_s = None
    for part in text.lower().split(","):
        name, _, value = part.partition("=")
        value = value.strip().strip('"')
        if not value.isdecimal() or len(value) > _SIZE_DIGITS_MAX:
            continue
        if name.strip() == "timeout":
            idle_s = min(max(int(value) - 1.0, int(value) / 2), IDLE_S)
        elif name.strip() == "max" and int(value) == 0:
            return 0.0
    return idle_s


def is_octets(content_type: str) -> bool:
    """Return whether this is the content type of replies."""
    return any(
        part.partition(";")[0].strip().lower() == _OCTETS for part in content_type.split(",")
    )


def seconds_to_wait(retry_after: str) -> float | None:
    """Return what a Retry-After header asks for: seconds, or a date, which is taken by the clock of this machine."""
    text = retry_after.strip()
    if text.isdecimal() and len(text) <= _SIZE_DIGITS_MAX:
        return float(text)
    try:
        date = parsedate_to_datetime(text)
        return max(0.0, date.timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return None


def refusal(status: int, content_type: str, body: bytes, retry_after: str = "") -> Failure:
    """Return why a whole response is no reply."""
    said = " ".join(body[:_DETAIL_BYTES].decode(errors="replace").split())
    said += "…" if len(body) > _DETAIL_BYTES else ""
    if not 200 <= status < 300:
        detail = f"the endpoint answered with status {status}"
        wait_s = seconds_to_wait(retry_after) if retry_after else None
        return Failure(Cause.STATUS, f"{detail}: {said}" if said else detail, status, wait_s)
    found = f"'{content_type}'" if content_type else "none"
    detail = f"the reply's content type must be '{_OCTETS}', found {found}"
    return Failure(Cause.CONTENT_TYPE, f"{detail}: {said}" if said else detail)


class Parsing:
    """A response read with httptools: chunked, encoded, ended by the connection's end, or after a 1xx."""

    def __init__(self, bytes_max: int) -> None:
        self._parser: Any = httptools.HttpResponseParser(self)
        self._bytes_max = bytes_max
        self._parts: list[bytes] = []
        self._size = 0
        self._fields: dict[str, str] = {}
        self._status = 0
        self._keeps_alive = False
        self.is_complete = False
        self.has_surplus = False

    def feed(self, data: bytes) -> Failure | None:
        """Parse more bytes; return what is wrong with them, if anything is."""
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            if not self.is_complete:
                return Failure(Cause.BAD_HTTP, f"the response is not proper HTTP: {error}")
            self.has_surplus = True
        if self._size > self._bytes_max:
            return Failure(Cause.TOO_LARGE, f"the response is larger than {self._bytes_max} bytes")
        return None

    @property
    def ends_with_connection(self) -> bool:
        """Whether only the end of the connection can end the body."""
        return bool(self._status >= 200) and not (
            "content-length" in self._fields
            or "chunked" in self._fields.get("transfer-encoding", "")
        )

    def on_message_begin(self) -> None:
        if self.is_complete:
            self.has_surplus = True
            return
        self._fields.clear()

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.is_complete:
            key, text = name.lower().decode("latin-1"), value.strip().decode("latin-1")
            self._fields[key] = f"{self._fields[key]},{text}" if key in self._fields else text

    def on_headers_complete(self) -> None:
        if not self.is_complete:
            self._status = self._parser.get_status_code()

    def on_body(self, data: bytes) -> None:
        if self.is_complete:
            return
        self._size += len(data)
        if self._size <= self._bytes_max:
            self._parts.append(data)

    def on_message_complete(self) -> None:
        if self._status >= 200 and not self.is_complete:
            self.is_complete = True
            # Only here the parser knows: afterwards it says no to everything.
            self._keeps_alive = bool(self._parser.should_keep_alive())

    def head(self) -> Head:
        content_type = self._fields.get("content-type", "")
        idle_s = announced_idle_s(self._fields)
        return Head(
            self._status,
            None,
            is_octets(content_type),
            content_type,
            self._keeps_alive and idle_s != 0,
            idle_s,
            self._fields.get("retry-after", ""),
            self._fields.get("statefun-bundle") == _BUNDLE_VERSION,
        )

    def body(self) -> bytes | Failure:
        """Return the whole body, decoded, or why it cannot be."""
        encoding = self._fields.get("content-encoding", "")
        return decode(b"".join(self._parts), encoding, self._bytes_max)
