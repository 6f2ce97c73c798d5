"""One kept-alive HTTP/1.1 connection to an endpoint, one request at a time.

    idle ──send──▶ waiting ──whole response──▶ idle
                      └─ limit passed, cut, surplus or broken response ──▶ closed

A response names no request: it belongs to the one that is out. A connection that saw anything unexpected is closed
and never used again. The usual response (length known, not encoded, in one piece) is read without a parser; heads
are remembered by their bytes, since an endpoint sends few different ones.
"""

import asyncio
import ssl
from dataclasses import dataclass
from typing import Any, Protocol, cast

import httptools

from statefun_runtime.adapters.http.encodings import decode
from statefun_runtime.core.partition.backlog import Backlog
from statefun_runtime.core.partition.retry import Cause, Failure

_HEADS_MAX = 512
_HEAD_BYTES_MAX = 64 * 1024
_DETAIL_BYTES = 800
_SIZE_DIGITS_MAX = 18
_OCTETS = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class _Head:
    """What matters of a response's head; `size` is None if the body has to be found by a parser."""

    status: int
    size: int | None
    is_octets: bool
    content_type: str
    keeps_alive: bool
    encoding: str = ""


class ConnectionOwner(Protocol):
    """Who is told what became of the connection's request."""

    payload_bytes_max: int

    def responded(self, connection: "Connection", backlog: Backlog, body: bytes) -> None:
        """A success came in; the connection is idle again, or closed."""
        ...

    def broke(self, connection: "Connection", backlog: Backlog, failure: Failure) -> None:
        """There will be no success; the connection is idle again, or closed."""
        ...

    def closed(self, connection: "Connection", backlog: Backlog | None, *, is_stale: bool) -> None:
        """The connection is gone, with the request that was out; stale: before any byte came, after earlier use."""
        ...


class Connection(asyncio.Protocol):
    """The protocol object; `backlog` is the address whose request is out, `ends_s` when it has to be back.

    `refusal` is what the server said against TLS when it closed.
    """

    def __init__(self, owner: ConnectionOwner, heads: dict[bytes, _Head]) -> None:
        self._owner = owner
        self._heads = heads
        self._transport: asyncio.Transport | None = None
        self._received: bytes | bytearray = b""
        self._wanted_bytes = 0
        self._parsing: _Parsing | None = None
        self._is_used = False
        self.backlog: Backlog | None = None
        self.ends_s = 0.0
        self.dies_s = 0.0
        self.is_open = False
        self.refusal: ssl.SSLError | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self.is_open = True

    def send(self, head: bytes, backlog: Backlog, body: bytes, ends_s: float) -> None:
        """Send one request; `head` lacks only the length."""
        assert self.backlog is None
        assert self._transport is not None
        self.backlog = backlog
        self.ends_s = ends_s
        self._transport.write(b"%b%d\r\n\r\n%b" % (head, len(body), body))

    def close(self) -> None:
        """Close at once; nobody is told."""
        self.is_open = False
        self.backlog = None
        if self._transport is not None:
            self._transport.abort()

    def expire(self) -> None:
        """The limit has passed: give the request up, and the connection with it."""
        backlog = self.backlog
        assert backlog is not None
        self.close()
        self._owner.broke(self, backlog, Failure(Cause.TIMEOUT, "no reply within the time limit"))

    def data_received(self, data: bytes) -> None:
        if self.backlog is None:
            # Nobody asked: whatever this is, no later response can be trusted.
            if self.is_open:
                self.close()
                self._owner.closed(self, None, is_stale=False)
            return
        if self._parsing is not None:
            self._parse(data)
            return
        if self._received:
            self._received = (
                bytearray(self._received) if isinstance(self._received, bytes) else self._received
            )
            self._received += data
            if len(self._received) < self._wanted_bytes:
                return
            data = bytes(self._received)
            self._wanted_bytes = 0
        end = data.find(b"\r\n\r\n")
        if end < 0:
            if len(data) > _HEAD_BYTES_MAX:
                text = f"the response's head is larger than {_HEAD_BYTES_MAX} bytes"
                self._give_up(Failure(Cause.TOO_LARGE, text))
            elif not self._received:
                self._received = data
            return
        head = self._heads.get(data[:end]) or self._read_head(data[:end])
        if head is None or head.size is None:
            self._received = b""
            self._parsing = _Parsing(self._owner.payload_bytes_max)
            self._parse(data)
            return
        missing = head.size - (len(data) - end - 4)
        if missing > 0:
            self._wanted_bytes = end + 4 + head.size
            if not self._received:
                self._received = data
        else:
            self._received = b""
            # Bytes behind the reply are no part of it: they could decode as effects that nobody asked for.
            body = data[end + 4 : missing] if missing else data[end + 4 :]
            self._done(head, body, has_surplus=missing < 0)

    def _read_head(self, text: bytes) -> _Head | None:
        head = _parse_head(text)
        if head is not None and head.size is not None:
            if head.size > self._owner.payload_bytes_max:
                # The parser counts, and stops at the maximum.
                return None
            if len(self._heads) >= _HEADS_MAX:
                self._heads.clear()
            self._heads[text] = head
        return head

    def _parse(self, data: bytes) -> None:
        """Let a real parser find the end of a response that is not of the usual kind."""
        parsing = self._parsing
        assert parsing is not None
        failure = parsing.feed(data)
        if failure is not None:
            self._give_up(failure)
        elif parsing.is_complete:
            self._parsed(parsing, has_surplus=parsing.has_surplus)

    def _parsed(self, parsing: "_Parsing", *, has_surplus: bool) -> None:
        self._parsing = None
        body = parsing.body()
        if isinstance(body, Failure):
            self._give_up(body)
        else:
            self._done(parsing.head(), body, has_surplus=has_surplus)

    def eof_received(self) -> bool:
        parsing = self._parsing
        if self.backlog is not None and parsing is not None and parsing.ends_with_connection:
            self._parsed(parsing, has_surplus=True)
        return False

    def _done(self, head: _Head, body: bytes, *, has_surplus: bool) -> None:
        backlog = self.backlog
        assert backlog is not None
        self.backlog = None
        self._is_used = True
        if has_surplus or not head.keeps_alive:
            self.close()
        if 200 <= head.status < 300 and head.is_octets:
            self._owner.responded(self, backlog, body)
        else:
            self._owner.broke(self, backlog, refusal(head.status, head.content_type, body))

    def _give_up(self, failure: Failure) -> None:
        backlog = self.backlog
        assert backlog is not None
        self.close()
        self._owner.broke(self, backlog, failure)

    def connection_lost(self, error: Exception | None) -> None:
        if not self.is_open:
            return
        self.is_open = False
        if isinstance(error, ssl.SSLError):
            self.refusal = error
        backlog, self.backlog = self.backlog, None
        has_bytes = bool(self._received) or self._parsing is not None
        self._owner.closed(self, backlog, is_stale=self._is_used and not has_bytes)


def _parse_head(text: bytes) -> _Head | None:
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
    return _Head(
        status,
        int(size),
        is_octets(content_type),
        content_type,
        "close" not in fields.get("connection", "").lower(),
    )


def is_octets(content_type: str) -> bool:
    """Return whether this is the content type of replies."""
    return any(
        part.partition(";")[0].strip().lower() == _OCTETS for part in content_type.split(",")
    )


def refusal(status: int, content_type: str, body: bytes) -> Failure:
    """Return why a whole response is no reply."""
    said = " ".join(body[:_DETAIL_BYTES].decode(errors="replace").split())
    said += "…" if len(body) > _DETAIL_BYTES else ""
    if not 200 <= status < 300:
        detail = f"the endpoint answered with status {status}"
        return Failure(Cause.STATUS, f"{detail}: {said}" if said else detail, status)
    found = f"'{content_type}'" if content_type else "none"
    detail = f"the reply's content type must be '{_OCTETS}', found {found}"
    return Failure(Cause.CONTENT_TYPE, f"{detail}: {said}" if said else detail)


class _Parsing:
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

    def head(self) -> _Head:
        content_type = self._fields.get("content-type", "")
        return _Head(
            self._status,
            None,
            is_octets(content_type),
            content_type,
            self._keeps_alive,
        )

    def body(self) -> bytes | Failure:
        """Return the whole body, decoded, or why it cannot be."""
        encoding = self._fields.get("content-encoding", "")
        return decode(b"".join(self._parts), encoding, self._bytes_max)
