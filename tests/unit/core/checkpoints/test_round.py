"""A checkpoint among its participants: every event in every order ends in one of two ways."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statefun_runtime.core.checkpoints.round import LEGAL_MOVES, Round, Station


def two() -> Round[str]:
    return Round(7, ["a", "b"])


def test_it_is_complete_when_all_have_cut_acknowledged_and_the_log_has_it():
    made = two()
    assert made.cut("a") is Station.TRIGGERED
    assert made.acknowledge("a", "part of a") is Station.TRIGGERED
    assert made.cut("b") is Station.ALIGNED
    assert made.acknowledge("b", "part of b") is Station.ACKNOWLEDGED
    assert not made.has_ended
    assert made.decide(is_logged=True) is Station.COMPLETE
    assert made.parts == ("part of a", "part of b")


def test_the_last_to_acknowledge_decides():
    made = two()
    made.cut("a")
    made.cut("b")
    assert made.acknowledge("b", "part of b") is Station.ALIGNED
    assert made.acknowledge("a", "part of a") is Station.ACKNOWLEDGED
    assert made.parts == ("part of a", "part of b")


def test_one_snapshot_that_fails_aborts_it_and_what_comes_later_changes_nothing():
    made = two()
    made.cut("a")
    made.cut("b")
    assert made.fail("b") is Station.ABORTED
    assert made.has_ended
    assert made.acknowledge("a", "late") is Station.ABORTED


def test_a_participant_may_fail_before_another_has_cut():
    made = two()
    made.cut("a")
    assert made.fail("a") is Station.ABORTED
    assert made.cut("b") is Station.ABORTED


def test_what_is_not_in_the_log_is_aborted():
    made: Round[str] = Round(1, ["a"])
    made.cut("a")
    made.acknowledge("a", "part")
    assert made.decide(is_logged=False) is Station.ABORTED


@pytest.mark.parametrize(
    "misuse",
    [
        lambda made: made.acknowledge("a", "x"),
        lambda made: (made.cut("a"), made.cut("a")),
        lambda made: made.decide(is_logged=True),
        lambda made: made.parts,
        lambda made: (made.cut("a"), made.acknowledge("a", "x"), made.fail("a")),
        lambda made: (made.cut("a"), made.acknowledge("a", "x"), made.acknowledge("a", "x")),
    ],
)
def test_what_cannot_be_is_our_fault(misuse):
    with pytest.raises(AssertionError):
        misuse(two())


def test_nobody_and_namesakes_take_no_checkpoint():
    for participants in ([], ["a", "a"]):
        with pytest.raises(AssertionError):
            Round(1, participants)


@given(st.permutations("aabbcc"), st.sets(st.sampled_from("abc")), st.booleans())
def test_in_any_order_it_ends_complete_or_aborted(order, failing, is_logged):
    made: Round[str] = Round(1, ["a", "b", "c"])
    have_cut: set[str] = set()
    stations = [made.station]
    for name in order:
        if name not in have_cut:
            have_cut.add(name)
            made.cut(name)
        elif name in failing:
            made.fail(name)
        else:
            made.acknowledge(name, name)
        stations.append(made.station)
    if made.station is Station.ACKNOWLEDGED:
        stations.append(made.decide(is_logged=is_logged))

    assert made.station is (Station.COMPLETE if not failing and is_logged else Station.ABORTED)
    for before, after in pairwise(stations):
        assert before is after or after in LEGAL_MOVES[before]
