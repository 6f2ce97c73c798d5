"""An outbox from which nothing leaves."""

from statefun_runtime.core.checkpoints.manifest import ObjectId, Outbox, StoredObject
from statefun_runtime.core.outboxes.counted_outbox import CountedOutbox


def test_records_are_counted_and_no_checkpoint_holds_them():
    outbox: CountedOutbox[str] = CountedOutbox(past_epoch=4)
    outbox.collect("a")
    outbox.collect("b")
    assert outbox.counted == 2
    assert list(outbox.cut(5)) == []
    assert not outbox.is_changed
    assert not outbox.has_queued


def test_an_epoch_is_behind_it_as_soon_as_it_is_complete():
    outbox: CountedOutbox[str] = CountedOutbox(past_epoch=4)
    assert outbox.confirmed_epoch == 4
    outbox.completed(6)
    assert outbox.confirmed_epoch == 6


def test_what_an_earlier_life_has_not_sent_does_not_leave_now():
    outbox: CountedOutbox[str] = CountedOutbox(past_epoch=4)
    outbox.restore(3, ["a", "b"])
    stored = StoredObject(ObjectId("x"), 1)
    outbox.restore_unloaded(Outbox("t/records", 4, 5, stored, is_transactional=True))
    assert outbox.counted == 7
    assert not outbox.has_queued
