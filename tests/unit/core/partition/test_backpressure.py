from statefun_runtime.core.checkpoints.manifest import KeyGroups
from statefun_runtime.core.partition.backpressure import Limits, Load
from statefun_runtime.core.partition.partitions import Partitions


def load(waiting_bytes: int = 0, *, spilled_bytes: int = 0, busy_max: int = 10) -> Load:
    """Two partitions share what waits."""
    partitions = Partitions(KeyGroups(0, 8), 2)
    for number, partition in enumerate(partitions):
        partition.waiting_bytes = (waiting_bytes + number) // 2
        partition.spilled_bytes = (spilled_bytes + number) // 2
    return Load(
        Limits(
            waiting_bytes_max=100,
            spilled_bytes_max=1000,
            unsaved_bytes_max=70,
            egress_bytes_max=50,
            busy_max=busy_max,
        ),
        partitions,
    )


def test_it_is_open_below_all_limits():
    assert load(99).closed_by(busy=9, egress_bytes=49, unsaved_bytes=69) is None


def closed(made: Load, *, busy: int = 0, egress: int = 0, unsaved: int = 0) -> str | None:
    return made.closed_by(busy=busy, egress_bytes=egress, unsaved_bytes=unsaved)


def test_each_limit_closes_it_and_says_which():
    assert closed(load(100)) == "100 bytes of messages wait in memory (limit 100)"
    assert closed(load(), egress=50) == "50 bytes wait for egresses (limit 50)"
    assert closed(load(), busy=10) == "10 addresses are busy (limit 10)"
    assert closed(load(), unsaved=70) == "70 bytes are in no checkpoint yet (limit 70)"
    assert closed(load(spilled_bytes=1000)) == "1000 bytes of messages wait on disk (limit 1000)"


def test_too_much_in_no_checkpoint_sticks_until_it_is_saved():
    made = load()
    made.unsaved(70)
    assert made.is_stuck

    made.unsaved(69)
    assert not made.is_stuck


def test_no_limit_of_busy_addresses_is_none():
    for busy_max in (0, -1):
        assert (
            load(busy_max=busy_max).closed_by(busy=10**6, egress_bytes=0, unsaved_bytes=0) is None
        )


def test_it_is_tight_from_half_of_the_memory_on():
    assert not load(49).is_tight
    assert load(50).is_tight
    assert load(spilled_bytes=500).is_tight
