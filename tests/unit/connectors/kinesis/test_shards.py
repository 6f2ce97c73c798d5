"""Which shards may be read, and where each begins."""

import pytest

from statefun_runtime.connectors.kinesis.shards import (
    BEGINNING,
    FINISHED,
    Shard,
    as_lost,
    as_position,
    at_time,
    find_vanished,
    first_positions,
    lost_of,
    new_positions,
    number_of,
    read_until,
    readable,
    time_ms_of,
    was_made_anew,
    with_descendants,
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


def test_shards_that_are_there_no_more_and_were_not_read_to_their_end_are_found():
    def found(*shards: Shard, **positions: int) -> dict[str, str]:
        return find_vanished("s", shards, {f"s/{n}": at for n, at in positions.items()})

    gone = {"s/old": "the stream does not have this shard any more"}
    assert found(OLD, LEFT, old=FINISHED, left=100) == {}
    assert found(LEFT, old=FINISHED) == {}
    assert found(LEFT, old=BEGINNING) == gone
    assert found(LEFT, old=5, left=100) == gone
    assert find_vanished("s", [], {"other/left": 5, read_until("s"): 5}) == {}


def test_a_stream_that_contradicts_what_was_read_of_it_was_made_anew():
    def is_anew(*shards: Shard, **positions: int) -> bool:
        return was_made_anew(shards, {f"s/{n}": at for n, at in positions.items()})

    assert not is_anew(OLD, LEFT, old=FINISHED, left=100)
    assert not is_anew(OLD, LEFT, old=BEGINNING, left=at_time(5000))
    assert is_anew(LEFT, left=99)
    assert is_anew(LEFT, left=FINISHED)
    assert not is_anew(LEFT)


def test_what_goes_on_where_a_shard_ends_is_found_over_generations():
    shards = [OLD, LEFT, RIGHT, MERGED, shard("apart")]
    assert [one.id for one in with_descendants(["s/left"], shards).values()] == ["left", "merged"]
    # It may be gone itself.
    found = with_descendants(["s/old"], [LEFT, RIGHT, MERGED])
    assert list(found) == ["s/left", "s/right", "s/merged"]


@pytest.mark.parametrize("number", [BEGINNING, 5, 1 << 180, at_time(1_700_000_000_000)])
def test_a_position_that_is_lost_stays_what_it_was_and_says_why(number: int):
    position = as_lost(number, "it is gone")
    assert (number_of(position), lost_of(position)) == (number, "it is gone")
    assert lost_of(as_position(number)) == ""


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
