"""Which process has which slot, when processes come and go."""

from hypothesis import given
from hypothesis import strategies as st

from statefun_runtime.core.cluster.seating import seat

offers = st.dictionaries(st.sampled_from("abcdefgh"), st.integers(1, 3), max_size=6)


def test_new_processes_take_the_lowest_free_slots():
    assert seat({}, {"a": 1, "b": 2}, 64) == {0: "a", 1: "b", 2: "b"}
    assert seat({1: "b"}, {"b": 1, "c": 1}, 64) == {0: "c", 1: "b"}


def test_a_process_that_offers_fewer_seats_than_it_had_keeps_so_many():
    assert seat({0: "a", 1: "a", 2: "b"}, {"a": 1, "b": 1}, 64) == {0: "a", 2: "b"}


def test_there_are_no_more_slots_than_there_may_be():
    assert seat({}, {"a": 3, "b": 3}, 4) == {0: "a", 1: "a", 2: "a", 3: "b"}


@given(offers, offers)
def test_who_stays_keeps_its_slots_and_everybody_has_as_many_as_it_offers(
    before: dict[str, int], after: dict[str, int]
):
    old = seat({}, before, 64)
    new = seat(old, after, 64)

    assert sorted(new.values()) == sorted(
        name for name, count in after.items() for _ in range(count)
    )
    for name in before.keys() & after.keys():
        kept = [slot for slot, process in old.items() if process == name and new.get(slot) == name]
        assert len(kept) == min(before[name], after[name])
