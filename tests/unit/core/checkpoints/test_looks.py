from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from statefun_runtime.core.checkpoints.looks import Looks


def looks_until(looks: Looks, now_s: float, end_s: float) -> list[float]:
    """Return when an ingress looks that does so at once, and rests after each look."""
    found = [now_s]
    while (now_s := now_s + looks.rest_s(now_s)) < end_s - 1e-9:
        found.append(now_s)
    return found


@pytest.mark.parametrize(
    ("interval_s", "count"), [(0.02, 2), (0.05, 2), (0.1, 4), (1.0, 40), (30.0, 1200)]
)
def test_there_are_two_looks_an_epoch_and_in_a_long_one_a_look_in_25_ms(
    interval_s: float, count: int
):
    looks = Looks(interval_s)
    looks.cut(0.0, is_busy=False)

    found = looks_until(looks, looks.rest_s(0.0), interval_s)

    assert abs(len(found) - count) <= 1
    assert max(after - before for before, after in pairwise(found)) <= 0.031


def test_the_last_look_before_each_cut_leaves_the_same_time():
    looks = Looks(0.1)
    leads = []
    for number in range(3):
        cut_s = 10.0 + number * 0.1
        looks.cut(cut_s, is_busy=False)
        leads.append(cut_s + 0.1 - looks_until(looks, cut_s + 0.003, cut_s + 0.1)[-1])

    assert leads == pytest.approx([0.005] * 3, rel=0.05)


def lead_of(looks: Looks, cut_s: float) -> float:
    """Return what the last look before the next cut, 0.1 s later, leaves."""
    return cut_s + 0.1 - looks_until(looks, cut_s, cut_s + 0.1)[-1]


def test_it_is_earlier_after_a_cut_that_came_before_the_work_was_done_and_later_after_many_that_did_not():
    looks = Looks(0.1)
    for number in range(200):
        looks.cut(number * 0.1, is_busy=False)
    quick = lead_of(looks, 19.9)
    looks.cut(20.0, is_busy=True)
    slow = lead_of(looks, 20.0)
    for number in range(30):
        looks.cut(20.1 + number * 0.1, is_busy=True)
    slowest = lead_of(looks, 23.0)

    assert quick == pytest.approx(0.002)
    assert slow == pytest.approx(1.5 * quick)
    assert slowest == pytest.approx(0.025)


def test_who_is_a_moment_early_does_not_look_again_a_moment_later():
    looks = Looks(0.02)
    looks.cut(5.0, is_busy=False)
    last_s = looks_until(looks, 5.0, 5.02)[-1]

    assert looks.rest_s(last_s - 0.0005) > 0.009


@given(
    st.floats(0.001, 60.0),
    st.lists(st.tuples(st.floats(0.0, 70.0), st.booleans()), max_size=20),
    st.floats(0.0, 1e6),
)
@example(0.02, [], 0.013)
def test_a_rest_has_an_end_whenever_cuts_come(
    interval_s: float, cuts: list[tuple[float, bool]], now_s: float
):
    looks = Looks(interval_s)
    for after_s, is_busy in cuts:
        now_s += after_s
        looks.cut(now_s, is_busy=is_busy)
        assert 0 < looks.rest_s(now_s) <= 0.031
    assert 0 < looks.rest_s(now_s) <= 0.031


def test_where_something_leaves_at_once_nothing_is_rested_for():
    looks = Looks(0.0)
    looks.cut(1.0, is_busy=True)

    assert looks.rest_s(1.0) == 0
