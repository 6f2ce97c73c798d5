import pytest

from statefun_runtime.core.module.specs import AsyncTransport, OkHttpTransport
from statefun_runtime.core.partition.retry import (
    Cause,
    Failure,
    park_pause_s,
    retry_pause_s,
)

ASYNC, OKHTTP = AsyncTransport(call_s=120), OkHttpTransport(call_s=60)


def pause(
    transport: AsyncTransport | OkHttpTransport, failure: Failure, **kwargs: float
) -> float | None:
    return retry_pause_s(
        transport,
        failure,
        attempts=int(kwargs.get("attempts", 1)),
        budget_left_s=kwargs.get("budget_left_s", 60.0),
    )


@pytest.mark.parametrize("cause", list(Cause))
def test_async_tries_everything_again_but_a_timeout(cause: Cause):
    expected = None if cause is Cause.TIMEOUT else 0.004

    assert pause(ASYNC, Failure(cause, "", 404)) == expected


@pytest.mark.parametrize("cause", [cause for cause in Cause if cause is not Cause.STATUS])
def test_okhttp_tries_only_io_failures_again(cause: Cause):
    is_io = cause in (Cause.CONNECT, Cause.DISCONNECT, Cause.TIMEOUT)

    assert pause(OKHTTP, Failure(cause, "")) == (0.01 if is_io else None)


@pytest.mark.parametrize("status", [408, 409, 420, 429, 499, 500, 501, 503, 599])
def test_okhttp_tries_these_statuses_again(status: int):
    assert pause(OKHTTP, Failure(Cause.STATUS, "", status)) == 0.01


@pytest.mark.parametrize("status", [300, 301, 400, 401, 403, 404, 410, 413, 418, 498])
def test_okhttp_gives_up_at_other_statuses(status: int):
    assert pause(OKHTTP, Failure(Cause.STATUS, "", status)) is None


def test_pauses_double_from_four_milliseconds_with_async():
    failure = Failure(Cause.STATUS, "", 500)

    assert [pause(ASYNC, failure, attempts=n) for n in (1, 2, 3, 10)] == [
        0.004,
        0.008,
        0.016,
        2.048,
    ]


def test_pauses_double_from_ten_milliseconds_with_okhttp():
    failure = Failure(Cause.STATUS, "", 500)

    assert [pause(OKHTTP, failure, attempts=n) for n in (1, 2, 3, 8)] == [0.01, 0.02, 0.04, 1.28]


@pytest.mark.parametrize("transport", [ASYNC, OKHTTP])
def test_no_pause_goes_past_the_budget(transport: AsyncTransport | OkHttpTransport):
    failure = Failure(Cause.STATUS, "", 500)

    assert pause(transport, failure, attempts=10_000, budget_left_s=0.5) == 0.5
    assert pause(transport, failure, attempts=1, budget_left_s=0.0009) is None
    assert pause(transport, failure, attempts=1, budget_left_s=-3) is None


def test_an_address_is_parked_for_a_second_then_longer_up_to_five_minutes():
    pauses = [park_pause_s(times) for times in (1, 2, 3, 9, 10, 1000)]

    assert pauses == [1, 2, 4, 256, 300, 300]


@pytest.mark.parametrize(
    ("failure", "is_refused", "is_later"),
    [
        (Failure(Cause.CONNECT, ""), False, False),
        (Failure(Cause.CONTENT_TYPE, ""), False, False),
        (Failure(Cause.STATUS, "", 404), False, False),
        (Failure(Cause.STATUS, "", 500), False, False),
        (Failure(Cause.STATUS, "", 502), False, False),
        (Failure(Cause.STATUS, "", 503), False, False),
        (Failure(Cause.STATUS, "", 503, retry_after_s=1.0), False, True),
        (Failure(Cause.STATUS, "", 429), False, True),
        (Failure(Cause.BAD_REPLY, ""), True, False),
        (Failure(Cause.TOO_LARGE, ""), True, False),
        (Failure(Cause.UNKNOWN_EGRESS, ""), True, False),
    ],
)
def test_what_a_failure_says(failure: Failure, is_refused: bool, is_later: bool):
    assert (failure.is_refused_reply, failure.is_later) == (is_refused, is_later)
