"""What a worker logs: one line a record, in text or JSON, with the time's zone, and none of them without end.

The same line is there a few times a minute, an error of the same cause once; how often it was left out is told when
the minute is over, and when the process ends.
"""

import json
import logging
import re
import sys
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TextIO

from statefun_runtime.adapters.embedded.child import FUNCTIONS_LOG
from statefun_runtime.core.printable import printable

_LINE_MAX = 4000
_MINUTE_S = 60.0
_LINES_A_MINUTE = 5
_LINES_REMEMBERED = 1000
_NUMBER = re.compile(r"\d+")
_CODE = re.compile(r"\bSF[1-5]\d{3}\b")


def start_logging(level: str, form: str) -> None:
    """Log to stderr from now on."""
    handler = WorkerHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if form == "json" else TextFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler])
    # The Kafka client repeats itself while a broker is away; what matters is said by us.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL if level != "debug" else logging.DEBUG)


class TextFormatter(logging.Formatter):
    """`time level logger  message`, and behind it the traceback, if there is one."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line; nothing in the message can begin another one."""
        message = printable(record.getMessage(), _LINE_MAX)
        line = f"{_time(record)} {record.levelname:7} {record.name}  {message}"
        return f"{line}\n{_traceback(record)}" if record.exc_info else line


class JsonFormatter(logging.Formatter):
    """An object a line: time, level, logger, message, and where they are there, codes and traceback."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the object."""
        message = record.getMessage()
        content: dict[str, Any] = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": printable(message, _LINE_MAX) if len(message) > _LINE_MAX else message,
        }
        codes = list(dict.fromkeys(_CODE.findall(message)))
        if codes:
            content["codes"] = codes
        if record.exc_info:
            content["traceback"] = _traceback(record)
        return json.dumps(content, ensure_ascii=False)


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created).astimezone().isoformat(" ", "milliseconds")


def _traceback(record: logging.LogRecord) -> str:
    assert record.exc_info
    return "".join(traceback.format_exception(*record.exc_info)).rstrip("\n")


class WorkerHandler(logging.StreamHandler[TextIO]):
    """Writes records, but for those that repeat themselves."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._repeats = Repeats()

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record, and before it what has to be said of those that were left out."""
        for over in self._repeats.over(record.created):
            super().emit(over)
        # What functions print is theirs, also if they repeat themselves.
        if record.name == FUNCTIONS_LOG or self._repeats.takes(record):
            super().emit(record)

    def close(self) -> None:
        """Say what was left out."""
        for over in self._repeats.over(float("inf")):
            super().emit(over)
        super().close()


@dataclass(slots=True)
class _Line:
    """A line that was written, and how often since then, in its minute."""

    last: logging.LogRecord
    since_s: float
    written: int = 1
    left_out: int = 0


class Repeats:
    """Counts lines; a minute begins with the first one. Errors of one cause are those that differ in numbers alone."""

    def __init__(self) -> None:
        self._lines: dict[tuple[str, int, str], _Line] = {}

    def takes(self, record: logging.LogRecord) -> bool:
        """Return whether a record is to be written, and count it."""
        text = record.getMessage()
        is_error = record.levelno >= logging.ERROR
        key = record.name, record.levelno, _NUMBER.sub("#", text) if is_error else text
        line = self._lines.get(key)
        if line is None:
            if len(self._lines) < _LINES_REMEMBERED:
                self._lines[key] = _Line(record, record.created)
            return True
        if line.written < (1 if is_error else _LINES_A_MINUTE):
            line.written += 1
            return True
        line.left_out, line.last = line.left_out + 1, record
        return False

    def over(self, now_s: float) -> Iterator[logging.LogRecord]:
        """Forget the lines whose minute is over; return a record for each that was left out."""
        while self._lines:
            # They are in the order in which their minutes began.
            key = next(iter(self._lines))
            line = self._lines[key]
            if now_s - line.since_s < _MINUTE_S:
                return
            del self._lines[key]
            if line.left_out:
                yield _summary(line)


def _summary(line: _Line) -> logging.LogRecord:
    last = line.last
    times = "once" if line.left_out == 1 else f"{line.left_out} times"
    message = f"{last.getMessage()} (said {times} more in the same minute)"
    summary = logging.LogRecord(
        last.name, last.levelno, last.pathname, last.lineno, message, None, None
    )
    summary.created = last.created
    return summary
