"""One line a record, in text or JSON, and none of them without end."""

import io
import json
import logging
import os
import re
import time
from collections.abc import Iterator

import pytest

from statefun_runtime.cli.logs import JsonFormatter, TextFormatter, WorkerHandler


class Log:
    """A handler that writes into memory, and a clock for its records."""

    def __init__(self, formatter: logging.Formatter) -> None:
        self._stream = io.StringIO()
        self.handler = WorkerHandler(self._stream)
        self.handler.setFormatter(formatter)
        self.now_s = 1_000_000_000.0

    def say(self, message: str, level: int = logging.WARNING, **more: object) -> None:
        """Log a message now."""
        content = {
            "name": "statefun.test",
            "levelno": level,
            "levelname": logging.getLevelName(level),
        }
        record = logging.makeLogRecord({**content, "msg": message, "created": self.now_s, **more})
        self.handler.handle(record)

    @property
    def lines(self) -> list[str]:
        return self._stream.getvalue().splitlines()

    @property
    def messages(self) -> list[str]:
        return [line.partition("statefun.test  ")[2] for line in self.lines]


@pytest.fixture
def log() -> Log:
    return Log(TextFormatter())


@pytest.fixture
def _zone() -> Iterator[None]:
    before = os.environ.get("TZ")
    os.environ["TZ"] = "IST-5:30"
    time.tzset()
    yield
    os.environ.pop("TZ")
    if before is not None:
        os.environ["TZ"] = before
    time.tzset()


@pytest.mark.usefixtures("_zone")
def test_a_line_has_its_time_with_the_zone(log: Log):
    log.say("hello")
    assert log.lines == ["2001-09-09 07:16:40.000+05:30 WARNING statefun.test  hello"]


def test_nothing_in_a_message_begins_another_line(log: Log):
    log.say("a\n2026-01-01 00:00:00 ERROR x  y\x1b[2J")
    assert log.messages == [r"a\n2026-01-01 00:00:00 ERROR x  y\x1b[2J"]


def test_a_message_is_not_longer_than_a_page(log: Log):
    log.say("x" * 1_000_000)
    assert len(log.lines[0]) < 5000


def test_a_traceback_stands_below_its_line(log: Log):
    try:
        raise ValueError("boom")
    except ValueError as error:
        log.say("a bug", exc_info=(type(error), error, error.__traceback__))
    assert log.messages[0] == "a bug"
    assert log.lines[-1] == "ValueError: boom"


def test_json_has_an_object_a_line_with_the_codes_in_it():
    log = Log(JsonFormatter())
    log.say("two\nlines [SF3016]")
    try:
        raise ValueError("boom")
    except ValueError as error:
        log.say("a bug", logging.CRITICAL, exc_info=(type(error), error, error.__traceback__))

    first, second = map(json.loads, log.lines)
    assert re.fullmatch(r"2001-09-09 \d\d:\d\d:40\.000[-+]\d\d:\d\d", first.pop("time"))
    assert first == {
        "level": "warning",
        "logger": "statefun.test",
        "message": "two\nlines [SF3016]",
        "codes": ["SF3016"],
    }
    assert (second["level"], second["message"]) == ("critical", "a bug")
    assert second["traceback"].endswith("ValueError: boom")


def test_the_same_line_is_there_a_few_times_a_minute_and_then_counted(log: Log):
    for second in range(60):
        log.now_s = 1_000_000_000.0 + second
        log.say("again")
    assert log.messages == ["again"] * 5

    log.now_s += 1
    log.say("something else")
    assert log.messages[5:] == ["again (said 55 times more in the same minute)", "something else"]


def test_an_error_of_one_cause_is_there_once_a_minute(log: Log):
    for epoch in range(17, 27):
        log.say(f"checkpoint {epoch} failed: no space", logging.ERROR)
    log.say("checkpoint 27 failed: no permission", logging.ERROR)
    log.say("checkpoint 28 failed: no space", logging.CRITICAL)
    log.now_s += 60
    log.say("checkpoint 99 failed: no space", logging.ERROR)

    assert log.messages == [
        "checkpoint 17 failed: no space",
        "checkpoint 27 failed: no permission",
        "checkpoint 28 failed: no space",
        "checkpoint 26 failed: no space (said 9 times more in the same minute)",
        "checkpoint 99 failed: no space",
    ]


def test_lines_that_differ_are_different_lines(log: Log):
    for number in range(100):
        log.say(f"address {number} is parked")
    assert len(log.lines) == 100


def test_what_was_left_out_is_told_at_the_end(log: Log):
    for _ in range(7):
        log.say("again")
    log.handler.close()
    assert log.messages[5:] == ["again (said 2 times more in the same minute)"]


def test_what_is_remembered_of_lines_is_bounded(log: Log):
    for number in range(3000):
        log.say(f"line {number}")
    assert len(log.handler._repeats._lines) == 1000
