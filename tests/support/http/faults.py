"""What a function server can do wrong, and when it does."""

import enum
import re
from collections.abc import Iterable
from dataclasses import dataclass


class FaultKind(enum.StrEnum):
    """How one request is treated. The handler runs unless it says otherwise."""

    OK = "ok"
    STATUS = "status"  # :N   an error status instead of running the handler
    LATER = "later"  # :SECONDS   503 with Retry-After
    LATER_DATE = "later-date"  # :SECONDS   429 with Retry-After as a date
    CLOSE_EARLY = "close-early"  # closed instead of running the handler
    RESET = "reset"  # as close-early, by a TCP reset
    LOST_REPLY = "lost-reply"  # closed after the handler ran
    NOT_HTTP = "not-http"  # bytes that are no HTTP reply
    GARBAGE = "garbage"  # a good reply whose body is no protobuf
    CONTENT_TYPE = "content-type"  # :TEXT   another content type; without a text none at all
    CHUNKED = "chunked"  # correct
    GZIP = "gzip"  # correct
    BYTEWISE = "bytewise"  # correct, one byte at a time
    UNTIL_CLOSE = "until-close"  # correct: no length, the end of the connection is the end
    TRUNCATED = "truncated"  # closed in the middle of the body
    SLOW = "slow"  # :SECONDS   before the handler runs
    LATE = "late"  # :SECONDS   after the handler ran
    HANG = "hang"  # the handler ran, no reply ever
    SURPLUS = "surplus"  # a good reply with more bytes after it
    HUGE = "huge"  # :BYTES   a good reply with a body of zeros
    INFORMATIONAL = "informational"  # correct: 100 and 103 come first
    CLOSE_AFTER = "close-after"  # correct, then closed without having said so
    CONNECTION_CLOSE = "connection-close"  # correct, then closed as announced


@dataclass(frozen=True, slots=True)
class Fault:
    kind: FaultKind = FaultKind.OK
    detail: str = ""

    @property
    def number(self) -> float:
        """The detail of a kind that has a number."""
        return float(self.detail)

    def __str__(self) -> str:
        return f"{self.kind}:{self.detail}" if self.detail else str(self.kind)


OK = Fault()
_NUMBERS = {
    FaultKind.STATUS: "500",
    FaultKind.LATER: "1",
    FaultKind.LATER_DATE: "2",
    FaultKind.SLOW: "0.5",
    FaultKind.LATE: "0.5",
    FaultKind.HUGE: str(64 * 1024 * 1024),
}


@dataclass(slots=True)
class Rule:
    """A fault for the next `times` requests (None: for ever) that hold the marker in their body.

    With `every` n only each n-th of these requests has the fault.
    """

    fault: Fault
    times: int | None = 1
    every: int = 1
    marker: bytes = b""
    _met: int = 0

    def applies(self, body: bytes) -> bool:
        if self.times == 0 or self.marker not in body:
            return False
        self._met += 1
        if self._met % self.every:
            return False
        if self.times is not None:
            self.times -= 1
        return True


class Plan:
    """The faults to come: for each request the first rule that applies, otherwise none."""

    def __init__(self, rules: Iterable[Rule] = ()) -> None:
        self._rules = list(rules)

    def next(self, body: bytes) -> Fault:
        return next((rule.fault for rule in self._rules if rule.applies(body)), OK)


_RULE = re.compile(
    r"(?:(?P<times>\d+|always|every(?P<every>\d+))\*)?(?P<kind>[a-z-]+)(?::(?P<detail>[^@]*))?(?:@(?P<marker>.+))?"
)


def parse_plan(text: str) -> Plan:
    """Read a plan, rules between commas: `[TIMES*]KIND[:DETAIL][@MARKER]`.

    TIMES is a number, `always` or `everyN` (each N-th, for ever):
    `3*status:503@bob, lost-reply, every5*slow:0.1`.
    """
    return Plan(_parse_rule(part.strip()) for part in text.split(",") if part.strip())


def _parse_rule(text: str) -> Rule:
    found = _RULE.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is not of the form [TIMES*]KIND[:DETAIL][@MARKER]")
    kind = FaultKind(found["kind"])
    detail = found["detail"] or _NUMBERS.get(kind, "")
    if kind in _NUMBERS:
        float(detail)
    return Rule(
        Fault(kind, detail),
        times=_times(found["times"]),
        every=int(found["every"] or 1),
        marker=(found["marker"] or "").encode(),
    )


def _times(text: str | None) -> int | None:
    if text is None:
        return 1
    return int(text) if text.isdigit() else None
