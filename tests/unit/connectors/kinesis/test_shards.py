"""Which shards may be read, and where each begins."""

import pytest

from statefun_runtime.connectors.kinesis.shards import (
    BEGINNING,
    FINISHED,
    Shard,
    as_position,
    at_time,
    find_vanished,
    first_positions,
    may_lack_records,
    new_positions,
    number_of,
    read_until,
    readable,
    time_ms_of,
)
from statefun_runtime.core.module.specs import Date, Earliest, Latest


def shard(name: str, *parents: str, is_open: bool = True, first_sequence: int = 100) -> Shard:
    return Shard("s", name, parents, is_open, first_sequence, 0, 1)


OLD, LEFT, RIGHT = shard("old", is_open=False), shard("left", "old"), shard("right", "old")
MERGED = shard("merged", "left", "right")


def names(shards: list[Shard], **positions: int) -> list[str]:
    known = {f"s/{name}": position for name, position in positions.items()}
    return [one.id for one in readable(shards, {**new_positions(shards, known), **known})]


def test_a_child_is_read_after_all_its_parents():
    shards = [OLD, LEFT, RIGHT, MERGED]
    assert names(shards) == ["old"]
    assert names(shards, old=5) == ["old"]
    assert names(shards, old=FINISHED) == ["left", "right"]
    assert names(shards, old=FINISHED, left=FINISHED) == ["right"]
    assert names(shards, old=FINISHED, left=FINISHED, right=FINISHED) == ["merged"]


def test_a_parent_that_is_long_gone_holds_nobody_back():
    assert names([LEFT]) == ["left"]


def test_a_first_start_says_where_each_shard_begins():
    shards = [OLD, LEFT]
    assert first_positions(shards, Earliest(), now_ms=9000) == {"s/old": 0, "s/left": 0}
    assert first_positions(shards, Date(7000), now_ms=9000) == {"s/old": -7000, "s/left": -7000}
    assert first_positions(shards, Latest(), now_ms=9000) == {"s/old": FINISHED, "s/left": -9000}


def test_a_time_is_a_position_and_nothing_else_is_a_time():
    assert time_ms_of(at_time(1_700_000_000_000)) == 1_700_000_000_000
    assert [time_ms_of(position) for position in (BEGINNING, FINISHED, 5)] == [None] * 3
    assert at_time(1) == at_time(0) == at_time(-5) == BEGINNING


def test_what_cannot_be_gone_on_with_is_found():
    def found(*shards: Shard, **positions: int) -> str | None:
        vanished = find_vanished("s", shards, {f"s/{n}": at for n, at in positions.items()})
        return vanished and f"{vanished[0]}: {vanished[1]}"

    assert found(OLD, LEFT, old=FINISHED, left=100) is None
    assert found(LEFT, old=FINISHED) is None
    assert found(LEFT, old=BEGINNING) == "s/old: the stream does not have this shard any more"
    assert found(LEFT, left=99) == "s/left: the shard begins later, at 100"
    assert found(LEFT, left=at_time(5000)) is None
    assert found(LEFT, left=FINISHED) == (
        "s/left: it was read to its end, and is open: the stream was made anew"
    )
    assert find_vanished("s", [], {"other/left": 5, read_until("s"): 5}) is None


def test_records_may_be_lacking_after_a_time_that_is_longer_than_they_are_kept():
    positions = {read_until("s"): 1000}
    assert not may_lack_records("s", positions, now_ms=1500, kept_ms=500)
    assert may_lack_records("s", positions, now_ms=1501, kept_ms=500)
    assert not may_lack_records("other", positions, now_ms=9999, kept_ms=500)


@pytest.mark.parametrize("number", [BEGINNING, FINISHED, 5, 1 << 180, at_time(1_700_000_000_000)])
def test_a_position_in_a_checkpoint_says_what_it_is_and_means_what_it_meant(number: int):
    position = as_position(number)
    assert not isinstance(position, int)
    assert number_of(position) == number
    # Up to version 2 of the format it was the number.
    assert number_of(number) == number


def test_a_position_of_another_ingress_is_none_of_ours():
    with pytest.raises(ValueError, match="'elsewhere' is none of a Kinesis stream"):
        number_of("elsewhere")
