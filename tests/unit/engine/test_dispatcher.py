"""Requests and replies of one function type: the handshake, batches, and the order in which effects happen."""

import asyncio
import logging
from itertools import pairwise

import pytest

from statefun_runtime.core.model.keys import parse_address_key
from statefun_runtime.core.model.reply import Result
from statefun_runtime.core.module.specs import AsyncTransport
from statefun_runtime.core.partition.backlog import Backlog
from statefun_runtime.engine.dispatch import turns
from tests.fakes.endpoint import Answer, Fate
from tests.fakes.virtual_time import run_virtual
from tests.support.wire_builders import Request, incomplete, result
from tests.unit.engine.engine_world import World

SHORT = AsyncTransport(call_s=1.0)


def counting(request: Request) -> bytes:
    """A function with one state, `count`: how many messages the address got."""
    if "count" not in request.state:
        return incomplete("count")
    before = int(request.state["count"] or b"0")
    return result(state={"count": b"%d" % (before + len(request.values))})


# ── the handshake ──


def test_a_function_that_asks_for_state_gets_the_same_batch_again_with_it():
    async def main():
        world = World()
        world.serve("f", counting)

        world.send("f", "alice", b"1", b"2")
        await world.passes()

        first, second = world.requests("f")
        assert (first.state, first.values) == ({}, [b"1", b"2"])
        assert (second.state, second.values) == ({"count": None}, [b"1", b"2"])

    run_virtual(main)


def test_the_next_batch_sees_the_state_that_the_one_before_left():
    async def main():
        world = World()
        world.serve("f", counting)
        world.send("f", "alice")
        await world.passes()

        world.send("f", "alice")
        world.send("f", "bob")
        await world.passes()

        states = [(request.id, request.state["count"]) for request in world.requests("f")[2:]]
        assert sorted(states) == [("alice", b"1"), ("bob", None)]

    run_virtual(main)


def test_other_types_are_asked_for_their_own_states():
    async def main():
        world = World()
        world.serve("f", counting)
        world.send("f", "alice")
        world.send("g", "alice")
        await world.passes()

        assert [request.state for request in world.requests("g")] == [{}]

    run_virtual(main)


def test_a_state_added_later_keeps_the_old_ones():
    async def main():
        world = World()
        world.serve("f", counting)
        world.send("f", "alice")
        world.send("f", "bob")
        await world.passes()

        def newer(request: Request) -> bytes:
            return result(state={"name": b"A"}) if "name" in request.state else incomplete("name")

        world.serve("f", newer)
        world.send("f", "alice")
        await world.passes()
        world.send("f", "alice")
        world.send("f", "bob")
        await world.passes()

        last = {request.id: request.state for request in world.requests("f")}
        assert last == {
            "alice": {"count": b"1", "name": b"A"},
            "bob": {"count": b"1", "name": None},
        }

    run_virtual(main)


def test_a_function_that_asks_again_for_what_it_was_sent_fails():
    async def main():
        world = World(transport=SHORT)
        world.serve("f", lambda _: incomplete("count"))

        world.send("f", "alice")
        await world.passes(1.5)

        backlog = world.backlog("f", "alice")
        assert world.function("f").parked == 1
        assert set(world.failures("f")) == {"incomplete-loop"}
        assert backlog.failing is not None
        assert backlog.failing.reason == (
            "the function asks again for states that it was sent (count)"
        )

    run_virtual(main)


def test_a_function_that_asks_for_nothing_fails():
    async def main():
        world = World(transport=SHORT)
        world.serve("f", lambda _: incomplete())

        world.send("f", "alice")
        await world.passes(1.5)

        failing = world.backlog("f", "alice").failing
        assert failing is not None
        assert failing.reason == "the function asks again for states that it was sent (none)"

    run_virtual(main)


def test_requests_that_left_before_a_state_was_known_may_ask_for_it_too():
    async def main():
        world = World()
        world.serve("f", counting)
        for number in range(5):
            world.send("f", str(number))
        await world.passes()

        assert len(world.requests("f")) == 10
        assert not world.failures("f")

    run_virtual(main)


def test_only_a_few_requests_of_a_new_type_go_out_before_its_first_reply():
    async def main():
        world = World()
        world.serve("f", lambda r: Answer(counting(r), after_s=0.1))
        for number in range(100):
            world.send("f", str(number))
        await world.passes(0.05)
        assert len(world.requests("f")) == 8

        await world.passes(0.1)
        assert len(world.requests("f")) > 90

    run_virtual(main)


def test_a_type_change_of_a_state_is_refused_in_words():
    async def main():
        world = World(transport=SHORT)
        world.serve("f", counting)
        world.send("f", "alice")
        await world.passes()

        world.serve("f", lambda _: incomplete("count", "more", typename="t/other"))
        world.send("f", "alice")
        await world.passes(1.5)

        assert set(world.failures("f")) == {"bad-state"}
        failing = world.backlog("f", "alice").failing
        assert failing is not None
        assert failing.reason == (
            "state 'count' was of type 't/value' and is now declared as 't/other'"
        )

    run_virtual(main)


def test_a_stored_value_of_another_type_fails_its_address_alone():
    async def main():
        world = World()
        world.serve("f", counting)
        world.send("f", "alice")
        await world.passes()
        await world.stopped()
        store = world.store

        world = World(transport=SHORT, store=store)
        world.serve(
            "f",
            lambda r: result() if "count" in r.state else incomplete("count", typename="t/new"),
        )
        world.send("f", "alice")
        world.send("f", "bob")
        await world.passes(1.5)

        assert world.function("f").parked == 1
        assert world.function("f").waiting == 1
        assert set(world.failures("f")) == {"bad-state"}

    run_virtual(main)


# ── batches ──


def test_what_came_while_a_request_was_out_leaves_as_one_batch():
    async def main():
        world = World()
        world.serve("f", lambda _: Answer(result(), after_s=1.0))
        world.send("f", "alice", b"1")
        await world.passes(0.5)
        world.send("f", "alice", b"2", b"3")
        world.send("f", "alice", b"4")
        await world.passes(2.0)

        assert [request.values for request in world.requests("f")] == [[b"1"], [b"2", b"3", b"4"]]

    run_virtual(main)


def test_the_byte_cap_alone_cuts_a_batch():
    async def main():
        world = World(batch_bytes_max=200, threshold=2)
        world.send("f", "alice", *[b"%02d" % number * 10 for number in range(12)])
        await world.passes()

        values = [request.values for request in world.requests("f")]
        assert len(values) > 1
        assert [value for batch in values for value in batch] == [
            b"%02d" % number * 10 for number in range(12)
        ]
        assert all(sum(map(len, batch)) <= 200 for batch in values)

    run_virtual(main)


def test_different_addresses_are_out_at_the_same_time_and_no_more_than_the_pool_allows():
    async def main():
        world = World(pool_size=10)
        world.serve("f", lambda _: Answer(result(), after_s=1.0))
        world.send("f", "first")
        await world.passes(2.0)
        for number in range(50):
            world.send("f", str(number))
        await world.passes(10.0)

        assert world.clients["f"].in_flight_max == 10
        assert len(world.requests("f")) == 51

    run_virtual(main)


def test_a_message_to_oneself_joins_the_own_backlog():
    async def main():
        world = World()

        def again(request: Request) -> bytes:
            left = int(request.values[0])
            return result(send=[("f", "alice", b"%d" % (left - 1))] if left else [])

        world.serve("f", again)
        world.send("f", "alice", b"3")
        await world.passes()

        assert [request.values for request in world.requests("f")] == [
            [b"3"],
            [b"2"],
            [b"1"],
            [b"0"],
        ]
        assert [request.callers for request in world.requests("f")[:2]] == [[None], ["f/alice"]]

    run_virtual(main)


# ── effects ──


def test_messages_go_to_their_targets_with_the_caller():
    async def main():
        world = World()
        world.serve("f", lambda _: result(send=[("g", "bob", b"hello"), ("g", "bob", b"again")]))
        world.send("f", "alice")
        await world.passes()

        (request,) = world.requests("g")
        assert (request.id, request.values) == ("bob", [b"hello", b"again"])
        assert request.callers == ["f/alice", "f/alice"]
        assert world.function("f").counts.out_local == 2

    run_virtual(main)


def test_egress_records_leave_in_order():
    async def main():
        world = World()
        world.serve("f", lambda r: result(egress=[("out", value) for value in r.values]))
        world.send("f", "alice", b"1", b"2", b"3")
        await world.passes()

        assert world.egress.left == [b"1", b"2", b"3"]
        assert world.function("f").counts.out_egress == 3

    run_virtual(main)


def test_a_deleted_state_is_gone():
    async def main():
        world = World()

        def function(request: Request) -> bytes:
            if "a" not in request.state:
                return incomplete("a", "b")
            return result(
                state={"a": None} if request.values == [b"delete"] else {"a": b"1", "b": b"2"}
            )

        world.serve("f", function)
        world.send("f", "alice", b"set")
        await world.passes()
        world.send("f", "alice", b"delete")
        await world.passes()
        world.send("f", "alice", b"set")
        await world.passes()

        assert world.requests("f")[-1].state == {"a": None, "b": b"2"}

    run_virtual(main)


def test_an_address_whose_values_are_all_deleted_has_no_row():
    async def main():
        world = World()

        def function(request: Request) -> bytes:
            if "a" not in request.state:
                return incomplete("a")
            return result(state={"a": None if request.state["a"] else b"1"})

        world.serve("f", function)
        for _ in range(2):
            world.send("f", "alice")
            await world.passes()
        await world.stopped()

        assert world.store.rows == {}

    run_virtual(main)


BAD = {
    "unknown-function": (
        lambda: _elsewhere(result(send=[("g", "bob", b"2")])),
        "a message goes to 'elsewhere/g', which no endpoint serves",
    ),
    "unknown-function later": (
        lambda: _elsewhere(result(delay=[(5, "g", "bob", b"2", "")])),
        "a message goes to 'elsewhere/g', which no endpoint serves",
    ),
    "unknown-egress": (
        lambda: result(egress=[("nowhere", b"r")]),
        "a message goes to egress 't/nowhere', which is not declared (declared: t/out)",
    ),
    "bad-egress-record": (
        lambda: result(egress=[("out", b"r" * (2 << 20))]),
        "egress 't/out': a record of 2097152 bytes is too large",
    ),
    "bad-state": (
        lambda: result(state={"undeclared": b"v"}),
        "state 'undeclared' is not declared by the function (declared: count)",
    ),
    "bad-delay": (
        lambda: result(delay=[(-5, "g", "bob", b"later", "")]),
        "a delayed message has a delay of -5 ms; it must not be negative",
    ),
    "bad-token": (
        lambda: result(cancel=[""]),
        "a cancellation of a delayed message has no token",
    ),
}


def _elsewhere(body: bytes) -> bytes:
    """Move the targets of a reply into a namespace that nobody serves."""
    from statefun._wire import FromFunction

    reply = FromFunction.FromString(body)
    said = reply.invocation_result
    for message in (*said.outgoing_messages, *said.delayed_invocations):
        message.target.namespace = "elsewhere"
    return reply.SerializeToString()


@pytest.mark.parametrize("case", BAD)
def test_a_reply_that_cannot_be_applied_whole_is_not_applied_at_all(case: str):
    make, reason = BAD[case]
    cause = case.split()[0]

    async def main():
        from statefun._wire import FromFunction

        world = World(transport=SHORT)
        world.serve("f", counting)
        world.send("f", "alice")
        await world.passes()
        good = result(
            send=[("g", "bob", b"1")],
            delay=[(10, "g", "bob", b"later", "token")],
            egress=[("out", b"record")],
            state={"count": b"99"},
        )
        # Good effects of every kind stand before the bad one.
        whole = FromFunction.FromString(good)
        whole.MergeFrom(FromFunction.FromString(make()))
        world.serve("f", lambda _: whole.SerializeToString())

        world.send("f", "alice")
        await world.passes(1.5)

        assert set(world.failures("f")) == {cause}
        assert world.function("f").parked == 1
        failing = world.backlog("f", "alice").failing
        assert failing is not None
        assert failing.reason == reason
        assert world.endpoint("g").requests == []
        assert world.egress.left == []
        assert len(world.delays) == 0
        world.serve("f", counting)
        await world.passes(2.0)
        assert world.requests("f")[-1].state == {"count": b"1"}

    run_virtual(main)


@pytest.mark.parametrize("body", [b"\xff", b"garbage", b"\xa2\x06\xff\xff\xff\xff\x0f", b"\x0a"])
def test_a_reply_that_is_no_message_counts_as_a_failed_attempt(body: bytes):
    async def main():
        world = World(transport=SHORT)
        world.serve("f", lambda _: body)
        world.send("f", "alice")
        world.send("g", "bob")
        await world.passes(1.5)

        assert set(world.failures("f")) == {"bad-reply"}
        assert world.function("f").parked == 1
        assert len(world.requests("g")) == 1

    run_virtual(main)


def test_a_state_value_that_is_no_typed_value_counts_as_a_failed_attempt():
    async def main():
        from statefun_runtime.core.model.messages import field

        mutation = b"\x08\x01" + field(b"\x12", b"count") + field(b"\x1a", b"\xff\xff")
        body = field(b"\xa2\x06", field(b"\x0a", mutation))
        world = World(transport=SHORT)
        world.serve("f", lambda r: body if "count" in r.state else incomplete("count"))
        world.send("f", "alice")
        await world.passes(1.5)

        assert set(world.failures("f")) == {"bad-state"}

    run_virtual(main)


def test_an_empty_reply_is_a_result_without_effects():
    async def main():
        world = World()
        world.serve("f", lambda _: b"")
        world.send("f", "alice")
        await world.passes()

        assert world.function("f").waiting == 0
        assert world.function("f").counts.failures == {}

    run_virtual(main)


# ── stopping ──


def test_a_stopped_lane_sends_nothing_and_still_applies_what_comes():
    async def main():
        world = World()
        world.serve("f", lambda r: Answer(result(egress=[("out", r.id.encode())]), after_s=1.0))
        world.send("f", "alice")
        await world.passes(0.5)
        world.dispatcher("f").stop()
        world.send("f", "alice", b"2")
        world.send("f", "bob", b"3")
        await world.passes(5.0)

        assert world.egress.left == [b"alice"]
        assert len(world.requests("f")) == 1
        assert world.dispatcher("f").in_flight == 0
        await world.cut()
        assert {str(parse_address_key(key)) for key in world.heads} == {"t/f/alice", "t/f/bob"}

    run_virtual(main)


def test_a_closed_lane_forgets_what_is_out_and_its_backlog_holds_it():
    async def main():
        world = World()
        world.serve("f", lambda r: Answer(result(egress=[("out", b"r")]), after_s=1.0))
        world.send("f", "alice")
        await world.passes(0.5)
        world.dispatcher("f").close()
        await world.passes(5.0)

        assert world.egress.left == []
        await world.cut()
        assert [str(parse_address_key(key)) for key in world.heads] == ["t/f/alice"]

    run_virtual(main)


def test_a_stopped_lane_does_not_retry(caplog: pytest.LogCaptureFixture):
    async def main():
        world = World()
        world.serve("f", lambda _: Answer(status=404))
        world.send("f", "alice")
        await world.passes(0.01)
        world.dispatcher("f").stop()
        before = len(world.requests("f"))
        await world.passes(500.0)

        assert len(world.requests("f")) == before

    with caplog.at_level(logging.ERROR):
        run_virtual(main)


# ── too much is in no checkpoint ──


def test_replies_in_hand_wait_until_a_checkpoint_has_made_room():
    async def main():
        world = World()
        world.serve(
            "f", lambda request: Answer(result(egress=[("out", request.values[0])]), after_s=0.5)
        )
        world.send("f", "alice", b"1")
        await world.passes(0.1)
        world.load.is_stuck = True
        world.send("f", "alice", b"2")
        await world.passes(1.0)
        assert world.egress.left == []

        world.load.is_stuck = False
        world.exchange.wake_all()
        await world.passes(1.0)

        assert world.egress.left == [b"1", b"2"]
        assert [request.values for request in world.requests("f")] == [[b"1"], [b"2"]]

    run_virtual(main)


# ── turns of the loop ──


def long_replies(request: Request) -> bytes:
    """Answer with a delayed message that is long, and in virtual time takes long."""
    return result(delay=[(60_000, "later", request.id, b"x" * 2000, "")])


def test_hundreds_of_long_replies_leave_the_loop_to_others_in_between(
    monkeypatch: pytest.MonkeyPatch,
):
    async def main():
        world = World()
        world.serve("f", long_replies)
        world.send("f", "first")
        await world.passes()
        dispatcher, loop = world.dispatcher("f"), asyncio.get_running_loop()
        applier = dispatcher._applier
        lost_s = 0.0

        class Slow:
            def apply(self, backlog: Backlog, found: Result) -> None:
                nonlocal lost_s
                lost_s += 0.002
                applier.apply(backlog, found)

        now = loop.time
        monkeypatch.setattr(dispatcher, "_applier", Slow())
        monkeypatch.setattr(loop, "time", lambda: now() + lost_s)
        for number in range(200):
            world.send("f", str(number))
        turns = [lost_s]
        while lost_s < 0.4:
            await asyncio.sleep(0)
            turns.append(lost_s)

        assert max(after - before for before, after in pairwise(turns)) < 0.01
        await world.passes()
        assert len(world.delays) == 201

    run_virtual(main)


def test_a_quick_endpoint_is_not_asked_for_more_long_replies_than_there_is_room_for(
    monkeypatch: pytest.MonkeyPatch,
):
    async def main():
        world = World(pool_size=50)
        for name in ("f", "g"):
            world.serve(name, long_replies)
            world.send(name, "first")
        await world.passes()
        loop, now, lost_s = asyncio.get_running_loop(), asyncio.get_running_loop().time, 0.0

        def time() -> float:
            # Each look at the clock takes a turn's time, so that one reply is applied in each.
            nonlocal lost_s
            lost_s += turns.TURN_S
            return now() + lost_s

        monkeypatch.setattr(turns, "WAITING_BYTES_MAX", 10 * 2000)
        monkeypatch.setattr(loop, "time", time)
        for number in range(1000):
            world.send("f", str(number))
        most = 0
        while len(world.delays) < 1002:
            await asyncio.sleep(0)
            most = max(most, len(world.requests("f")) + 1 - len(world.delays))
            if len(world.delays) == 500:
                world.send("g", "other")
                assert len(world.requests("g")) == 1
        # What is out when there is no room any more comes in, too.
        assert most <= 50 + 10
        await world.passes(1.0)
        # Who was turned away meanwhile has had its turn.
        assert len(world.requests("g")) == 2

    run_virtual(main)


def test_what_came_meanwhile_follows_a_long_reply_at_once():
    async def main():
        world = World()
        world.serve("f", lambda r: Answer(long_replies(r), after_s=0.1))
        world.send("f", "alice", b"1")
        await world.passes(0.05)
        world.send("f", "alice", b"2")
        await world.passes(0.3)

        assert [request.values for request in world.requests("f")] == [[b"1"], [b"2"]]
        assert world.dispatcher("f").in_flight == 0

    run_virtual(main)


# ── the size of a request ──


def test_states_and_address_count_towards_the_size_of_a_request():
    async def main():
        world = World(batch_bytes_max=3000)
        bodies: list[int] = []

        def handler(request: Request) -> bytes:
            if not request.state:
                return incomplete("s")
            bodies.append(request.size_bytes)
            return result(state={"s": b"x" * 2000})

        world.serve("f", handler)
        world.send("f", "alice", b"1")
        await world.passes()
        world.send("f", "alice", *[b"%04d" % number * 25 for number in range(100)])
        await world.passes()

        assert world.function("f").waiting == 0
        assert max(bodies[1:]) <= 3000
        assert min(bodies[1:-1]) > 2800

    run_virtual(main)


def test_a_server_that_takes_less_is_asked_for_less_and_refuses_hardly_ever():
    async def main():
        world = World()
        refused: list[int] = []

        def handler(request: Request) -> Answer:
            if request.size_bytes > 100_000:
                refused.append(request.size_bytes)
                return Answer(status=413)
            return Answer(result(), after_s=0.01)

        world.serve("f", handler)
        for _ in range(400):
            world.send("f", "hot", *[b"%04d" % number * 250 for number in range(1000)])
            await world.passes(1.0)

        assert world.function("f").waiting == 0
        # A megabyte is halved four times; then it grows, and after ten minutes would be tried again.
        assert len(refused) < 8
        largest = max(r.size_bytes for r in world.requests("f")[-200:])
        assert 85_000 < largest <= 100_000

    run_virtual(main)


def test_what_comes_back_goes_again_at_once_and_alone_and_has_not_failed():
    async def main():
        world = World()
        answers = [Answer(fate=Fate.BESIDE)]
        world.serve("f", lambda _: answers.pop() if answers else Answer(result()))
        world.send("f", "alice", b"1")
        await world.passes()
        world.send("f", "alice", b"2")
        await world.passes()

        assert [request.values for request in world.requests("f")] == [[b"1"], [b"1"], [b"2"]]
        assert world.clients["f"].went_alone == [False, True, False]
        assert not world.function("f").counts.failures

    run_virtual(main)


def test_who_ran_long_or_failed_goes_alone_until_it_is_well():
    async def main():
        world = World()
        answers = [Answer(status=500), Answer(result(), after_s=2.0)]
        world.serve("f", lambda _: answers.pop() if answers else Answer(result()))
        for value in (b"1", b"2", b"3", b"4"):
            world.send("f", "alice", value)
            await world.passes(5.0)

        assert world.clients["f"].went_alone == [False, True, True, False, False]

    run_virtual(main)
