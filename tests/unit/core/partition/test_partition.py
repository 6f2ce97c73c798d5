"""What a partition does with its addresses: every legal move, no other, and the counts that come of them."""

from collections import deque

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from statefun_runtime.core.model.address import TypeName
from statefun_runtime.core.module.specs import AsyncTransport, EndpointSpec, FunctionPattern
from statefun_runtime.core.partition.backlog import LEGAL_MOVES, NOTHING, Backlog, Function, Phase
from statefun_runtime.core.partition.failure_law import Outcome
from statefun_runtime.core.partition.failure_state import FailureState
from statefun_runtime.core.partition.partition import Partition
from statefun_runtime.core.partition.retry import Cause, Failure
from statefun_runtime.core.partition.spill import Chunk, SpillLimits

NO_CAP = 1 << 20
KEY = b"\0\3key"
REFUSED = Failure(Cause.BAD_STATE, "no such state")


class One:
    """One address of a partition of its own."""

    def __init__(self, *, head_bytes_max: int = 1 << 20, chunk_bytes: int = 1 << 20) -> None:
        endpoint = EndpointSpec(
            FunctionPattern("t", None), "http://x/", transport=AsyncTransport(call_s=1.0)
        )
        self.function = Function(
            TypeName("t", "f"), endpoint, SpillLimits(head_bytes_max, chunk_bytes)
        )
        self.partition = Partition(0, range(8))
        self.backlog = self.partition.admit(self.function, "alice", KEY)
        self.now_s = 100.0
        self.rows: dict[int, list[bytes]] = {}

    @property
    def phase(self) -> Phase:
        return Phase(self.backlog.phase)

    def deliver(self, *invocations: bytes) -> list[bool]:
        return [self.partition.deliver(self.backlog, one) for one in invocations]

    def begin(self, cap: int = NO_CAP) -> list[bytes]:
        """Leave the queue and begin, as a dispatcher does; what is spilled is brought back before."""
        queue = self.function.ready or self.function.suspects
        if queue:
            assert queue.popleft() is self.backlog
        if self.backlog.spill is not None and not self.backlog.in_flight:
            self.refill()
        return self.partition.begin(self.backlog, self.now_s, cap)

    def refill(self) -> None:
        while self.backlog.spill is not None and not self.backlog.waiting:
            chunk = self.partition.next_chunk(self.backlog)
            if chunk is not None:
                self.partition.refill(self.backlog, chunk, self.rows.pop(chunk.sequence))

    def settle(self) -> Phase:
        self.partition.settle(self.backlog)
        return self.phase

    def fail(self, after_s: float = 0.0) -> Outcome:
        """Have an attempt fail for a reason that is the address's own."""
        self.now_s += after_s
        return self.partition.failures.fail(self.backlog, REFUSED, self.now_s).outcome

    def park(self) -> None:
        assert self.fail(after_s=2.0) is Outcome.SPENT
        self.partition.failures.park(self.backlog, self.now_s)

    def put_away(self) -> None:
        for chunk, piece in self.partition.put_away(self.backlog):
            self.rows[chunk.sequence] = piece

    def resume(self) -> list[Backlog]:
        self.now_s += 1000.0
        return self.partition.failures.resume_due(self.now_s)

    def head(self) -> list[bytes]:
        """What a snapshot would hold of what is not spilled."""
        in_flight, waiting, count = self.backlog.head()
        return [*in_flight, *waiting[:count]]

    def all(self) -> list[bytes]:
        """Everything that is not done, in order."""
        spill = self.backlog.spill
        chunks = [] if spill is None else [self.rows[one.sequence] for one in spill.chunks]
        tail = [] if spill is None else spill.tail
        return [*self.head(), *(one for chunk in chunks for one in chunk), *tail]

    def check(self) -> None:
        """Counts, bytes and queues are those of the one address."""
        backlog, tally, partition = self.backlog, self.backlog.tally, self.partition
        spill = backlog.spill
        stored = 0 if spill is None else sum(one.size_bytes for one in spill.chunks)
        everything = self.all()
        assert tally.waiting == len(everything)
        assert tally.busy == (self.phase not in (Phase.IDLE, Phase.PARKED))
        assert tally.parked == (self.phase is Phase.PARKED)
        assert partition.waiting_bytes + stored == sum(map(len, everything))
        assert partition.spilled_bytes == stored
        assert backlog.waiting_bytes == sum(map(len, backlog.waiting))
        assert backlog.in_flight_bytes == sum(map(len, backlog.in_flight))
        queued = [*self.function.ready, *self.function.suspects]
        assert queued == ([backlog] if self.phase is Phase.READY else [])
        assert (self.phase is Phase.IDLE) is not bool(everything)


def in_phase(phase: Phase) -> One:
    one = One()
    if phase is Phase.IDLE:
        return one
    one.deliver(b"1")
    if phase is Phase.READY:
        return one
    one.begin()
    if phase is Phase.BACKING_OFF:
        assert one.fail() is Outcome.RETRY
    if phase is Phase.PARKED:
        one.park()
    return one


def _deliver(one: One) -> None:
    one.deliver(b"2")


def _again(one: One) -> None:
    one.partition.again(one.backlog)


def _send_back(one: One) -> None:
    one.partition.send_back(one.backlog)


def _narrow(one: One) -> None:
    one.backlog.in_flight = [b"1", b"2"]
    one.partition.narrow(one.backlog, 1)


def _give_up(one: One) -> None:
    one.partition.give_up(one.backlog)


def _give_up_before_more(one: One) -> None:
    one.deliver(b"2")
    one.partition.give_up(one.backlog)


def _abandon(one: One) -> None:
    one.partition.abandon(one.backlog)


def _abandon_before_more(one: One) -> None:
    one.deliver(b"2")
    one.partition.abandon(one.backlog)


def _settle_before_more(one: One) -> None:
    one.deliver(b"2")
    one.settle()


MOVES = {
    "deliver": _deliver,
    "begin": lambda one: one.begin(),
    "settle": lambda one: one.settle(),
    "settle before more": _settle_before_more,
    "again": _again,
    "send back": _send_back,
    "narrow": _narrow,
    "back off": lambda one: one.partition.back_off(one.backlog),
    "park": lambda one: one.partition.park(one.backlog),
    "withdraw": lambda one: one.partition.withdraw(one.backlog),
    "resume": lambda one: one.partition.resume(one.backlog),
    "give up": _give_up,
    "give up before more": _give_up_before_more,
    "abandon": _abandon,
    "abandon before more": _abandon_before_more,
    "restore head": lambda one: one.partition.restore_head(one.backlog, [b"1"]),
    "restore chunk": lambda one: one.partition.restore_chunk(one.backlog, Chunk(1, 1, 1)),
    "restore parked": lambda one: one.partition.restore_parked(one.backlog),
}
# Each row of the table is (from, to): what makes the move.
MADE_BY: dict[tuple[Phase, Phase], set[str]] = {
    (Phase.IDLE, Phase.READY): {"deliver", "restore head", "restore chunk"},
    (Phase.READY, Phase.IN_FLIGHT): {"begin"},
    (Phase.READY, Phase.PARKED): {"restore parked", "withdraw"},
    (Phase.BACKING_OFF, Phase.PARKED): {"withdraw"},
    (Phase.IN_FLIGHT, Phase.IDLE): {"settle", "give up"},
    (Phase.IN_FLIGHT, Phase.READY): {
        "settle before more",
        "again",
        "send back",
        "narrow",
        "give up before more",
    },
    (Phase.IN_FLIGHT, Phase.BACKING_OFF): {"back off"},
    (Phase.IN_FLIGHT, Phase.PARKED): {"park"},
    (Phase.BACKING_OFF, Phase.READY): {"resume"},
    (Phase.PARKED, Phase.READY): {"resume", "abandon before more"},
    (Phase.PARKED, Phase.IDLE): {"abandon"},
}


@pytest.mark.parametrize(
    ("start", "end"), [(start, end) for start, ends in LEGAL_MOVES.items() for end in ends]
)
def test_a_row_of_the_table_of_moves_happens(start: Phase, end: Phase):
    for name in MADE_BY[start, end]:
        one = in_phase(start)
        MOVES[name](one)
        assert one.phase is end, name


def test_no_other_move_than_those_of_the_table_happens():
    seen: dict[tuple[Phase, Phase], set[str]] = {}
    for start in Phase:
        for name, move in MOVES.items():
            one = in_phase(start)
            try:
                move(one)
            except AssertionError:
                continue
            if one.phase != start:
                seen.setdefault((start, one.phase), set()).add(name)

    assert seen == MADE_BY
    assert set(seen) == {(start, end) for start, ends in LEGAL_MOVES.items() for end in ends}


def test_messages_that_arrive_during_a_request_leave_as_one_batch():
    one = One()

    assert one.deliver(b"1") == [True]
    assert one.begin() == [b"1"]
    assert one.deliver(b"2", b"3") == [False, False]
    assert one.settle() is Phase.READY
    assert one.begin() == [b"2", b"3"]
    assert one.settle() is Phase.IDLE


def test_a_failed_batch_is_sent_again_as_it_was_and_before_what_came_meanwhile():
    one = in_phase(Phase.IN_FLIGHT)
    one.deliver(b"2")

    assert one.fail() is Outcome.RETRY
    assert one.resume() == [one.backlog]

    assert one.begin() == [b"1"]
    one.settle()
    assert one.begin() == [b"2"]


def test_a_pause_that_was_cut_short_means_nothing_any_more():
    one = in_phase(Phase.PARKED)
    one.partition.failures.release(one.backlog)
    assert one.phase is Phase.READY

    assert one.resume() == []


def test_a_batch_in_flight_belongs_to_a_snapshot():
    one = in_phase(Phase.IN_FLIGHT)
    one.deliver(b"2")

    assert one.head() == [b"1", b"2"]


def test_what_a_snapshot_holds_does_not_change_afterwards():
    one = in_phase(Phase.IN_FLIGHT)
    one.deliver(b"2")
    in_flight, waiting, count = one.backlog.head()

    one.deliver(b"3")
    one.settle()
    one.begin()
    one.deliver(b"4")

    assert [*in_flight, *waiting[:count]] == [b"1", b"2"]


def test_nothing_overtakes_what_is_spilled():
    one = One(head_bytes_max=3)
    one.deliver(b"1")
    one.begin()
    one.deliver(*(b"%d" % number for number in range(2, 9)))
    chunk, row = one.partition.cut_tail(one.backlog)
    one.rows[chunk.sequence] = [b"%d" % number for number in range(5, 9)]
    assert (one.head(), row) == ([b"1", b"2", b"3", b"4"], b"5678")
    one.deliver(b"9")
    assert one.backlog.waiting_count == 8
    one.check()

    for expected in ([b"2", b"3", b"4"], [b"5", b"6", b"7", b"8"], [b"9"]):
        assert one.settle() is Phase.READY
        assert one.begin() == expected
        one.check()
    assert one.backlog.spill is None
    assert one.settle() is Phase.IDLE


def test_the_byte_cap_cuts_between_invocations():
    one = One()
    one.deliver(b"aaa", b"bbb", b"ccc")

    assert one.begin(cap=6) == [b"aaa", b"bbb"]
    assert (one.backlog.in_flight_bytes, one.backlog.waiting_bytes) == (6, 3)


def test_an_invocation_above_the_byte_cap_leaves_alone():
    one = One()
    one.deliver(b"a" * 10, b"b")

    assert one.begin(cap=6) == [b"a" * 10]


def test_success_ends_what_is_known_of_failures():
    one = in_phase(Phase.BACKING_OFF)
    one.resume()
    one.begin()

    one.settle()

    assert one.backlog.failing is None


def test_a_wrong_move_names_the_address():
    with pytest.raises(AssertionError, match="t/f/alice settled in phase IDLE"):
        One().settle()


def test_a_narrowed_batch_is_its_first_half_and_the_rest_waits_in_front_of_all_others():
    one = One()
    one.deliver(b"1", b"2", b"3", b"4")
    one.begin()
    one.deliver(b"5")

    assert one.fail(after_s=2.0) is Outcome.NARROW

    assert one.begin() == [b"1", b"2"]
    assert one.backlog.waiting == [b"3", b"4", b"5"]
    one.check()


def test_after_a_narrowed_batch_the_next_ones_grow_twice_as_wide_each_time_it_goes_well():
    one = One()
    one.deliver(*(b"%d" % number for number in range(10)))
    one.begin()
    widths = []
    assert one.fail(after_s=2.0) is Outcome.NARROW
    one.begin()
    assert one.fail() is Outcome.NARROW
    while one.phase is Phase.READY:
        widths.append(len(one.begin()))
        one.settle()

    assert widths == [2, 4, 4]


def test_a_parked_invocation_that_is_abandoned_leaves_the_others_as_they_were():
    one = One()
    one.deliver(b"1", b"2", b"3")
    one.begin()
    one.fail(after_s=2.0)
    one.begin()
    one.park()

    one.partition.failures.single_out(one.backlog)
    assert one.backlog.in_flight == [b"1"]
    one.partition.failures.abandon(one.backlog)

    assert (one.phase, one.head()) == (Phase.READY, [b"2", b"3"])
    one.check()


def test_an_address_that_comes_back_parked_gives_up_its_first_invocation_only():
    one = One()
    one.partition.restore_head(one.backlog, [b"1", b"2", b"3"])
    failing = FailureState()
    failing.parked_times = 3
    one.partition.failures.restore_parked(one.backlog, failing, one.now_s)
    one.function.ready.clear()
    one.check()

    one.partition.failures.single_out(one.backlog)
    one.partition.failures.abandon(one.backlog)

    assert one.head() == [b"2", b"3"]
    one.check()


def test_what_a_partition_counts_is_by_function_type_and_its_bytes_are_its_own():
    left, right = Partition(0, range(4)), Partition(1, range(4, 8))
    endpoint = EndpointSpec(FunctionPattern("t", None), "http://x/")
    function = Function(TypeName("t", "f"), endpoint)
    alice = left.admit(function, "alice", b"\0\0alice")
    bob = right.admit(function, "bob", b"\0\5bob")

    left.deliver(alice, b"12")
    right.deliver(bob, b"345")
    right.deliver(bob, b"6")

    assert (left.waiting, left.waiting_bytes, right.waiting, right.waiting_bytes) == (1, 2, 2, 4)
    assert (function.waiting, function.busy, function.received, function.parked) == (3, 2, 3, 0)
    assert (list(left.backlogs()), list(right.backlogs())) == ([alice], [bob])


class OneAddress(RuleBasedStateMachine):
    """Whatever happens to one address: no loss, no reorder, one in flight, and counts that are right."""

    def __init__(self) -> None:
        super().__init__()
        self.one = One(head_bytes_max=20, chunk_bytes=15)
        self.cap = 12
        self.expected: deque[bytes] = deque()
        self.batch: list[bytes] = []
        self.sent_again = False
        self.count = 0

    @rule(size=st.integers(1, 15))
    def deliver(self, size: int) -> None:
        self.count += 1
        invocation = f"{self.count}".encode().ljust(size, b".")
        was_idle = self.one.phase is Phase.IDLE
        assert self.one.deliver(invocation) == [was_idle]
        self.expected.append(invocation)

    @precondition(lambda self: self.one.phase is Phase.READY)
    @rule()
    def begin(self) -> None:
        batch = list(self.one.begin(self.cap))
        if self.sent_again:
            assert batch == self.batch
        assert batch
        assert len(batch) == 1 or sum(map(len, batch)) <= self.cap
        assert batch == list(self.expected)[: len(batch)]
        self.batch = batch

    @precondition(lambda self: self.one.phase is Phase.IN_FLIGHT)
    @rule()
    def settle(self) -> None:
        for invocation in self.batch:
            assert invocation == self.expected.popleft()
        self.sent_again = False
        self.one.partition.failures.recovered(self.one.backlog)
        self.one.settle()

    @precondition(lambda self: self.one.phase is Phase.IN_FLIGHT)
    @rule(after_s=st.sampled_from([0.01, 0.5, 2.0]), is_kept=st.booleans())
    def fail(self, after_s: float, is_kept: bool) -> None:
        one, was_wide = self.one, len(self.batch) > 1
        outcome = one.fail(after_s)
        self.sent_again = True
        if outcome is Outcome.NARROW:
            self.batch = self.batch[: len(self.batch) // 2]
        if outcome is not Outcome.SPENT:
            return
        assert not was_wide
        if is_kept:
            one.partition.failures.park(one.backlog, one.now_s)
            one.put_away()
            return
        assert one.backlog.in_flight == [self.expected.popleft()]
        one.partition.failures.recovered(one.backlog)
        one.partition.failures.give_up(one.backlog)
        self.sent_again = False

    @precondition(lambda self: self.one.phase is Phase.PARKED)
    @rule()
    def abandon(self) -> None:
        one = self.one
        one.refill()
        one.partition.failures.single_out(one.backlog)
        assert one.backlog.in_flight == [self.expected.popleft()]
        one.partition.failures.abandon(one.backlog)
        self.sent_again = False

    @precondition(lambda self: self.one.phase in (Phase.BACKING_OFF, Phase.PARKED))
    @rule()
    def resume(self) -> None:
        assert self.one.resume() == [self.one.backlog]

    @precondition(lambda self: self.one.phase is Phase.PARKED)
    @rule()
    def release(self) -> None:
        self.one.partition.failures.release(self.one.backlog)

    @precondition(lambda self: self.one.backlog.spill is not None and self.one.backlog.spill.tail)
    @rule()
    def cut(self) -> None:
        tail = list(self.one.backlog.spill.tail)
        chunk, row = self.one.partition.cut_tail(self.one.backlog)
        assert row == b"".join(tail)
        self.one.rows[chunk.sequence] = tail

    @precondition(lambda self: self.one.phase is not Phase.IN_FLIGHT)
    @rule()
    def restart(self) -> None:
        old = self.one
        self.one = One(head_bytes_max=20, chunk_bytes=15)
        if old.head():
            self.one.partition.restore_head(self.one.backlog, old.head())
        spill = old.backlog.spill
        if spill is not None and spill.tail:
            tail = list(spill.tail)
            old.rows[old.partition.cut_tail(old.backlog)[0].sequence] = tail
        for chunk in spill.chunks if spill is not None else ():
            self.one.rows[chunk.sequence] = old.rows[chunk.sequence]
            self.one.partition.restore_chunk(self.one.backlog, chunk)
        self.sent_again = False
        if old.phase is Phase.PARKED and old.backlog.failing is not None:
            failing = FailureState()
            failing.parked_times = old.backlog.failing.parked_times
            self.one.partition.failures.restore_parked(self.one.backlog, failing, self.one.now_s)
            self.one.function.ready.clear()
            self.one.put_away()

    @invariant()
    def holds_exactly_what_is_not_done(self) -> None:
        assert self.one.all() == list(self.expected)
        self.one.check()


TestOneAddress = OneAddress.TestCase


def test_what_all_addresses_without_invocations_share_takes_none():
    for take in (NOTHING.append, NOTHING.extend, lambda one: NOTHING.insert(0, one)):
        with pytest.raises(AssertionError, match="for all addresses at once"):
            take(b"1")

    assert NOTHING == []
