"""A whole response for whatever becomes of a request: what the runtime's operator reads, and what is logged here."""

import asyncio
import logging
from datetime import timedelta

import pytest
from statefun import (
    IntType,
    RequestReplyHandler,
    RetryLater,
    StatefulFunctions,
    ValueSpec,
)
from statefun.calls import failures
from statefun.calls.bundles import BUNDLE, failure_outcome
from statefun.calls.encoding import varint

from tests.unit.sdk.sdk_requests import FUNCTION, INT, request, value

SEEN = {"seen": value(INT, has_value=False)}


def handler(function, **settings) -> RequestReplyHandler:
    functions = StatefulFunctions()
    functions.register(FUNCTION, function, [ValueSpec("seen", IntType)])
    return RequestReplyHandler(functions, **settings)


def raising(error: Exception):
    def function(context, message):
        raise error

    return handler(function)


def good(context, message):
    context.storage.seen = 1


def test_a_reply_is_a_response_with_its_content_type():
    served = handler(good)
    answer = served.respond_sync(request(state=SEEN))
    assert (answer.status, answer.content_type) == (200, "application/octet-stream")
    assert answer.body == served.handle_sync(request(state=SEEN))
    assert answer == asyncio.run(served.respond_async(request(state=SEEN)))


def wrong_state(context, message):
    context.storage.seen = "x"


class SilentError(Exception):
    def __str__(self) -> str:
        raise RuntimeError


STATE = "state 'seen' (io.statefun.types/int) of function 'com.example/user'"


@pytest.mark.parametrize(
    ("served", "said"),
    [
        (raising(ValueError("no customer 7")), "ValueError: no customer 7"),
        (raising(KeyError("seven")), "KeyError: 'seven'"),
        (raising(ValueError()), "ValueError"),
        (raising(SilentError()), "SilentError"),
        (raising(ValueError("é\ud800")), "ValueError: é?"),
        (raising(ValueError("x" * 5000)), "ValueError: " + "x" * 1000 + "… (5,000 characters)"),
        (
            handler(wrong_state),
            f"TypeError: io.statefun.types/int takes int, not 'x' (str), while setting {STATE}",
        ),
    ],
    ids=["text", "key", "empty", "silent", "no-utf-8", "long", "state"],
)
def test_an_exception_is_a_status_of_500_with_its_type_and_message(
    served: RequestReplyHandler, said: str, monkeypatch: pytest.MonkeyPatch
):
    # What is logged is the exception as it is; a report of a test is sent as UTF-8, which cannot have all of it.
    monkeypatch.setattr(logging.getLogger("statefun"), "disabled", True)
    for answer in (
        served.respond_sync(request(state=SEEN)),
        asyncio.run(served.respond_async(request(state=SEEN))),
    ):
        assert (answer.status, answer.content_type) == (500, "text/plain")
        assert answer.body.decode() == said


@pytest.mark.parametrize(
    ("after", "seconds"),
    [
        (timedelta(seconds=30), 30),
        (timedelta(milliseconds=1500), 2),
        (timedelta(milliseconds=1), 1),
        (timedelta(0), 1),
    ],
)
def test_who_asks_for_later_is_called_again_then(after: timedelta, seconds: int):
    served = raising(RetryLater("the shop is closed", after=after))

    answer = served.respond_sync(request(state=SEEN))

    assert (answer.status, answer.body) == (503, b"RetryLater: the shop is closed")
    assert answer.headers == {"retry-after": str(seconds)}
    assert answer == asyncio.run(served.respond_async(request(state=SEEN)))


def test_later_in_a_bundle_is_the_outcome_of_one_address():
    busy = RetryLater(after=timedelta(seconds=7))
    body = b"".join(varint(len(one)) + one for one in [request(state=SEEN)])

    answer = raising(busy).respond_sync(body, BUNDLE)

    assert answer.body == failure_outcome(0, 503, "RetryLater", 7)
    # As in the golden cases of the wire.
    golden = bytes.fromhex("0d1a0b08f7031204627573791807")
    assert failure_outcome(0, 503, "busy", 7) == golden


def test_later_is_logged_without_a_traceback(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO, "statefun")

    raising(RetryLater(after=timedelta(seconds=7))).respond_sync(request(state=SEEN))

    (record,) = caplog.records
    assert record.getMessage() == "a function asks to be called again in 7 s: RetryLater"
    assert (record.levelno, record.exc_info) == (logging.INFO, None)


def test_later_has_a_duration_that_is_one():
    with pytest.raises(ValueError, match="after of RetryLater must not be negative"):
        RetryLater(after=timedelta(seconds=-1))
    with pytest.raises(TypeError, match="after of RetryLater must be a timedelta, not 5"):
        RetryLater(after=5)


def test_what_is_no_request_and_what_nobody_serves_is_told_as_well():
    served = handler(good)
    assert b"was its body lost on the way?" in served.respond_sync(b"").body
    unknown = served.respond_sync(request(target=("a", "b", "c")))
    assert unknown.body.decode() == (
        f"UnknownFunctionError: no function is registered as 'a/b'; registered are: {FUNCTION}"
    )


def test_a_traceback_is_told_only_where_that_is_asked_for():
    def fails(context, message):
        raise ValueError("boom")

    assert b"Traceback" not in handler(fails).respond_sync(request(state=SEEN)).body
    told = handler(fails, show_tracebacks=True).respond_sync(request(state=SEEN)).body.decode()
    assert told.startswith("Traceback")
    assert told.rstrip().endswith("ValueError: boom")


def test_who_cancels_a_request_cancels_it():
    async def stuck(context, message):
        await asyncio.Event().wait()

    async def body() -> None:
        async with asyncio.timeout(0):
            await handler(stuck).respond_async(request(state=SEEN))

    with pytest.raises(TimeoutError):
        asyncio.run(body())


def test_each_kind_of_exception_is_logged_once_a_minute_with_its_traceback(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    now_s = 1000.0
    monkeypatch.setattr(failures.time, "monotonic", lambda: now_s)
    served = raising(ValueError("boom"))
    with caplog.at_level(logging.ERROR, logger="statefun"):
        for _ in range(100):
            served.respond_sync(request(state=SEEN))
        served.respond_sync(request(target=("a", "b", "c")))
        now_s += 61
        served.respond_sync(request(state=SEEN))

    said = [record.getMessage() for record in caplog.records]
    assert [line.split(":")[1] for line in said] == [
        " ValueError",
        " UnknownFunctionError",
        " ValueError",
    ]
    assert said[0] == "a function failed: ValueError: boom"
    assert said[2].endswith("(and 99 times more in the minute after it was said last)")
    assert all(record.exc_info for record in caplog.records)


def test_what_is_remembered_of_exceptions_is_bounded():
    told = failures.Failures(show_tracebacks=False)
    for number in range(1000):
        told.respond(type(f"Error{number}", (Exception,), {})())
    assert len(told._said) == 100
