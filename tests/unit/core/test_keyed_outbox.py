"""Records that are acknowledged one by one: their epochs, and the order of a key."""

from collections import defaultdict

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from statefun_runtime.core.keyed_outbox import Item, KeyedOutbox

Record = tuple[str, int]


def outbox(confirmed_epoch: int = 0) -> KeyedOutbox[Record]:
    return KeyedOutbox(lambda record: record[0], lambda record: 10, confirmed_epoch=confirmed_epoch)


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


class KeyedOutboxMachine(RuleBasedStateMachine):
    """Records leave in the order of their key, none is lost, and what is confirmed has left."""

    def __init__(self) -> None:
        super().__init__()
        self.outbox = outbox()
        self.made: dict[str, list[Record]] = defaultdict(list)
        self.left: dict[str, list[Record]] = defaultdict(list)
        self.epoch = 1
        self.epoch_of: dict[Record, int] = {}
        self.cuts: list[int] = []
        self.away: list[Item[Record]] = []

    @rule(key=st.sampled_from("abc"))
    def collect(self, key: str) -> None:
        record = (key, len(self.made[key]))
        self.made[key].append(record)
        self.outbox.collect(record)

    @rule()
    def cut(self) -> None:
        for record in self.outbox.cut(self.epoch):
            self.epoch_of[record] = self.epoch
        self.cuts.append(self.epoch)
        self.epoch += 1

    @precondition(lambda self: self.cuts)
    @rule(is_complete=st.booleans())
    def decide(self, is_complete: bool) -> None:
        if is_complete:
            self.outbox.completed(self.cuts.pop(0))
        elif len(self.cuts) == 1:
            self.outbox.failed(self.cuts.pop())

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
        assert (self.outbox.count, self.outbox.bytes) == (waiting, 10 * waiting)

    @invariant()
    def what_is_confirmed_has_left(self) -> None:
        left = {record for records in self.left.values() for record in records}
        for record, epoch in self.epoch_of.items():
            assert epoch > self.outbox.confirmed_epoch or record in left


TestKeyedOutbox = KeyedOutboxMachine.TestCase
