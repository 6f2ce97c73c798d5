from statefun_runtime.core.model.address import KeyGroup, TypeName
from statefun_runtime.core.model.keys import group_prefix
from statefun_runtime.core.partition.partitions import Partitions
from statefun_runtime.core.partition.timers import Delayed


def test_every_key_group_has_one_owner_and_ranges_are_contiguous():
    partitions = Partitions(key_group_count=10, partition_count=3)

    owners = [partitions.owner(group_prefix(KeyGroup(group)) + b"s").number for group in range(10)]
    assert owners == [0, 0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert [str(one) for one in partitions] == [
        "partition 0 (key groups 0 to 3)",
        "partition 1 (key groups 4 to 6)",
        "partition 2 (key groups 7 to 9)",
    ]


def test_what_is_due_is_taken_from_each_of_them_in_turn():
    partitions = Partitions(key_group_count=4, partition_count=2)
    assert partitions.next_due_ms() is None
    for number, partition in enumerate(partitions):
        for due_ms in (10, 20):
            delayed = Delayed("alice", TypeName("t", "f"), "bob", b"x")
            key = b"%d at %d" % (number, due_ms)
            partition.timers.schedule(
                due_ms + number, partition.timers.next_sequence(), key, delayed
            )

    assert partitions.next_due_ms() == 10
    assert partitions.first_due(9) is None
    for key in (b"0 at 10", b"1 at 10", b"0 at 20", b"1 at 20"):
        assert partitions.first_due(30) == key
        partitions.taken(key)
    assert partitions.first_due(30) is None
    assert partitions.next_due_ms() is None
