"""Records that leave at once: their order, what a cut holds of them, and how they are placed anew."""

from collections import defaultdict

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from statefun_runtime.core.outboxes.direct_outbox import DirectOutbox, Queue
from statefun_runtime.core.outboxes.form import RecordForm

Record = tuple[str, int]
FORM = RecordForm[Record](
    lambda record: b"%s%d" % (record[0].encode(), record[1]),
    lambda data: (data[:1].decode(), int(data[1:])),
    lambda record: 10,
)


def outbox(*, is_kept: bool = True) -> DirectOutbox[str, Record]:
    return DirectOutbox(FORM, lambda record: record[0], is_kept=is_kept)


def test_a_queue_is_ready_once_until_whoever_took_it_has_emptied_it():
    called: list[str] = []
    made: DirectOutbox[str, Record] = DirectOutbox(
        FORM, lambda record: record[0], on_ready=lambda: called.append("ready")
    )
    made.collect(("a", 1))
    made.collect(("a", 2))
    (queue,) = made.take()
    made.collect(("a", 3))
    assert (called, made.take()) == (["ready"], [])

    made.acknowledged(queue, 3)
    made.emptied(queue)
    made.collect(("a", 4))
    assert (called, made.take()) == (["ready", "ready"], [queue])


def test_a_cut_holds_what_is_not_acknowledged_and_nothing_new_where_nothing_changed():
    made = outbox()
    assert made.cut(1) is None
    for record in (("a", 1), ("b", 1), ("a", 2)):
        made.collect(record)
    assert made.cut(2) == [("a", 1), ("a", 2), ("b", 1)]
    assert made.cut(3) is None

    queue = made.take()[0]
    made.acknowledged(queue, 1)
    assert made.is_changed
    assert (made.cut(4), made.bytes, made.count) == ([("a", 2), ("b", 1)], 20, 2)


def test_the_checkpoint_after_one_that_failed_holds_it_all_again():
    made = outbox()
    made.collect(("a", 1))
    made.cut(1)
    made.failed(1)
    assert made.cut(2) == [("a", 1)]


def test_of_records_without_a_promise_a_checkpoint_holds_nothing():
    made = outbox(is_kept=False)
    made.collect(("a", 1))
    assert made.cut(1) == []


def test_records_of_a_place_that_is_known_better_go_where_they_belong_in_order():
    places = {"a": "unknown"}
    made: DirectOutbox[str, Record] = DirectOutbox(FORM, lambda r: f"{places['a']}-{r[1] % 2}")
    places["a"] = "unknown"
    for number in range(4):
        made.collect(("a", number))
    even, odd = made.take()
    places["a"] = "known"
    made.place_anew(even)
    made.place_anew(odd)

    assert [(q.place, list(q.waiting)) for q in made.take()] == [
        ("known-0", [("a", 0), ("a", 2)]),
        ("known-1", [("a", 1), ("a", 3)]),
    ]
    assert (made.bytes, made.count) == (40, 4)
    # Nobody has it any more: the next record of that place is ready by itself.
    places["a"] = "unknown"
    made.collect(("a", 5))
    assert made.take() == [odd]


class DirectOutboxMachine(RuleBasedStateMachine):
    """Records leave in the order of their place, none is lost or counted twice, and a cut holds the rest."""

    def __init__(self) -> None:
        super().__init__()
        self.outbox = outbox()
        self.taken: list[Queue[str, Record]] = []
        self.made: dict[str, list[Record]] = defaultdict(list)
        self.left: dict[str, list[Record]] = defaultdict(list)
        self.held: list[Record] = []

    @rule(key=st.sampled_from("abc"))
    def collect(self, key: str) -> None:
        record = (key, len(self.made[key]))
        self.made[key].append(record)
        self.outbox.collect(record)

    @rule()
    def take(self) -> None:
        self.taken += self.outbox.take()

    @precondition(lambda self: self.taken)
    @rule(data=st.data())
    def answer(self, data: st.DataObject) -> None:
        queue = data.draw(st.sampled_from(self.taken))
        count = data.draw(st.integers(0, len(queue.waiting)))
        self.left[queue.place] += list(queue.waiting)[:count]
        self.outbox.acknowledged(queue, count)
        if not queue.waiting:
            self.outbox.emptied(queue)
            self.taken.remove(queue)

    @precondition(lambda self: self.taken)
    @rule()
    def place_anew(self) -> None:
        self.outbox.place_anew(self.taken.pop())

    @rule(is_complete=st.booleans())
    def cut(self, is_complete: bool) -> None:
        records = self.outbox.cut(1)
        if not is_complete:
            self.outbox.failed(1)
        elif records is not None:
            self.held = list(records)

    @invariant()
    def order_is_kept(self) -> None:
        for key, records in self.left.items():
            assert records == self.made[key][: len(records)]

    @invariant()
    def all_are_counted(self) -> None:
        waiting = sum(map(len, self.made.values())) - sum(map(len, self.left.values()))
        assert (self.outbox.count, self.outbox.bytes) == (waiting, 10 * waiting)

    @invariant()
    def what_is_not_changed_is_held(self) -> None:
        if not self.outbox.is_changed:
            left = {record for records in self.left.values() for record in records}
            waiting = {record for records in self.made.values() for record in records} - left
            assert sorted(self.held) == sorted(waiting)


TestDirectOutbox = DirectOutboxMachine.TestCase
