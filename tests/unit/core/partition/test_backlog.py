from collections import deque

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from statefun_runtime.core.model.address import TypeName
from statefun_runtime.core.model.function import Function
from statefun_runtime.core.module.specs import EndpointSpec, FunctionPattern
from statefun_runtime.core.partition.backlog import LEGAL_MOVES, Backlog, Phase
from statefun_runtime.core.partition.failure_state import Trouble
from statefun_runtime.core.partition.spill import SpillLimits

FUNCTION = Function(TypeName("t", "f"), EndpointSpec(FunctionPattern("t", None), "http://x/"))
NO_CAP = 1 << 20


def backlog() -> Backlog:
    return Backlog(FUNCTION, "alice", b"key")


def in_phase(phase: Phase) -> Backlog:
    made = backlog()
    if phase is Phase.IDLE:
        return made
    made.deliver(b"1")
    if phase is Phase.READY:
        return made
    made.begin(0.0, NO_CAP)
    if phase is not Phase.IN_FLIGHT:
        made.unsettle(phase)
    return made


def trouble() -> Trouble:
    return Trouble(budget_ends_s=1.0, circuit_times=0)


def narrowed(made: Backlog) -> None:
    made.trouble = trouble()
    made.in_flight = [b"1", b"2"]
    made.narrow()


def abandoned_before_more(made: Backlog) -> None:
    made.deliver(b"2")
    made.abandon()


MOVES = {
    "deliver": lambda made: made.deliver(b"2"),
    "begin": lambda made: made.begin(0.0, NO_CAP),
    "settle": lambda made: made.settle(),
    "again": lambda made: made.again(),
    "resume": lambda made: made.resume(),
    "unsettle-ready": lambda made: made.unsettle(Phase.READY),
    "unsettle-pause": lambda made: made.unsettle(Phase.BACKING_OFF),
    "unsettle-park": lambda made: made.unsettle(Phase.PARKED),
    "narrow": narrowed,
    "set-aside": lambda made: made.set_aside(trouble()),
    "abandon": lambda made: made.abandon(),
    "abandon-before-more": abandoned_before_more,
}


def test_the_table_of_legal_moves_is_what_the_code_does():
    seen: dict[Phase, set[Phase]] = {phase: set() for phase in Phase}
    for phase in Phase:
        for move in MOVES.values():
            made = in_phase(phase)
            try:
                move(made)
            except AssertionError:
                continue
            if made.phase != phase:
                seen[phase].add(Phase(made.phase))

    assert seen == {phase: set(moves) for phase, moves in LEGAL_MOVES.items()}


def test_messages_that_arrive_during_a_request_leave_as_one_batch():
    made = backlog()

    assert made.deliver(b"1")
    assert made.begin(0.0, NO_CAP) == [b"1"]
    assert not made.deliver(b"2")
    assert not made.deliver(b"3")
    assert made.settle()
    assert made.begin(0.0, NO_CAP) == [b"2", b"3"]
    assert not made.settle()
    assert made.phase == Phase.IDLE


def test_a_failed_batch_is_sent_again_as_it_was_and_before_what_came_meanwhile():
    made = in_phase(Phase.IN_FLIGHT)
    made.deliver(b"2")

    made.unsettle(Phase.BACKING_OFF)
    made.resume()

    assert made.begin(0.0, NO_CAP) == [b"1"]
    assert made.settle()
    assert made.begin(0.0, NO_CAP) == [b"2"]


def head(made: Backlog) -> list[bytes]:
    """What a snapshot would hold of what is not spilled."""
    in_flight, waiting, count = made.head()
    return [*in_flight, *waiting[:count]]


def test_a_batch_in_flight_belongs_to_a_snapshot():
    made = in_phase(Phase.IN_FLIGHT)
    made.deliver(b"2")

    assert head(made) == [b"1", b"2"]


def test_what_a_snapshot_holds_does_not_change_afterwards():
    made = in_phase(Phase.IN_FLIGHT)
    made.deliver(b"2")
    in_flight, waiting, count = made.head()

    made.deliver(b"3")
    made.settle()
    made.begin(0.0, NO_CAP)
    made.deliver(b"4")

    assert [*in_flight, *waiting[:count]] == [b"1", b"2"]


def test_nothing_overtakes_what_is_spilled(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(FUNCTION, "spilling", SpillLimits(3, 1000))
    made = in_phase(Phase.IN_FLIGHT)
    for number in range(2, 9):
        made.deliver(b"%d" % number)
    assert made.spill is not None
    chunk, row = made.spill.cut_tail()
    assert (head(made), row) == ([b"1", b"2", b"3", b"4"], b"5678")
    made.deliver(b"9")
    assert made.waiting_count == 8

    assert made.settle()
    assert made.begin(0.0, NO_CAP) == [b"2", b"3", b"4"]
    assert made.settle()
    assert made.spill.chunks.popleft() == chunk
    made.refill([b"5", b"6", b"7", b"8"])
    assert made.begin(0.0, NO_CAP) == [b"5", b"6", b"7", b"8"]
    assert made.settle()
    tail, made.spill.tail = made.spill.tail, []
    made.refill(tail)
    assert made.spill is None
    assert made.begin(0.0, NO_CAP) == [b"9"]
    assert not made.settle()


def test_the_byte_cap_cuts_between_invocations():
    made = backlog()
    for invocation in (b"aaa", b"bbb", b"ccc"):
        made.deliver(invocation)

    assert made.begin(0.0, 6) == [b"aaa", b"bbb"]
    assert (made.in_flight_bytes, made.waiting_bytes) == (6, 3)


def test_an_invocation_above_the_byte_cap_leaves_alone():
    made = backlog()
    made.deliver(b"a" * 10)
    made.deliver(b"b")

    assert made.begin(0.0, 6) == [b"a" * 10]


def test_success_ends_the_trouble():
    made = in_phase(Phase.IN_FLIGHT)
    made.trouble = Trouble(budget_ends_s=1.0, circuit_times=0)

    made.settle()

    assert made.trouble is None


def test_a_wrong_move_names_the_address():
    with pytest.raises(AssertionError, match="t/f/alice settled in phase IDLE"):
        backlog().settle()


def failing(*invocations: bytes) -> Backlog:
    made = backlog()
    for invocation in invocations:
        made.deliver(invocation)
    made.begin(0.0, NO_CAP)
    made.trouble = trouble()
    return made


def test_a_narrowed_batch_is_its_first_half_and_the_rest_waits_in_front_of_all_others():
    made = failing(b"1", b"2", b"3", b"4")
    made.deliver(b"5")

    made.narrow()

    assert made.begin(0.0, NO_CAP) == [b"1", b"2"]
    assert made.waiting == [b"3", b"4", b"5"]
    assert (made.in_flight_bytes, made.waiting_bytes) == (2, 3)


def test_after_a_narrowed_batch_the_next_ones_grow_twice_as_wide_each_time_it_goes_well():
    made = failing(*(b"%d" % number for number in range(9)))
    made.deliver(b"9")
    widths = []
    made.narrow()
    made.begin(0.0, NO_CAP)
    made.narrow()
    while made.phase == Phase.READY:
        widths.append(len(made.begin(0.0, NO_CAP)))
        made.settle()

    assert widths == [2, 4, 4]


def test_a_parked_invocation_that_is_abandoned_leaves_the_others_as_they_were():
    made = failing(b"1", b"2", b"3")
    made.narrow()
    made.begin(0.0, NO_CAP)
    made.unsettle(Phase.PARKED)

    made.single_out()
    assert made.in_flight == [b"1"]
    assert made.abandon()
    assert head(made) == [b"2", b"3"]


def test_an_address_that_comes_back_parked_gives_up_its_first_invocation_only():
    made = backlog()
    made.restore([b"1", b"2", b"3"])
    made.set_aside(trouble())

    made.single_out()
    assert made.in_flight == [b"1"]
    assert made.abandon()
    assert head(made) == [b"2", b"3"]


class OneAddress(RuleBasedStateMachine):
    """Whatever happens to one address: no loss, no reorder, one in flight."""

    def __init__(self) -> None:
        super().__init__()
        self.backlog = backlog()
        self.cap = 12
        self.expected: deque[bytes] = deque()
        self.done: list[bytes] = []
        self.batch: list[bytes] = []
        self.sent_again = False
        self.count = 0

    @rule(size=st.integers(1, 15))
    def deliver(self, size: int) -> None:
        self.count += 1
        invocation = f"{self.count}".encode().ljust(size, b".")
        was_idle = self.backlog.phase == Phase.IDLE
        assert self.backlog.deliver(invocation) is was_idle
        self.expected.append(invocation)

    @precondition(lambda self: self.backlog.phase == Phase.READY)
    @rule()
    def begin(self) -> None:
        batch = list(self.backlog.begin(0.0, self.cap))
        if self.sent_again:
            assert batch == self.batch
        assert batch
        assert len(batch) == 1 or sum(map(len, batch)) <= self.cap
        assert batch == list(self.expected)[: len(batch)]
        self.batch = batch

    @precondition(lambda self: self.backlog.phase == Phase.IN_FLIGHT)
    @rule()
    def settle(self) -> None:
        for invocation in self.batch:
            assert invocation == self.expected.popleft()
        self.sent_again = False
        assert self.backlog.settle() is bool(self.expected)

    @precondition(lambda self: self.backlog.phase == Phase.IN_FLIGHT)
    @rule(to=st.sampled_from([Phase.READY, Phase.BACKING_OFF, Phase.PARKED]))
    def fail(self, to: Phase) -> None:
        self.backlog.unsettle(to)
        self.sent_again = True

    @precondition(
        lambda self: self.backlog.phase == Phase.IN_FLIGHT and len(self.backlog.in_flight) > 1
    )
    @rule()
    def narrow(self) -> None:
        self.backlog.trouble = trouble()
        self.backlog.narrow()
        self.batch = self.batch[: len(self.batch) // 2]
        self.sent_again = True

    @precondition(
        lambda self: self.backlog.phase == Phase.PARKED and len(self.backlog.in_flight) == 1
    )
    @rule()
    def abandon(self) -> None:
        self.expected.popleft()
        self.sent_again = False
        assert self.backlog.abandon() is bool(self.expected)

    @precondition(lambda self: self.backlog.phase in (Phase.BACKING_OFF, Phase.PARKED))
    @rule()
    def resume(self) -> None:
        self.backlog.resume()

    @precondition(lambda self: self.backlog.phase != Phase.IN_FLIGHT)
    @rule()
    def restart(self) -> None:
        work = head(self.backlog)
        self.backlog = backlog()
        for invocation in work:
            self.backlog.deliver(invocation)
        self.sent_again = False

    @invariant()
    def holds_exactly_what_is_not_done(self) -> None:
        made = self.backlog
        assert head(made) == list(self.expected)
        assert made.waiting_bytes == sum(map(len, made.waiting))
        assert made.in_flight_bytes == sum(map(len, made.in_flight))
        assert (made.phase == Phase.IDLE) is not bool(self.expected)


TestOneAddress = OneAddress.TestCase
