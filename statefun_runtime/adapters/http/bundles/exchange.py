"""One bundle on a connection that was lent for it, until its last outcome has come.

    waiting ──outcomes──▶ answering ──all of them, and the end──▶ given back
       └─ another answer ─▶ refused: all come back         └─ cut, broken, over the limit ──▶ closed

Each outcome is told when it comes. Of those that did not come when the connection is gone it is as if each had had a
connection of its own, but for the time limit: only the first has run into it, the others may have stood behind that.
"""

import asyncio
from collections.abc import Sequence
from typing import Any, Protocol

import httptools

from statefun_runtime.adapters.http.bundles.wire import (
    CONTENT_TYPE,
    BrokenBundleError,
    Outcome,
    OutcomeReader,
)
from statefun_runtime.adapters.http.connection import Connection, Guest
from statefun_runtime.adapters.http.responses import announced_idle_s
from statefun_runtime.core.partition.backlog import Backlog
from statefun_runtime.core.partition.retry import Cause, Failure

Entry = tuple[Backlog, bytes, float]
_CUT = "the connection was closed before a whole reply came"


class BundleOwner(Protocol):
    """Who sent a bundle, and is told what becomes of it."""

    def settled(self, backlog: Backlog, outcome: Outcome) -> None:
        """One address has its outcome."""
        ...

    def returned(self, backlog: Backlog, *, goes_alone: bool) -> None:
        """One address has none, through no fault of its own."""
        ...

    def heard(self, exchange: "BundleExchange") -> None:
        """Some more outcomes were told."""
        ...

    def refused(self, exchange: "BundleExchange", status: int) -> None:
        """The server answered with something else."""
        ...

    def went_stale(self, exchange: "BundleExchange") -> None:
        """The server had closed the connection before it read the bundle."""
        ...

    def ended(self, exchange: "BundleExchange") -> None:
        """Everything is told; the connection is free, or closed."""
        ...


class BundleExchange(Guest):
    """The protocol object while a bundle is out; `left` are the addresses without an outcome, by index."""

    def __init__(
        self, owner: BundleOwner, connection: Connection, entries: Sequence[Entry], bytes_max: int
    ) -> None:
        self._owner = owner
        self.connection = connection
        self.count = len(entries)
        self.size_bytes = 0
        # An address that was cancelled is None: its outcome may still come, and is then no surprise.
        self.left: dict[int, tuple[Backlog | None, float]] = {
            index: (backlog, ends_s) for index, (backlog, _, ends_s) in enumerate(entries)
        }
        self.is_heavy = True
        # When it left, when the first outcomes came, and when something was heard last.
        self.began_s = self.first_s = self.heard_s = 0.0
        self._clock = asyncio.get_running_loop().time
        self._reader = OutcomeReader(bytes_max)
        self._parser: Any = httptools.HttpResponseParser(self)
        self._fields: dict[str, str] = {}
        self._status = 0
        self._pieces: list[bytes] = []
        self._is_complete = self._keeps_alive = self._has_surplus = False
        self._is_over = False

    def send(self, head: bytes, body: bytes) -> None:
        """Send the bundle; `head` lacks only the length."""
        self.size_bytes = len(body)
        self.began_s = self.heard_s = self._clock()
        transport = self.connection.lend(self, self.left[0][1])
        transport.write(b"%b%d\r\n\r\n%b" % (head, len(body), body))

    def forget(self, backlog: Backlog) -> bool:
        """Tell nobody what becomes of an address; return whether it was out. Without any left the connection closes."""
        index = next((index for index, (each, _) in self.left.items() if each is backlog), None)
        if index is None:
            return False
        self.left[index] = (None, self.left[index][1])
        if all(each is None for each, _ in self.left.values()):
            self.left.clear()
            self._close()
        return True

    def expire(self) -> None:
        """The limit of the first address without an outcome has passed, or of the answer's end."""
        now_s = self._clock()
        if self.left:
            first = next(iter(self.left))
            backlog, ends_s = self.left[first]
            if ends_s > now_s:
                self.connection.ends_s = ends_s
                return
            del self.left[first]
            self._tell(backlog, Failure(Cause.TIMEOUT, "no reply within the time limit"))
            self._return_left(goes_alone=True)
        self._close()
        self.connection.overran()

    # ── what the transport tells ──

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            if not self._is_complete:
                self._break("the answer is not proper HTTP")
                return
            self._has_surplus = True
        if self._status < 200:
            return
        if self._is_refused():
            self._refuse()
            return
        self._read()
        if self._is_complete and not self._is_over:
            self._break(_CUT) if self.left else self._end()
        if not self._is_over:
            self._owner.heard(self)

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, error: Exception | None) -> None:
        if self._is_over:
            return
        if not self.first_s and self.connection.may_be_stale and not self._status:
            self._owner.went_stale(self)
            self._return_left(goes_alone=True)
            self._close()
        else:
            self._break(_CUT)

    # ── what the parser tells ──

    def on_message_begin(self) -> None:
        self._has_surplus = self._has_surplus or self._is_complete

    def on_header(self, name: bytes, value: bytes) -> None:
        self._fields[name.lower().decode("latin-1")] = value.strip().decode("latin-1")

    def on_headers_complete(self) -> None:
        if not self._is_complete:
            self._status = self._parser.get_status_code()

    def on_body(self, data: bytes) -> None:
        if not self._is_complete:
            self._pieces.append(data)

    def on_message_complete(self) -> None:
        if self._status >= 200:
            self._is_complete = True
            # Only here the parser knows: afterwards it says no to everything.
            self._keeps_alive = bool(self._parser.should_keep_alive())
        else:
            self._fields.clear()

    # ── steps ──

    def _is_refused(self) -> bool:
        content_type = self._fields.get("content-type", "").partition(";")[0].strip().lower()
        encoding = self._fields.get("content-encoding", "identity").strip().lower()
        return self._status != 200 or content_type != CONTENT_TYPE or encoding != "identity"

    def _refuse(self) -> None:
        """Nobody has failed. An answer that goes on for longer is not waited for."""
        self._owner.refused(self, self._status)
        self._return_left(goes_alone=False)
        self._end() if self._is_complete else self._close()

    def _read(self) -> None:
        if not self._pieces:
            return
        pieces, self._pieces = self._pieces, []
        piece = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        self.heard_s = self._clock()
        self.first_s = self.first_s or self.heard_s
        left, settled = self.left, self._owner.settled
        try:
            for index, outcome in self._reader.feed(piece):
                entry = left.pop(index, None)
                if entry is None:
                    raise BrokenBundleError(f"an outcome of index {index}, which is not wanted")
                if (backlog := entry[0]) is not None:
                    settled(backlog, outcome)
        except BrokenBundleError as error:
            self._break(f"the answer to a bundle holds {error}")

    def _tell(self, backlog: Backlog | None, outcome: Outcome) -> None:
        if backlog is not None:
            self._owner.settled(backlog, outcome)

    def _return_left(self, *, goes_alone: bool) -> None:
        left, self.left = self.left, {}
        for backlog, _ in left.values():
            if backlog is not None:
                self._owner.returned(backlog, goes_alone=goes_alone)

    def _break(self, detail: str) -> None:
        left, self.left = self.left, {}
        for backlog, _ in left.values():
            self._tell(backlog, Failure(Cause.DISCONNECT, detail))
        self._close()

    def _close(self) -> None:
        self._is_over = True
        self.connection.close()
        self._owner.ended(self)

    def _end(self) -> None:
        self._is_over = True
        idle_s = announced_idle_s(self._fields)
        if self._keeps_alive and not self._has_surplus and idle_s != 0:
            self.connection.take_back(idle_s)
        else:
            self.connection.close()
        self._owner.ended(self)
