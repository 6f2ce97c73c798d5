"""What the commit log and the progress topic together decide."""

from statefun_runtime.core.checkpoints.commits import (
    Claim,
    Completed,
    Covered,
    Entry,
    History,
    Marker,
    Started,
    Superseded,
    decide_published,
)
from statefun_runtime.core.checkpoints.manifest import ObjectId


def started(
    incarnation: int, lineage: str = "old", from_epoch: int = 0, from_lineage: str | None = None
) -> Started:
    manifest = ObjectId(f"m{from_epoch}") if from_epoch else None
    nonce = f"n{incarnation}"
    return Started("app", incarnation, nonce, lineage, from_epoch, manifest, from_lineage, 128)


def completed(epoch: int, lineage: str = "old", incarnation: int = 1) -> Completed:
    return Completed(epoch, incarnation, lineage, ObjectId(f"m{epoch}"))


def history(*entries: Entry) -> History:
    return History(entries)


def marker(epoch: int, count: int, incarnation: int = 1, lineage: str = "old") -> Marker:
    return Marker(incarnation, f"n{incarnation}", lineage, epoch, count)


OWN = Claim(2, "n2", 1)
HISTORY = history(started(1), completed(1), completed(2), started(2, from_epoch=2))


def test_without_a_marker_nothing_is_published():
    assert decide_published([Claim(1, "n1", 1), OWN], HISTORY, OWN) == Covered(0, 0)


def test_the_furthest_marker_of_an_earlier_life_counts():
    seen = [marker(1, 5), marker(2, 3), OWN]

    assert decide_published(seen, HISTORY, OWN) == Covered(2, 3)


def test_a_later_incarnation_ends_this_one():
    newer = history(*HISTORY.entries, started(3, from_epoch=2))

    assert decide_published([Claim(3, "n3", 1), OWN], newer, OWN) == Superseded(Claim(3, "n3", 1))


def test_a_life_that_the_log_does_not_know_ends_this_one():
    copy = Claim(2, "of a copied folder", 1)

    assert decide_published([copy, OWN], HISTORY, OWN) == Superseded(copy)


def test_an_earlier_life_that_published_what_the_log_does_not_know_goes_on_elsewhere():
    """The folder was copied, and the original was not stopped."""
    seen = [marker(2, 3), marker(3, 1), OWN]

    assert decide_published(seen, HISTORY, OWN) == Superseded(marker(3, 1))


def test_an_epoch_of_a_later_life_is_not_the_one_that_an_earlier_life_published_elsewhere():
    """The copy's first life completed epochs 3 and 4 and published nothing; the original its own, and did."""
    third = Claim(3, "n3", 1)
    log = history(
        *HISTORY.entries,
        completed(3, incarnation=2),
        completed(4, incarnation=2),
        started(3, from_epoch=4),
    )
    elsewhere = marker(4, 1, incarnation=1)

    assert decide_published([elsewhere, third], log, third) == Superseded(elsewhere)
    assert decide_published([marker(4, 1, 2), third], log, third) == Covered(4, 1)


def test_what_a_savepoint_had_to_publish_is_known_to_a_log_that_began_with_it():
    log = history(started(1, from_epoch=7), started(2, from_epoch=7))

    assert decide_published([marker(7, 3), OWN], log, OWN) == Covered(7, 3)


def test_what_this_life_published_itself_is_beyond_the_log_of_its_start():
    seen = [marker(5, 1, incarnation=2), Claim(2, "n2", 2)]

    assert decide_published(seen, HISTORY, Claim(2, "n2", 2)) == Covered(5, 1)


def test_markers_of_a_lineage_that_was_left_cover_nothing_after_the_point_where_it_was():
    branched = history(
        started(1),
        completed(1),
        completed(2),
        completed(3),
        started(2, "new", from_epoch=2, from_lineage="old"),
    )

    assert decide_published([marker(1, 5), OWN], branched, OWN) == Covered(1, 5)
    assert decide_published([marker(2, 4), OWN], branched, OWN) == Covered(2, 4)
    # Epoch 3 of the old lineage never happened for the new one.
    assert decide_published([marker(3, 7), OWN], branched, OWN) == Covered(0, 0)


def test_checkpoints_of_a_lineage_that_was_left_do_not_count():
    branched = history(
        started(1),
        completed(1),
        completed(2),
        completed(3),
        started(2, "new", from_epoch=1, from_lineage="old"),
        completed(4, "new"),
    )

    assert [entry.epoch for entry in branched.completed] == [1, 4]
    assert branched.last_epoch == 4
    assert branched.origin == "m1"
    assert branched.ancestry()[1] == ("old", 1)


def test_an_empty_log_knows_nothing():
    empty = history()

    assert (empty.last_started, empty.completed, empty.last_epoch, empty.origin) == (
        None,
        [],
        0,
        None,
    )
