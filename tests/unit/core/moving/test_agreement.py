"""Whether two topics say the same to a key."""

from collections.abc import Callable, Iterator

import pytest

from statefun_runtime.core.moving import agreement
from statefun_runtime.core.moving.agreement import (
    Judgement,
    Said,
    Spot,
    Tally,
    Tolerance,
    Verdict,
    judge,
)

NONE = Tolerance()
END = Tolerance(end=True)
BOTH = Tolerance(end=True, start=True)


def side(values: str) -> Callable[[], Iterator[Said]]:
    """A topic in which each letter is a value, at the offsets 10, 11 and so on."""

    def read() -> Iterator[Said]:
        for at, letter in enumerate(values):
            yield Said(letter.encode() * 16, Spot(0, 10 + at))

    return read


def verdict(first: str, second: str, tolerance: Tolerance = NONE) -> Verdict:
    return judge(side(first), side(second), tolerance).verdict


def test_the_same_values_in_the_same_order_are_the_same():
    assert judge(side("abca"), side("abca"), NONE) == Judgement(Verdict.SAME)


def test_values_that_one_topic_has_not_are_counted_and_the_first_place_is_named():
    assert judge(side("abcc"), side("abxc"), NONE) == Judgement(
        Verdict.DIFFERS, missing=1, additional=1, first=Spot(0, 12), second=Spot(0, 12)
    )


def test_the_end_of_a_topic_is_no_place():
    assert judge(side("abc"), side("a"), NONE) == Judgement(
        Verdict.DIFFERS, missing=2, additional=0, first=Spot(0, 11), second=None
    )


def test_a_value_that_is_said_twice_is_additional():
    assert judge(side("ab"), side("abb"), NONE).additional == 1


def test_another_order_is_told_from_other_values():
    assert judge(side("abc"), side("acb"), NONE) == Judgement(
        Verdict.REORDERED, first=Spot(0, 11), second=Spot(0, 11)
    )


def test_what_has_no_key_has_no_order():
    assert judge(side("abc"), side("cab"), NONE, is_ordered=False).verdict is Verdict.SAME
    assert judge(side("abc"), side("cax"), NONE, is_ordered=False).verdict is Verdict.DIFFERS


def test_a_topic_that_goes_on_is_no_difference_where_its_end_is_open():
    assert verdict("abc", "ab") is Verdict.DIFFERS
    assert verdict("abc", "ab", END) is Verdict.OPEN
    assert verdict("ab", "abc", END) is Verdict.OPEN
    assert verdict("abc", "ax", END) is Verdict.DIFFERS


def test_a_topic_that_begins_earlier_is_no_difference_where_the_start_is_open():
    assert verdict("xyabc", "abc", END) is Verdict.DIFFERS
    assert verdict("xyabc", "abc", Tolerance(start=True)) is Verdict.OPEN
    assert verdict("abc", "xyabc", Tolerance(start=True)) is Verdict.OPEN
    assert verdict("xyabcd", "abc", Tolerance(start=True)) is Verdict.DIFFERS
    assert verdict("xyabcd", "abc", BOTH) is Verdict.OPEN
    assert verdict("xaabc", "abc", BOTH) is Verdict.OPEN
    assert verdict("xyabq", "abc", BOTH) is Verdict.DIFFERS


def test_a_key_of_many_values_is_counted_in_rounds(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(agreement, "_COUNTED_MAX", 3)
    found = judge(side("abcdefghij"), side("abcdefgxyz"), NONE)
    assert (found.missing, found.additional) == (3, 3)


def test_a_tally_keeps_some_differences_and_the_earliest_of_all():
    tally = Tally(kept_max=1)
    tally.add("one", judge(side("a"), side("a"), NONE))
    tally.add("two", judge(side("abc"), side("abd"), NONE))
    tally.add("three", judge(side("ab"), side("ax"), NONE))

    assert not tally.is_same
    assert [key for key, _ in tally.kept] == ["two"]
    assert tally.earliest is not None
    assert tally.earliest[0] == "three"
    assert (tally.keys, tally.missing, tally.additional) == (3, 2, 2)
