"""Who owns what, and how little moves when somebody comes or goes."""

from hypothesis import given
from hypothesis import strategies as st

from statefun_runtime.core.checkpoints.manifest import KeyGroups
from statefun_runtime.core.cluster.plan import Member, Plan, alone, assign, moved

_SLOTS = st.sets(st.integers(0, 20), min_size=1, max_size=12)


@given(st.integers(21, 300), st.lists(_SLOTS, min_size=1, max_size=5))
def test_every_plan_is_balanced_whoever_comes_and_goes(groups: int, times: list[set[int]]):
    plan = None
    for slots in times:
        plan = assign(groups, slots, plan)

        assert set(plan.slots) == slots
        assert plan.key_group_count == groups
        sizes = [len(member.key_groups) for member in plan.members]
        assert max(sizes) - min(sizes) <= 1


@given(st.integers(21, 300), _SLOTS)
def test_the_same_members_keep_what_they_have(groups: int, slots: set[int]):
    plan = assign(groups, slots)
    assert assign(groups, slots, plan) == plan


@given(st.integers(2, 12))
def test_one_who_comes_takes_its_place_where_most_stays(count: int):
    before = assign(240, range(count))
    after = assign(240, range(count + 1), before)

    # At best the middle ones move half of what the new one takes from each side.
    assert moved(before, after) <= 240 // 2 + 1


def test_who_is_alone_owns_everything_and_has_the_name_of_old():
    (member,) = alone(128).members
    assert (member.owner, member.key_groups) == ("standalone", KeyGroups(0, 128))
    assert assign(128, [0]) == alone(128)


def test_whoever_owns_the_first_key_group_is_at_home():
    plan = Plan((Member(3, KeyGroups(0, 2)), Member(0, KeyGroups(2, 5))))
    assert plan.home.slot == 3
    assert plan.slots_by_group() == [3, 3, 0, 0, 0]


@given(_SLOTS, st.text(max_size=5))
def test_partitions_of_a_topic_are_shared_evenly(slots: set[int], topic: str):
    plan = assign(100, slots)
    readers = [plan.reader(topic, number) for number in range(len(slots) * 3)]
    assert {slot: readers.count(slot) for slot in slots} == dict.fromkeys(slots, 3)
