"""Records that are acknowledged one by one: their epochs, and the order of a key."""

from collections import defaultdict

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from statefun_runtime.core.checkpoints.manifest import ObjectId, Outbox, StoredObject
from statefun_runtime.core.outboxes import outbox as outbox_module
from statefun_runtime.core.outboxes.form import RecordForm
from statefun_runtime.core.outboxes.keyed_outbox import Item, KeyedOutbox

Record = tuple[str, int]
FORM = RecordForm[Record](
    lambda record: b"%s%d" % (record[0].encode(), record[1]),
    lambda data: (data[:1].decode(), int(data[1:])),
    lambda record: 10,
)


def stored(epoch: int, count: int = 1) -> Outbox:
    return Outbox("t/out", epoch, count, StoredObject(ObjectId(str(epoch)), 10 * count), True)


def outbox(confirmed_epoch: int = 0, memory_max_bytes: int = 1 << 30) -> KeyedOutbox[Record]:
    return KeyedOutbox(
        FORM,
        lambda record: record[0],
        confirmed_epoch=confirmed_epoch,
        memory_max_bytes=memory_max_bytes,
    )


def complete(made: KeyedOutbox[Record], epoch: int, *records: Record) -> None:
    for record in records:
        made.collect(record)
    made.cut(epoch)
    made.completed(epoch)


def take(made: KeyedOutbox[Record], count: int = 100, size_bytes: int = 1000) -> list[Record]:
    return [item.record for item in made.take(count, size_bytes)]


def test_nothing_leaves_before_its_checkpoint_is_complete():
    made = outbox()
    made.collect(("k", 1))
    assert made.cut(1) == [("k", 1)]
    assert not made.has_ready
    assert take(made) == []

    made.completed(1)
    assert take(made) == [("k", 1)]


def test_records_of_a_failed_epoch_lead_those_of_the_next():
    made = outbox()
    made.collect(("k", 1))
    made.cut(1)
    made.collect(("k", 2))
    made.failed(1)

    assert made.cut(2) == [("k", 1), ("k", 2)]


def test_of_a_key_one_record_is_on_its_way():
    made = outbox()
    complete(made, 1, ("a", 1), ("a", 2), ("b", 1))
    first, other = made.take(100, 1000)
    assert (first.record, other.record) == (("a", 1), ("b", 1))
    assert take(made) == []

    made.returned(first)
    (again,) = made.take(100, 1000)
    assert again is first
    made.acknowledged(again)
    assert take(made) == [("a", 2)]


def test_no_more_is_taken_than_is_asked_for_but_one_record_always():
    made = outbox()
    complete(made, 1, *((str(n), n) for n in range(6)))
    assert len(take(made, 2)) == 2
    assert len(take(made, 100, 25)) == 2
    assert len(take(made, 100, 5)) == 1
    assert made.has_ready


def test_an_epoch_is_confirmed_when_it_and_those_before_it_have_left():
    made = outbox(confirmed_epoch=3)
    assert made.confirmed_epoch == 3
    complete(made, 4, ("a", 1))
    complete(made, 5, ("b", 1))
    a, b = made.take(100, 1000)
    made.acknowledged(b)
    assert made.confirmed_epoch == 3
    made.acknowledged(a)
    assert made.confirmed_epoch == 5
    assert (made.count, made.bytes, made.has_queued) == (0, 0, False)


def test_what_is_restored_is_not_confirmed_any_more():
    made = outbox(confirmed_epoch=9)
    made.restore(7, [("a", 1)])
    made.restore(9, [("a", 2)])
    assert made.confirmed_epoch == 6
    (a,) = made.take(100, 1000)
    made.acknowledged(a)
    assert made.confirmed_epoch == 8
    (a,) = made.take(100, 1000)
    made.acknowledged(a)
    assert made.confirmed_epoch == 9


def test_what_memory_has_no_room_for_is_unloaded_and_loaded_in_its_turn():
    made = outbox(memory_max_bytes=40)
    complete(made, 1, *((str(n), 1) for n in range(4)))
    for epoch in (2, 3):
        made.collect(("0", epoch))
        made.cut(epoch)
        made.completed(epoch, stored(epoch))
    assert (made.bytes, made.unloaded_bytes, made.count) == (40, 20, 6)
    assert made.next_unloaded() is None
    assert not made.has_room

    for item in made.take(3, 1000):
        made.acknowledged(item)
    second = made.next_unloaded()
    assert second is not None
    assert (second.epoch, second.object) == (2, ObjectId("2"))
    made.loaded(second, [("0", 2)])
    third = made.next_unloaded()
    assert third is None
    assert made.confirmed_epoch == 0
    for item in made.take(3, 1000):
        made.acknowledged(item)
    assert made.confirmed_epoch == 2
    assert (made.bytes, made.unloaded_bytes, made.has_queued) == (0, 10, True)


def test_an_epoch_does_not_overtake_those_that_are_unloaded_though_memory_is_empty():
    made = outbox(memory_max_bytes=10)
    complete(made, 1, ("k", 1))
    for epoch in (2, 3):
        made.collect(("k", epoch))
        made.cut(epoch)
        if epoch == 3:
            (first,) = made.take(100, 1000)
            made.acknowledged(first)
        made.completed(epoch, stored(epoch))
    assert take(made) == []
    second = made.next_unloaded()
    assert second is not None
    made.loaded(second, [("k", 2)])
    assert take(made) == [("k", 2)]


def test_what_was_given_up_is_named_until_its_epoch_is_done_with():
    made = outbox()
    complete(made, 1, ("a", 1), ("b", 1), ("a", 2))
    a, b = made.take(100, 1000)
    made.give_up(a)
    assert made.refused() == [(1, 0)]
    made.acknowledged(b)
    (a,) = made.take(100, 1000)
    made.acknowledged(a)
    assert made.refused() == []
    made.restore_unloaded(stored(2, 2), [1])
    assert made.refused() == [(2, 1)]


class KeyedOutboxMachine(RuleBasedStateMachine):
    """Records leave in the order of their key, none is lost, and what is confirmed has left."""

    def __init__(self) -> None:
        super().__init__()
        self.outbox = outbox(memory_max_bytes=20)
        self.objects: dict[ObjectId, list[Record]] = {}
        self.made: dict[str, list[Record]] = defaultdict(list)
        self.left: dict[str, list[Record]] = defaultdict(list)
        self.epoch = 1
        self.epoch_of: dict[Record, int] = {}
        self.away: list[Item[Record]] = []

    @rule(key=st.sampled_from("abc"))
    def collect(self, key: str) -> None:
        record = (key, len(self.made[key]))
        self.made[key].append(record)
        self.outbox.collect(record)

    @rule(is_complete=st.booleans())
    def cut(self, is_complete: bool) -> None:
        object_id = ObjectId(str(self.epoch))
        self.objects[object_id] = list(self.outbox.cut(self.epoch))
        for record in self.objects[object_id]:
            self.epoch_of[record] = self.epoch
        if is_complete:
            self.outbox.completed(self.epoch, stored(self.epoch, len(self.objects[object_id])))
        else:
            self.outbox.failed(self.epoch)
        self.epoch += 1

    @rule()
    def load(self) -> None:
        unloaded = self.outbox.next_unloaded()
        if unloaded is not None:
            self.outbox.loaded(unloaded, self.objects[unloaded.object])

    @rule(count=st.integers(1, 3))
    def take(self, count: int) -> None:
        self.away += self.outbox.take(count, 1000)

    @precondition(lambda self: self.away)
    @rule(is_taken=st.booleans(), data=st.data())
    def answer(self, is_taken: bool, data: st.DataObject) -> None:
        item = self.away.pop(data.draw(st.integers(0, len(self.away) - 1)))
        if is_taken:
            self.outbox.acknowledged(item)
            self.left[item.record[0]].append(item.record)
        else:
            self.outbox.returned(item)

    @invariant()
    def order_is_kept(self) -> None:
        for key, records in self.left.items():
            assert records == self.made[key][: len(records)]

    @invariant()
    def all_are_counted(self) -> None:
        waiting = sum(map(len, self.made.values())) - sum(map(len, self.left.values()))
        assert self.outbox.count == waiting
        assert self.outbox.bytes + self.outbox.unloaded_bytes == 10 * waiting

    @invariant()
    def what_is_confirmed_has_left(self) -> None:
        left = {record for records in self.left.values() for record in records}
        for record, epoch in self.epoch_of.items():
            assert epoch > self.outbox.confirmed_epoch or record in left


TestKeyedOutbox = KeyedOutboxMachine.TestCase


def test_an_epoch_that_has_grown_enough_says_so_once(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(outbox_module, "EPOCH_BYTES_MAX", 20)
    made, told = outbox(), []
    made.growth.on_full = lambda: told.append(made.count)
    complete(made, 1, ("a", 1))
    complete(made, 2, ("a", 2), ("b", 3), ("c", 4))
    assert told == [3]

    made.collect(("a", 5))
    made.collect(("b", 6))
    made.cut(3)
    made.failed(3)
    made.collect(("c", 7))
    assert len(told) == 3
