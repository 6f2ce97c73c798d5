"""What a request is answered with when a function fails, and what is logged of it."""

import logging
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from statefun.calls.arguments import milliseconds
from statefun.functions import UnknownFunctionError

OCTETS = "application/octet-stream"
# What a function may raise: one that wants to end the process has failed, and others are served by it.
RAISED = (Exception, SystemExit)
_log = logging.getLogger("statefun")

_MESSAGE_MAX = 1000
_TRACEBACK_MAX = 20_000
_QUIET_S = 60.0
_KINDS_MAX = 100


class RetryLater(Exception):
    """Raised by a function that cannot do its work now: its batch is to come again after a while.

    That is no failure: no attempt is counted, and nothing is given up for it. The runtime waits as
    long as it is asked to, in whole seconds, but no longer than the endpoint's `call`.
    """

    def __init__(self, reason: str = "", *, after: timedelta) -> None:
        super().__init__(reason)
        whole_ms = milliseconds(after, "after", "RetryLater")
        self.seconds = max(1, -(-whole_ms // 1000))


@dataclass(frozen=True, slots=True)
class Response:
    """What a web server is to answer; the parts have the names that most servers give them."""

    status: int
    content_type: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


class Failures:
    """Turns exceptions into responses, and logs each kind once a minute: a runtime tries again many times.

    A kind is an exception's type and the line that raised it.
    """

    def __init__(self, *, show_tracebacks: bool) -> None:
        self._show_tracebacks = show_tracebacks
        self._said: dict[tuple[str, str, int], tuple[float, int]] = {}

    def respond(self, error: BaseException) -> Response:
        """Log an exception, and return the response that tells of it."""
        text = self.tell(error).encode(errors="replace")
        later_s = seconds_of(error)
        headers = {"retry-after": str(later_s)} if later_s else {}
        return Response(status_of(error), "text/plain", text, headers)

    def tell(self, error: BaseException) -> str:
        """Log an exception, and return what the runtime's operator is to read of it."""
        text = describe(error)
        self._log(error, text)
        if self._show_tracebacks:
            text = "".join(traceback.format_exception(error))[-_TRACEBACK_MAX:]
        return text

    def _log(self, error: BaseException, text: str) -> None:
        kind, now_s = _kind(error), time.monotonic()
        said_s, left_out = self._said.pop(kind, (-_QUIET_S, 0))
        if now_s - said_s < _QUIET_S:
            self._said[kind] = said_s, left_out + 1
            return
        if len(self._said) >= _KINDS_MAX:
            # The one that was said longest ago.
            del self._said[next(iter(self._said))]
        self._said[kind] = now_s, 0
        if isinstance(error, RetryLater):
            _log.info("a function asks to be called again in %d s: %s", error.seconds, text)
            return
        more = (
            f" (and {left_out} times more in the minute after it was said last)" if left_out else ""
        )
        _log.error("a function failed: %s%s", text, more, exc_info=error)


def status_of(error: BaseException) -> int:
    """Return the status of a request that ends like this: 503 for later, 404 for a type that nobody serves here, or 500."""
    if isinstance(error, RetryLater):
        return 503
    return 404 if isinstance(error, UnknownFunctionError) else 500


def seconds_of(error: BaseException) -> int:
    """Return in how many seconds a request is to come again that ends like this; 0 if it does not say."""
    return error.seconds if isinstance(error, RetryLater) else 0


def describe(error: BaseException) -> str:
    """Return an exception's type and message, with the notes that say what was being done."""
    kind = type(error).__qualname__
    try:
        parts = [str(error), *getattr(error, "__notes__", ())]
    except Exception:  # noqa: BLE001 — an exception that cannot be printed is still reported
        return kind
    message = ", ".join(part for part in parts if part)
    if len(message) > _MESSAGE_MAX:
        message = f"{message[:_MESSAGE_MAX]}… ({len(message):,} characters)"
    return f"{kind}: {message}" if message else kind


def _kind(error: BaseException) -> tuple[str, str, int]:
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    file, line = (place.tb_frame.f_code.co_filename, place.tb_lineno) if place else ("", 0)
    return type(error).__qualname__, file, line
