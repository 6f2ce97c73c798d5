"""How many requests an endpoint is given at once, against servers of several kinds."""

from collections.abc import Callable

import pytest

from statefun_runtime.core.partition.allowance import START, Allowance

STEP_S = 0.02


def play(allowance: Allowance, rate: Callable[[int], float], seconds: float) -> list[int]:
    """Ask for more than is allowed, of a server that answers so many a second; return the limits of each step."""
    limits, replies = [], 0.0
    for step in range(round(seconds / STEP_S)):
        replies += rate(allowance.limit) * STEP_S
        whole = int(replies)
        replies -= whole
        allowance.observe(step * STEP_S, replies=whole, is_short=True)
        limits.append(allowance.limit)
    return limits


@pytest.mark.parametrize("per_s", [3.0, 50.0, 400.0, 5_000.0, 19_000.0])
def test_a_server_that_computes_gets_no_more(per_s: float):
    limits = play(Allowance(1024), lambda _: per_s, 60.0)

    assert max(limits) <= 4 * START
    # What is tried in vain is not tried all the time.
    assert sum(limits) / len(limits) < 1.5 * START or per_s < 50.0


def test_a_server_that_waits_for_others_gets_all_that_is_allowed_and_soon():
    limits = play(Allowance(1024), lambda limit: limit / 0.1, 3.0)

    assert limits[-1] == 1024


def test_a_pool_of_threads_gets_about_as_many_as_it_has():
    limits = play(Allowance(1024), lambda limit: min(limit, 200) / 0.1, 60.0)

    assert 200 <= limits[-1] <= 512


def test_behind_requests_that_hang_there_is_room_soon():
    limits = play(Allowance(1024), lambda _: 0.0, 3.0)

    assert limits[round(0.6 / STEP_S)] == 2 * START
    assert limits[-1] == 1024


def test_a_few_that_hang_do_not_keep_the_others_small():
    limits = play(Allowance(1024), lambda limit: max(0, limit - 60) / 0.05, 5.0)

    assert limits[-1] == 1024


def test_while_there_is_enough_nothing_grows():
    allowance = Allowance(1024)
    for step in range(1000):
        allowance.observe(step * STEP_S, replies=10, is_short=step % 5 != 0)

    assert allowance.limit == START


def test_the_fastest_get_no_more():
    assert set(play(Allowance(1024), lambda limit: limit * 1000.0, 5.0)) == {START}


def test_no_more_than_the_most_is_ever_allowed():
    for maximum in (1, 5, 100):
        limits = play(Allowance(maximum), lambda limit: limit / 0.1, 5.0)
        assert max(limits) == limits[-1] == maximum


def test_a_server_that_takes_only_some_is_given_those_and_tried_again_later():
    allowance = Allowance(1024)
    play(allowance, lambda limit: limit / 0.1, 1.0)
    assert allowance.limit > 100
    allowance.taken(1.0, 100)
    assert allowance.limit == 100

    limits = play(allowance, lambda limit: min(limit, 100) / 0.1, 13.0)
    assert set(limits[: round(10.0 / STEP_S)]) == {100}
    assert max(limits) == 200
    assert limits[-1] == 100


def test_a_server_is_not_thought_to_take_next_to_nothing():
    allowance = Allowance(1024)
    allowance.taken(0.0, 1)
    assert allowance.limit == 8

    small = Allowance(3)
    small.taken(0.0, 1)
    assert small.limit == 3


def test_what_was_learnt_can_be_forgotten():
    allowance = Allowance(1024)
    play(allowance, lambda limit: limit / 0.1, 3.0)
    allowance.reset()

    assert allowance.limit == START
