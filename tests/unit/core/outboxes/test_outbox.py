"""Records between the reply that made them and the marker that says they left."""

from collections.abc import Sequence

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from statefun_runtime.core.checkpoints.manifest import ObjectId, Outbox, StoredObject
from statefun_runtime.core.outboxes import outbox as outbox_module
from statefun_runtime.core.outboxes.epoch_outbox import Outboxes, Portion
from statefun_runtime.core.outboxes.form import RecordForm

FORM = RecordForm[str](str.encode, bytes.decode, len)


def outboxes(records_max: int = 100, memory_max_bytes: int = 1 << 30) -> Outboxes[str]:
    return Outboxes(FORM, records_max=records_max, memory_max_bytes=memory_max_bytes)


def complete(made: Outboxes[str], epoch: int, *records: str) -> None:
    for record in records:
        made.collect(record)
    made.cut(epoch)
    made.completed(epoch, stored(epoch, records))


def stored(epoch: int, records: Sequence[str]) -> Outbox:
    size_bytes = sum(map(len, records))
    return Outbox(
        "t/out", epoch, len(records), StoredObject(ObjectId(f"{epoch}"), size_bytes), True
    )


def test_nothing_is_published_before_its_checkpoint_is_complete():
    made = outboxes()
    made.collect("a")
    assert made.cut(1) == ["a"]
    assert made.portion(100).records == []

    made.completed(1)
    assert made.portion(100).records == ["a"]


def test_records_of_a_failed_epoch_lead_those_of_the_next():
    made = outboxes()
    made.collect("a")
    made.cut(1)
    made.collect("b")
    made.failed(1)
    made.collect("c")

    assert made.cut(2) == ["a", "b", "c"]


def test_several_epochs_share_a_transaction_and_the_last_names_it():
    made = outboxes()
    complete(made, 1, "a", "b")
    complete(made, 3, "c")

    portion = made.portion(100)

    assert (portion.records, portion.epoch, portion.count) == (["a", "b", "c"], 3, 1)
    made.published(3, 1)
    assert (made.confirmed_epoch, made.count, made.bytes) == (3, 0, 0)


def test_portions_are_cut_by_bytes_and_a_marker_counts_in_order():
    made = outboxes()
    complete(made, 1, "aa", "bb", "cc")

    portion = made.portion(3)
    assert (portion.records, portion.epoch, portion.count) == (["aa", "bb"], 1, 2)
    made.published(1, 2)
    assert made.portion(3).records == ["cc"]
    assert made.confirmed_epoch == 0


def test_one_record_that_is_refused_is_found_and_the_others_go_on():
    made = outboxes()
    complete(made, 1, *"abcdefg")
    left: list[str] = []
    given_up: list[str] = []
    while made.has_queued:
        portion = made.portion(1000)
        if "e" in portion.records:
            record = made.narrow_down(portion)
            if record is not None:
                given_up.append(record)
                made.give_up(portion, has_letter=False)
            continue
        left += portion.records
        made.published(portion.epoch, portion.count)

    assert left == list("abcdfg")
    assert given_up == ["e"]
    assert (made.confirmed_epoch, made.bytes) == (1, 0)


def test_a_refused_record_is_counted_only_when_its_dead_letter_is_in_a_complete_checkpoint():
    made = outboxes()
    complete(made, 1, "a", "b")
    made.published(1, 1)
    portion = made.portion(100)
    assert made.narrow_down(portion) == "b"
    made.give_up(portion, has_letter=True)

    assert not made.portion(100).is_progress
    made.cut(2)
    made.failed(2)
    assert not made.portion(100).is_progress
    made.cut(3)
    assert list(made.refused()) == [(1, 1)]
    assert not made.portion(100).is_progress
    made.completed(3)

    portion = made.portion(100)
    assert (portion.is_progress, portion.records, portion.epoch, portion.count) == (True, [], 1, 2)
    made.published(1, 2)
    assert (made.confirmed_epoch, list(made.refused())) == (1, [])


def test_a_restored_record_whose_dead_letter_is_durable_is_passed_over():
    made = outboxes()
    made.restore(1, ["a", "b", "c"], refused=[1])

    portion = made.portion(100)

    assert (portion.records, portion.count) == (["a", "c"], 3)


def test_the_newest_outboxes_are_forgotten_when_memory_is_short_and_read_in_their_turn():
    made = outboxes(memory_max_bytes=4)
    for epoch, record in ((1, "aa"), (2, "bb"), (3, "cc"), (4, "dd")):
        complete(made, epoch, record)
    assert (made.bytes, made.unloaded_bytes, made.count) == (4, 4, 4)
    assert made.portion(100).records == ["aa", "bb"]

    made.published(2, 1)
    batch = made.next_unloaded(100)
    assert batch is not None
    assert (batch.epoch, batch.object) == (3, "3")
    assert not made.portion(100).is_progress
    made.loaded(batch, ["cc"])
    assert made.portion(100).records == ["cc"]
    made.published(4, 1)
    assert (made.bytes, made.unloaded_bytes, made.confirmed_epoch) == (0, 0, 4)


class OnceDespiteCrashes(RuleBasedStateMachine):
    """Epochs complete or fail, transactions commit or do not, the publisher restarts: each record leaves once."""

    def __init__(self) -> None:
        super().__init__()
        self.made = outboxes(memory_max_bytes=5)
        self.epoch = 0
        self.number = 0
        self.cut_epoch: int | None = None
        self.durable: list[tuple[int, list[str]]] = []
        self.marker = (0, 0)
        self.left: list[str] = []
        self.lost_by_crash: list[str] = []
        self.expected: list[str] = []
        self.running: list[str] = []

    @rule(count=st.integers(1, 4))
    def collect(self, count: int) -> None:
        for _ in range(count):
            self.number += 1
            self.made.collect(str(self.number))
            self.running.append(str(self.number))

    @precondition(lambda self: self.cut_epoch is None)
    @rule()
    def cut(self) -> None:
        self.epoch += 1
        self.cut_epoch = self.epoch
        self.cut_records = list(self.made.cut(self.epoch))
        assert self.cut_records == self.running
        self.running = []

    @precondition(lambda self: self.cut_epoch is not None)
    @rule(is_complete=st.booleans())
    def decide(self, is_complete: bool) -> None:
        assert self.cut_epoch is not None
        if is_complete:
            self.durable.append((self.cut_epoch, self.cut_records))
            self.expected += self.cut_records
            self.made.completed(self.cut_epoch, stored(self.cut_epoch, self.cut_records))
        else:
            self.running = self.cut_records + self.running
            self.made.failed(self.cut_epoch)
        self.cut_epoch = None

    @rule(bytes_max=st.integers(1, 9), is_committed=st.booleans(), is_known=st.booleans())
    def publish(self, bytes_max: int, is_committed: bool, is_known: bool) -> None:
        portion = self.next_portion(bytes_max)
        if not self.made.has_queued:
            return
        if is_committed:
            self.left += portion.records
            self.marker = (portion.epoch, portion.count)
        # Whether it committed is learnt from the marker, at once or at the next recovery.
        if is_known:
            self.made.published(*self.marker)
        else:
            self.crash()

    def next_portion(self, bytes_max: int) -> Portion[str]:
        while (batch := self.made.next_unloaded(bytes_max)) is not None:
            self.made.loaded(batch, list(dict(self.durable)[batch.epoch]))
        return self.made.portion(bytes_max)

    @rule()
    def crash(self) -> None:
        """What no complete checkpoint holds is made again by its ingress records, and is not looked at here."""
        self.made = outboxes(memory_max_bytes=5)
        self.running, self.cut_epoch = [], None
        for epoch, records in self.durable:
            if records and self.made.has_room:
                self.made.restore(epoch, list(records))
            elif records:
                self.made.restore_unloaded(stored(epoch, records))
        self.made.published(*self.marker)

    @invariant()
    def each_left_once_and_in_order(self) -> None:
        assert self.left == self.expected[: len(self.left)]

    def teardown(self) -> None:
        while self.made.has_queued:
            portion = self.next_portion(100)
            self.left += portion.records
            self.made.published(portion.epoch, portion.count)
        assert self.left == self.expected
        assert self.made.unloaded_bytes == 0


TestOnceDespiteCrashes = OnceDespiteCrashes.TestCase


def test_an_epoch_that_has_grown_enough_says_so_once(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(outbox_module, "EPOCH_BYTES_MAX", 4)
    made, told = outboxes(), []
    made.growth.on_full = lambda: told.append(made.count)
    complete(made, 1, "a")
    complete(made, 2, "aa", "bb", "cc")
    assert told == [3]

    for record in ("a", "bbbb", "c"):
        made.collect(record)
    made.cut(3)
    made.failed(3)
    made.collect("d")
    assert len(told) == 3
