import pytest

from statefun_runtime.core.checkpoints.manifest import KeyGroups
from statefun_runtime.core.model.address import KeyGroup
from statefun_runtime.core.model.keys import group_prefix
from statefun_runtime.core.partition.partitions import Partitions
from statefun_runtime.core.partition.timers import NEVER_MS


def test_every_key_group_has_one_owner_and_ranges_are_contiguous():
    partitions = Partitions(KeyGroups(10, 20), 3)

    owners = [
        partitions.owner(group_prefix(KeyGroup(group)) + b"s").number for group in range(10, 20)
    ]
    assert owners == [0, 0, 0, 1, 1, 1, 2, 2, 2, 2]
    assert [str(one) for one in partitions] == [
        "partition 0 (key groups 10 to 12)",
        "partition 1 (key groups 13 to 15)",
        "partition 2 (key groups 16 to 19)",
    ]


def test_what_is_due_is_taken_from_each_of_them_in_turn():
    partitions = Partitions(KeyGroups(0, 4), 2)
    groups = [group_prefix(KeyGroup(group)) for group in range(4)]
    for group in groups:
        partitions.owner(group).timers.read(group, [], None)
    assert partitions.next_look_ms() == NEVER_MS
    left, right = (
        [partition.timers.schedule(groups[2 * number], due_ms + number) for due_ms in (10, 20)]
        for number, partition in enumerate(partitions)
    )

    assert partitions.next_look_ms() == 10
    assert partitions.first_due(9) is None
    for key in (left[0], right[0], left[1], right[1]):
        assert partitions.first_due(30) == key
        partitions.taken(key)
    assert partitions.first_due(30) is None
    assert partitions.next_look_ms() == NEVER_MS


@pytest.mark.parametrize(
    ("groups", "count"), [(128, 8), (128, 7), (100, 3), (5, 5), (2, 7), (128, 1)]
)
def test_partitions_are_ranges_of_nearly_equal_size_and_none_is_empty(groups: int, count: int):
    sizes = [len(one.groups) for one in Partitions(KeyGroups(7, 7 + groups), count)]

    assert max(sizes) - min(sizes) <= 1
    assert min(sizes) >= 1
    assert sum(sizes) == groups
