"""The law of failures, played: who is given up, who waits for an endpoint, and that all who can go on do."""

import asyncio
import json
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from statefun_runtime.core.module.specs import AsyncTransport, OnFailure, Transport
from statefun_runtime.core.partition.circuit import Circuit
from statefun_runtime.core.partition.failure_state import FailureState
from statefun_runtime.core.partition.retry import Cause, Failure
from tests.fakes.endpoint import Answer, Fate
from tests.fakes.virtual_time import run_virtual
from tests.support.wire_builders import Request, result
from tests.unit.engine.engine_world import World

SECOND = AsyncTransport(call_s=1.0)
EVERY_WAY = [
    Answer(status=429),
    Answer(status=401),
    Answer(status=404),
    Answer(b"<html>", content_type="text/html"),
    Answer(status=500),
    Answer(status=503),
    Answer(fate=Fate.CUT),
]


def well(request: Request) -> Answer:
    return Answer(result(egress=[("out", value) for value in request.values]))


def gone(world: World) -> int:
    """How many invocations were given up."""
    counts = world.function("f").counts
    return counts.skipped + counts.dead_letters


async def play_outage(how: Answer, *, addresses: int, transport: Transport = SECOND) -> World:
    world = World(transport=transport, on_failure=OnFailure.SKIP)
    world.serve("f", well)
    world.send("f", "before", b"before")
    await world.passes(0.1)
    world.serve("f", lambda _: how)
    for number in range(30):
        world.send("f", str(number % addresses), b"%d" % number)
    await world.passes(120.0)
    assert gone(world) == 0
    world.serve("f", well)
    await world.passes(12.0)
    return world


@pytest.mark.parametrize("addresses", [1, 3, 30])
@pytest.mark.parametrize("how", EVERY_WAY)
def test_an_endpoint_that_refuses_everyone_costs_nothing(how: Answer, addresses: int):
    async def main():
        world = await play_outage(how, addresses=addresses)

        assert sorted(world.egress.left) == sorted([b"before", *(b"%d" % n for n in range(30))])
        assert (gone(world), world.function("f").waiting) == (0, 0)

    run_virtual(main)


def test_an_endpoint_that_goes_away_among_replies_that_are_still_good_costs_nothing():
    """A gateway is rolled out: for a while some requests succeed and some do not, then none does for minutes."""

    async def main():
        world = World(transport=SECOND, on_failure=OnFailure.SKIP)
        calls = iter(range(10**9))
        world.serve("f", lambda request: well(request) if next(calls) % 2 else Answer(status=503))
        for number in range(40):
            world.send("f", str(number % 4), b"%d" % number)
            await world.passes(0.02)
        world.serve("f", lambda _: Answer(status=503))
        await world.passes(300.0)
        world.serve("f", well)
        await world.passes(12.0)

        assert sorted(world.egress.left) == sorted(b"%d" % number for number in range(40))
        assert gone(world) == 0

    run_virtual(main)


@pytest.mark.parametrize("how", [Answer(status=500), Answer(status=404), Answer(fate=Fate.CUT)])
def test_twenty_poisoned_addresses_are_parked_while_others_succeed_now_and_then(how: Answer):
    async def main():
        world = World(transport=AsyncTransport(call_s=10.0))
        sent: dict[bytes, float] = {}
        late: list[float] = []

        def handler(request: Request) -> Answer:
            if request.id.startswith("bad"):
                return how
            late.extend(world.clock.now_s() - sent[value] for value in request.values)
            return well(request)

        world.serve("f", handler)
        for number in range(20):
            world.send("f", f"bad{number}")
        for number in range(60):
            value = b"%d" % number
            sent[value] = world.clock.now_s()
            world.send("f", f"good{number}", value)
            await world.passes(3.0)

        function = world.function("f")
        assert function.circuit.opened_times <= 1
        assert sum(bool(one.failing and one.failing.is_decided) for one in bad(world)) == 20
        assert all(world.exchange.partitions.has_parked(one) for one in bad(world))
        assert len(world.egress.left) == 60
        assert max(late[5:]) < 0.1

    run_virtual(main)


@pytest.mark.parametrize("every_s", [15.0, 60.0])
def test_poison_is_poison_where_a_good_message_comes_but_once_in_a_while(every_s: float):
    async def main():
        world = World(transport=AsyncTransport(call_s=10.0), on_failure=OnFailure.SKIP)
        world.serve("f", lambda r: Answer(status=500) if r.id.startswith("bad") else well(r))
        for number in range(20):
            world.send("f", f"bad{number}")
        for number in range(8):
            world.send("f", f"good{number}", b"x")
            await world.passes(every_s)

        assert (gone(world), len(world.egress.left)) == (20, 8)
        assert world.function("f").circuit.opened_times <= 1

    run_virtual(main)


def bad(world: World) -> list:
    return [one for id, one in world.function("f").backlogs.items() if id.startswith("bad")]


def one_bad_in_four(request: Request) -> Answer:
    if any(int(value) % 4 == 1 for value in request.values):
        return Answer(status=500)
    return well(request)


@pytest.mark.parametrize("addresses", [5, 20])
def test_batches_that_fail_for_one_of_their_invocations_do_not_stop_their_endpoint(addresses: int):
    async def main():
        world = World(transport=SECOND, on_failure=OnFailure.DEAD_LETTER, has_dead_letters=True)
        world.serve("f", one_bad_in_four)
        for number in range(addresses * 32):
            world.send("f", f"id{number // 32}", b"%d" % number)
        await world.passes(400.0)

        letters = [json.loads(one) for one in world.egress.left if one.startswith(b"{")]
        assert len(letters) == addresses * 8
        assert {letter["reason"] for letter in letters} == {"status"}
        assert len(world.egress.left) == addresses * 32
        assert world.function("f").waiting == 0

    run_virtual(main)


@pytest.mark.parametrize("addresses", [1, 8])
def test_a_request_that_is_too_large_is_halved_at_once(addresses: int):
    async def main():
        world = World(transport=AsyncTransport(call_s=60.0), on_failure=OnFailure.SKIP)
        world.serve(
            "f", lambda request: Answer(status=413) if len(request.values) > 3 else well(request)
        )
        for number in range(addresses * 64):
            world.send("f", f"id{number % addresses}", b"%d" % number)
        await world.passes(2.0)

        assert len(world.egress.left) == addresses * 64
        assert gone(world) == 0

    run_virtual(main)


@pytest.mark.parametrize("after_s", [0.02, 0.1, 0.3])
def test_a_letter_names_the_error_of_the_function_and_no_attempt_begins_without_time(
    after_s: float,
):
    async def main():
        world = World(transport=SECOND, on_failure=OnFailure.DEAD_LETTER, has_dead_letters=True)
        world.serve(
            "f",
            lambda r: Answer(status=500, after_s=after_s) if r.id == "alice" else well(r),
        )
        world.send("f", "alice", b"1")
        for number in range(60):
            world.send("f", "others", b"%d" % number)
            await world.passes(0.3)

        (letter,) = [json.loads(one) for one in world.egress.left if one.startswith(b"{")]
        assert letter["reason"] == "status"
        assert letter["error"] == "the endpoint answered with status 500"
        assert world.failures("f") == {"status": letter["attempts"]}

    run_virtual(main)


def test_the_last_real_cause_stays_where_the_last_attempt_hangs():
    async def main():
        world = World(transport=SECOND, on_failure=OnFailure.SKIP)
        answers = [Answer(fate=Fate.LOST), Answer(status=500)]
        world.serve("f", lambda _: answers.pop() if answers else Answer(fate=Fate.LOST))
        world.send("f", "alice", b"1")
        await world.passes(0.9)
        failing = world.backlog("f", "alice").failing
        assert failing is not None
        await world.passes(0.2)

        assert failing.reason == "the endpoint answered with status 500"

    run_virtual(main)


@pytest.mark.parametrize("status", [429, 503])
def test_what_is_asked_for_later_is_sent_later_and_never_given_up(status: int):
    async def main():
        world = World(transport=AsyncTransport(call_s=5.0), on_failure=OnFailure.SKIP)
        times: list[float] = []

        def handler(request: Request) -> Answer:
            if request.id != "alice":
                return well(request)
            times.append(world.clock.now_s())
            return Answer(status=status, retry_after_s=2.0 if len(times) < 10 else 90.0)

        world.serve("f", handler)
        world.send("f", "alice", b"1")
        for number in range(60):
            world.send("f", "others", b"%d" % number)
            await world.passes(1.0)

        pauses = [round(b - a) for a, b in pairwise(times)]
        # As long as was asked for, and no longer than the budget.
        assert pauses[:9] == [2] * 9
        assert set(pauses[9:]) == {5}
        assert gone(world) == 0
        world.serve("f", well)
        await world.passes(6.0)
        assert b"1" in world.egress.left

    run_virtual(main)


@pytest.mark.parametrize("status", [429, 503])
def test_addresses_that_are_all_asked_for_later_go_on_when_their_time_has_come(status: int):
    async def main():
        world = World(transport=AsyncTransport(call_s=60.0), on_failure=OnFailure.SKIP)
        asked: dict[str, list[float]] = {}

        def handler(request: Request) -> Answer:
            times = asked.setdefault(request.id, [])
            times.append(round(world.clock.now_s()))
            return well(request) if len(times) > 1 else Answer(status=status, retry_after_s=3.0)

        world.serve("f", handler)
        for number in range(20):
            world.send("f", str(number), b"%d" % number)
        await world.passes(2.0)
        # Whoever comes meanwhile does not wait for the others.
        world.send("f", "new", b"new")
        await world.passes(2.0)

        assert len(asked) == 21
        assert {times[1] - times[0] for name, times in asked.items() if name != "new"} == {3}
        assert len(world.egress.left) == 20
        await world.passes(2.0)
        assert len(world.egress.left) == 21
        assert gone(world) == 0

    run_virtual(main)


def test_an_endpoint_that_was_away_and_asks_for_later_is_back():
    async def main():
        world = World(transport=AsyncTransport(call_s=60.0))
        world.serve("f", lambda _: Answer(status=500))
        for number in range(20):
            world.send("f", str(number), b"%d" % number)
        await world.passes(10.0)
        assert world.function("f").is_down

        told: set[str] = set()

        def handler(request: Request) -> Answer:
            if request.id in told:
                return well(request)
            told.add(request.id)
            return Answer(status=503, retry_after_s=2.0)

        world.serve("f", handler)
        await world.passes(5.5)
        # The probe was told, and all others were asked; each comes back when it was told to.
        assert not world.function("f").is_down
        await world.passes(4.0)
        assert len(world.egress.left) == 20

    run_virtual(main)


def test_who_may_fail_for_its_endpoint_is_tried_every_few_seconds_and_not_given_up():
    async def main():
        world = World(transport=SECOND, on_failure=OnFailure.SKIP)
        times: list[float] = []
        world.serve("f", lambda _: times.append(world.clock.now_s()) or Answer(status=404))
        world.send("f", "alice", b"1")
        await world.passes(60.0)

        assert gone(world) == 0
        assert round(times[-1] - times[-2]) == 5

        times.clear()
        world.send("f", "bob", b"x")
        world.serve(
            "f", lambda r: times.append(0) or Answer(status=404) if r.id == "alice" else well(r)
        )
        for number in range(20):
            world.send("f", f"bob{number}", b"x")
            await world.passes(2.0)
        # Others went well between its last three failures.
        assert gone(world) == 1
        assert len(times) == 3

    run_virtual(main)


def test_what_was_spent_stays_spent_behind_a_circuit_and_its_probes():
    async def main():
        world = World(transport=AsyncTransport(call_s=2.0), on_failure=OnFailure.PARK)
        world.serve("f", lambda r: Answer(status=500) if r.id == "bad" else well(r))
        world.send("f", "bad")
        for _ in range(3):
            world.send("f", "good", b"x")
            await world.passes(0.2)
        failing = world.backlog("f", "bad").failing
        assert failing is not None
        spent_s = failing.spent_s
        assert spent_s > 0.4
        world.endpoint("f").is_up = False
        for number in range(10):
            world.send("f", f"other{number}", b"x")
        await asyncio.sleep(20.0)

        assert world.backlog("f", "bad").failing is failing
        assert failing.spent_s >= spent_s

    run_virtual(main)


@pytest.mark.parametrize("up_s", [0.1, 1.0, 7.0])
@pytest.mark.parametrize("addresses", [1, 3])
def test_an_endpoint_that_comes_and_goes_again_and_again_costs_nothing(up_s: float, addresses: int):
    """It is up for so long between outages that are many times longer than the budget."""

    async def main():
        world = World(transport=SECOND, on_failure=OnFailure.SKIP, batch_bytes_max=200)
        for number in range(300):
            world.send("f", str(number % addresses), b"%d" % number)
        for turn in range(12):
            world.serve("f", lambda _: Answer(status=503))
            await world.passes(31.3 + turn)
            world.serve("f", lambda r: replace(well(r), after_s=up_s / 4))
            await world.passes(up_s)
        world.serve("f", well)
        await world.passes(12.0)

        assert sorted(world.egress.left) == sorted(b"%d" % number for number in range(300))
        assert gone(world) == 0

    run_virtual(main)


@pytest.mark.parametrize("status", [413, 503])
def test_a_part_that_went_well_proves_nothing_where_the_batch_was_cut_for_another_reason(
    status: int,
):
    """Too large, or a probe: the first of them goes well, and then the endpoint is gone for all there are."""

    async def main():
        world = World(transport=SECOND, on_failure=OnFailure.SKIP)
        world.serve("f", lambda _: Answer(status=status))
        for number in range(4):
            world.send("f", "alice", b"%d" % number)
        if status == 503:
            world.endpoint("f").is_up = False
            await world.passes(0.3)
            world.endpoint("f").is_up = True
        world.serve(
            "f",
            lambda r: (
                well(r)
                if r.values[0] == b"0" and len(r.values) < 3
                else Answer(status=404 if len(r.values) < 3 else status)
            ),
        )
        await world.passes(60.0)
        assert gone(world) == 0
        world.serve("f", well)
        await world.passes(12.0)
        assert sorted(world.egress.left) == [b"0", b"1", b"2", b"3"]

    run_virtual(main)


def test_what_is_left_of_a_batch_fails_alone_only_if_it_fails_at_once_after_the_rest_went_well():
    failing, circuit = FailureState(), Circuit()
    failing.failed_s = 9.9
    failing.narrow(2, batch=4)
    for started_s, is_decided in ((10.5, True), (12.0, False)):
        left = failing.after_batch(2, well_from_s=9.9)
        assert left is not None
        circuit.succeeded(10.0, started_s=9.9)
        left.met(Failure(Cause.STATUS, "", 500), circuit, started_s=started_s, now_s=12.5)
        assert left.is_decided is is_decided


def test_replies_that_were_on_their_way_when_an_endpoint_went_away_prove_nothing():
    async def main():
        world = World(transport=AsyncTransport(call_s=3.0), on_failure=OnFailure.SKIP)
        world.serve("f", well)
        world.send("f", "1", b"x")
        await world.passes(0.1)
        world.serve("f", lambda r: replace(well(r), after_s=int(r.id) * 0.02))
        for number in range(4, 148):
            world.send("f", str(number), b"x")
        await world.passes(0.05)
        world.serve("f", lambda _: Answer(status=503))
        world.send("f", "0", b"x")
        await world.passes(60.0)
        world.serve("f", well)
        await world.passes(12.0)

        assert (gone(world), len(world.egress.left)) == (0, 146)

    run_virtual(main)


def test_what_others_did_before_an_outage_proves_nothing_in_it():
    """One address fails a few times among others that go well; then, with budget left, all there are fail."""

    async def main():
        world = World(transport=AsyncTransport(call_s=8.0), on_failure=OnFailure.SKIP)
        world.serve("f", lambda r: Answer(status=503) if r.id == "alice" else well(r))
        world.send("f", "alice", b"1")
        for _ in range(10):
            world.send("f", "bob", b"x")
            await world.passes(0.2)
        failing = world.backlog("f", "alice").failing
        assert failing is not None
        assert failing.alone >= 3
        world.serve("f", lambda _: Answer(status=503))
        await world.passes(60.0)
        world.serve("f", well)
        await world.passes(12.0)

        assert (gone(world), len(world.egress.left)) == (0, 11)

    run_virtual(main)


def test_a_hiccup_at_the_neighbour_of_a_bad_invocation_costs_it_nothing():
    """Its batch has spent the budget when it is tried alone: it has its time once more."""

    async def main():
        world = World(transport=SECOND, on_failure=OnFailure.SKIP)
        hiccups: list[list[bytes]] = []

        def handler(request: Request) -> Answer:
            if b"3" in request.values:
                return Answer(status=500)
            if request.id == "alice" and len(hiccups) < 3:
                hiccups.append(request.values)
                return Answer(status=503)
            return well(request)

        world.serve("f", handler)
        world.send("f", "alice", b"0", b"1", b"2", b"3")
        for _ in range(200):
            world.send("f", "bob", b"x")
            await world.passes(0.1)

        assert hiccups == [[b"0", b"1"], [b"0"], [b"0"]]
        assert {b"0", b"1", b"2"} < set(world.egress.left)
        assert gone(world) == 1

    run_virtual(main)


class Handle:
    """What uvloop returns for an alarm that is due already."""

    def __init__(self, timer: asyncio.TimerHandle) -> None:
        self.cancel = timer.cancel


def test_an_address_that_is_ready_long_after_an_endpoint_went_away_has_it_asked_at_once(
    monkeypatch: pytest.MonkeyPatch,
):
    async def main():
        loop = asyncio.get_running_loop()
        call_at = loop.call_at
        world = World(transport=SECOND)
        world.serve("f", well)
        world.endpoint("f").is_up = False
        world.send("f", "alice")
        await world.passes(30.0)

        def as_uvloop(when_s: float, work: Any, *rest: Any, **how: Any) -> Any:
            timer = call_at(when_s, work, *rest, **how)
            return Handle(timer) if when_s <= loop.time() and "_probe" in repr(work) else timer

        monkeypatch.setattr(loop, "call_at", as_uvloop)
        policy = world.dispatcher("f").policy
        while not 3.0 < (policy.probe_in_s() or 0.0) < 4.0:
            await world.passes(0.1)
        world.endpoint("f").is_up = True
        for number in range(20):
            world.send("f", f"bob{number}")
            await world.passes(0.0)
        await world.passes(0.2)

        assert len(world.egress.left) == 21

    run_virtual(main)
