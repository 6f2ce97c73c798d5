"""A commit log whose checkpoints lie where others could keep theirs: one life holds that place."""

from dataclasses import replace

import pytest

from statefun_runtime.adapters.storage.claimed_log import ClaimedLog
from statefun_runtime.core.checkpoints.commits import Completed, Started
from statefun_runtime.core.checkpoints.manifest import ObjectId
from statefun_runtime.errors import ConfigError, FencedError, UnavailableError
from tests.fakes.checkpoint_store import MemoryLog
from tests.fakes.off_loop import result_of

FIRST = Started("0123456789", 1, "nonce-1", "line", 0, None, None, 128)
SECOND = replace(FIRST, incarnation=2, nonce="nonce-2")
WHERE = "s3://bucket/shop"


class Place:
    """A place in memory; `overtaken` is who takes it when somebody else is about to."""

    def __init__(self) -> None:
        self.content: bytes | None = None
        self.overtaken: bytes | None = None

    async def holder(self) -> bytes | None:
        return self.content

    async def hold(self, content: bytes, *, instead_of: bytes | None) -> bool:
        if self.overtaken is not None:
            self.content = self.overtaken
        if self.content != instead_of:
            return False
        self.content = content
        return True


def life(place: Place, log: MemoryLog, started: Started) -> ClaimedLog:
    claimed = ClaimedLog(log, place, WHERE)
    result_of(claimed.read())
    result_of(claimed.append(started))
    return claimed


def test_each_life_of_a_log_holds_the_place_after_the_one_before():
    place, log = Place(), MemoryLog()

    first = life(place, log, FIRST)
    result_of(first.append(Completed(1, 1, "line", ObjectId("m"))))
    held = place.content
    assert life(place, log, SECOND)
    assert place.content != held
    assert len(log.entries) == 3


def test_a_place_that_a_life_of_another_log_holds_is_refused_before_anything_is_written():
    place, log = Place(), MemoryLog()
    life(place, MemoryLog(), replace(FIRST, nonce="another"))
    held = place.content

    with pytest.raises(ConfigError) as refusal:
        life(place, log, FIRST)
    assert str(refusal.value) == (
        "SF1084: s3://bucket/shop has the checkpoints of application 01234567, incarnation 1, which the commit log of "
        "this state folder does not know\n"
        "hint: each application needs a place of its own: name another with --checkpoints, or the state folder that "
        "belongs to this one with --state-dir"
    )
    assert log.entries == []
    assert place.content == held


def test_of_two_copies_of_a_log_the_later_one_holds_the_place_and_the_earlier_is_refused():
    place, log = Place(), MemoryLog()
    life(place, log, FIRST)
    copy = MemoryLog(list(log.entries))
    life(place, copy, SECOND)

    with pytest.raises(ConfigError, match="incarnation 2, which the commit log"):
        life(place, log, replace(SECOND, nonce="another"))


def test_who_is_overtaken_between_its_entry_and_its_claim_is_fenced():
    place = Place()
    place.overtaken = b"another"

    with pytest.raises(FencedError):
        life(place, MemoryLog(), FIRST)


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b'{"application": "a"}', b"\xff"])
def test_a_holder_that_cannot_be_read_is_nobody_that_is_known(content: bytes):
    place = Place()
    place.content = content
    with pytest.raises(ConfigError, match="the checkpoints of what this version cannot read"):
        life(place, MemoryLog(), FIRST)


def test_a_life_is_not_begun_at_a_place_that_nobody_holds_although_checkpoints_were_completed_there():
    place, log = Place(), MemoryLog()
    first = life(place, log, FIRST)
    result_of(first.append(Completed(1, 1, "line", ObjectId("m"))))
    place.content = None

    with pytest.raises(UnavailableError, match="is it mounted"):
        life(place, log, replace(SECOND, from_epoch=1, from_manifest=ObjectId("m")))
    assert len(log.entries) == 2
    assert place.content is None


def test_a_life_that_begins_with_a_savepoint_may_be_the_first_at_its_place():
    log = MemoryLog()
    first = life(Place(), log, FIRST)
    result_of(first.append(Completed(1, 1, "line", ObjectId("m"))))
    other = Place()

    life(other, log, replace(SECOND, lineage="new", from_epoch=1, from_manifest=ObjectId("m")))
    assert other.content is not None
