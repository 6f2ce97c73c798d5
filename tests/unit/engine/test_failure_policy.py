"""Failures: retries, parking, circuits, and what they do not do to others."""

import logging
from itertools import pairwise

import pytest

from statefun_runtime.core.module.specs import AsyncTransport, OkHttpTransport
from statefun_runtime.core.partition.backlog import Phase
from statefun_runtime.core.partition.circuit import CircuitState
from tests.fakes.endpoint import Answer, Fate
from tests.fakes.virtual_time import run_virtual
from tests.support.wire_builders import Request, result
from tests.unit.engine.engine_world import World

ASYNC = AsyncTransport(call_s=1.0)
OKHTTP = OkHttpTransport(call_s=1.0, read_s=0.3, write_s=0.3)


def poisoned(*ids: str, how: Answer | None = None):
    """Serve everybody but some ids."""

    def handler(request: Request) -> Answer:
        if request.id in ids:
            return how or Answer(status=404)
        return Answer(result(egress=[("out", request.id.encode())]))

    return handler


async def introduced(world: World) -> None:
    """Have the function type answered once, so that it is no longer new."""
    handler = world.endpoint("f").answer
    world.serve("f", lambda _: result())
    world.send("f", "introduction")
    await world.passes(0.1)
    world.endpoint("f").answer = handler
    world.endpoint("f").requests.clear()


# ── retries ──


@pytest.mark.parametrize(
    "how",
    [
        Answer(status=500),
        Answer(status=404),
        Answer(content_type="text/plain"),
        Answer(b"garbage"),
        Answer(fate=Fate.CUT),
    ],
)
def test_async_tries_again_whatever_went_wrong_until_it_works(how: Answer):
    async def main():
        world = World(transport=ASYNC)
        outcomes = [how, how, how]
        world.serve(
            "f", lambda _: outcomes.pop() if outcomes else Answer(result(egress=[("out", b"r")]))
        )
        world.send("f", "alice", b"1", b"2")
        await world.passes(0.5)

        assert world.egress.left == [b"r"]
        assert [request.values for request in world.requests("f")] == [[b"1", b"2"]] * 4
        assert sum(world.failures("f").values()) == 3
        assert world.function("f").parked == 0
        assert world.function("f").busy == 0
        assert world.load.waiting_bytes == 0

    run_virtual(main)


def test_async_pauses_double_until_the_budget_is_spent():
    async def main():
        world = World(transport=ASYNC)
        times = []
        world.serve("f", lambda _: times.append(world.clock.now_s()) or Answer(status=404))
        world.send("f", "alice")
        await world.passes(1.2)

        pauses = [later - sooner for sooner, later in pairwise(times)]
        assert [round(pause, 3) for pause in pauses[:6]] == [
            0.004,
            0.008,
            0.016,
            0.032,
            0.064,
            0.128,
        ]
        assert times[-1] - times[0] == pytest.approx(1.0, abs=0.01)
        assert world.backlog("f", "alice").phase == Phase.PARKED

    run_virtual(main)


def test_a_lost_reply_uses_the_whole_budget_of_async():
    async def main():
        world = World(transport=ASYNC)
        world.serve("f", lambda _: Answer(fate=Fate.LOST))
        world.send("f", "alice")
        await world.passes(0.9)
        assert world.backlog("f", "alice").phase == Phase.IN_FLIGHT

        await world.passes(0.2)
        assert world.backlog("f", "alice").phase == Phase.PARKED
        assert world.failures("f") == {"timeout": 1}
        assert len(world.requests("f")) == 1

    run_virtual(main)


def test_a_call_of_okhttp_is_over_when_its_time_is_whatever_its_attempts_did():
    async def main():
        world = World(transport=OKHTTP)
        outcomes = [Answer(status=503, after_s=0.3), Answer(fate=Fate.LOST)]
        world.serve("f", lambda _: outcomes.pop(0))
        world.send("f", "alice")
        await world.passes(0.9)
        assert world.backlog("f", "alice").phase == Phase.IN_FLIGHT

        await world.passes(0.2)
        assert world.backlog("f", "alice").phase == Phase.PARKED
        assert world.failures("f") == {"status": 1, "timeout": 1}

    run_virtual(main)


@pytest.mark.parametrize("how", [Answer(status=404), Answer(content_type="x/y"), Answer(b"\xff")])
def test_okhttp_parks_at_once_what_another_try_would_not_help(how: Answer):
    async def main():
        world = World(transport=OKHTTP)
        world.serve("f", poisoned("alice", how=how))
        world.send("f", "alice")
        await world.passes(0.1)

        assert world.backlog("f", "alice").phase == Phase.PARKED
        assert len(world.requests("f")) == 1

    run_virtual(main)


@pytest.mark.parametrize("how", [Answer(status=503), Answer(status=429), Answer(fate=Fate.CUT)])
def test_okhttp_tries_again_what_may_pass(how: Answer):
    async def main():
        world = World(transport=OKHTTP)
        outcomes = [how] * 3
        world.serve("f", lambda _: outcomes.pop() if outcomes else Answer(result()))
        world.send("f", "alice")
        await world.passes(1.0)

        assert len(world.requests("f")) == 4
        assert world.function("f").busy == 0

    run_virtual(main)


def test_a_stale_connection_costs_no_attempt():
    async def main():
        world = World(transport=ASYNC)
        await introduced(world)
        outcomes = [Answer(fate=Fate.STALE)]
        world.serve("f", lambda _: outcomes.pop() if outcomes else Answer(result()))
        world.send("f", "alice")
        await world.passes(0.003)

        assert len(world.requests("f")) == 2
        assert world.failures("f") == {}
        assert world.function("f").busy == 0

    run_virtual(main)


def test_a_connection_that_ends_again_when_it_is_new_is_a_failure():
    async def main():
        world = World(transport=ASYNC)
        await introduced(world)
        world.serve("f", lambda _: Answer(fate=Fate.STALE))
        world.send("f", "alice")
        await world.passes(0.003)

        assert world.failures("f") == {"disconnect": 1}
        assert len(world.requests("f")) == 2

    run_virtual(main)


# ── parking ──


def test_a_parked_address_is_tried_again_with_growing_pauses():
    async def main():
        world = World(transport=OKHTTP)
        times = []
        world.serve("f", lambda _: times.append(world.clock.now_s()) or Answer(b"\xff"))
        world.send("f", "alice")
        await world.passes(40.0)

        pauses = [round(b - a) for a, b in pairwise(times)]
        assert pauses == [1, 2, 4, 8, 16]
        assert world.function("f").parked == 1
        assert world.function("f").busy == 0

    run_virtual(main)


def test_a_parked_address_keeps_its_backlog_in_order_and_goes_on_when_it_can():
    async def main():
        world = World(transport=OKHTTP)
        world.serve("f", poisoned("alice"))
        world.send("f", "alice", b"1", b"2")
        await world.passes(0.5)
        world.send("f", "alice", b"3")
        world.serve("f", poisoned())
        world.endpoint("f").requests.clear()
        await world.passes(1.0)

        assert [request.values for request in world.requests("f")] == [[b"1"], [b"2", b"3"]]
        assert world.function("f").parked == 0
        assert world.function("f").waiting == 0

    run_virtual(main)


def test_a_parked_address_is_told_in_words(caplog: pytest.LogCaptureFixture):
    async def main():
        world = World(transport=OKHTTP)
        world.serve("f", poisoned("alice"))
        world.send("f", "alice", b"1")
        await world.passes(0.5)

    with caplog.at_level(logging.WARNING):
        run_virtual(main)

    assert [record.getMessage() for record in caplog.records] == [
        "t/f/alice at http://functions/f: parked after 1 attempts, next in 1 s; it may be the endpoint, "
        "for nobody else got on: "
        "the endpoint answered with status 404; 1 invocations in the batch, 0 wait"
    ]


def test_one_poisoned_address_does_not_stop_others():
    async def main():
        world = World(transport=ASYNC, pool_size=4)
        world.serve("f", poisoned("bad", how=Answer(status=500)))
        await introduced(world)
        for round_number in range(20):
            world.send("f", "bad")
            world.send("f", f"good-{round_number}")
            await world.passes(0.2)

        assert len(world.egress.left) == 20
        assert world.function("f").circuit.opened_times == 0
        assert not world.function("f").is_down
        failing = world.backlog("f", "bad").failing
        assert failing is not None
        assert failing.parked_times
        bad = world.backlog("f", "bad")
        assert len(bad.in_flight) + bad.waiting_count == 20

    run_virtual(main)


def test_few_lines_a_second_are_logged_and_the_others_counted(caplog: pytest.LogCaptureFixture):
    async def main():
        world = World(transport=OKHTTP)
        world.serve("f", lambda _: Answer(status=404))
        for number in range(50):
            world.send("f", str(number))
        await world.passes(0.5)

    with caplog.at_level(logging.WARNING):
        run_virtual(main)

    assert len(caplog.records) == 5


# ── suspects ──


def test_addresses_that_hang_hold_at_most_half_of_the_pool():
    async def main():
        world = World(transport=AsyncTransport(call_s=30.0), pool_size=10)
        await introduced(world)

        def handler(request: Request) -> Answer:
            if request.id.startswith("slow"):
                return Answer(result(), after_s=20.0)
            return Answer(result(egress=[("out", request.id.encode())]), after_s=0.001)

        world.serve("f", handler)
        # The first time nobody knows that they are slow.
        for number in range(8):
            world.send("f", f"slow-{number}")
        await world.passes(25.0)
        for number in range(8):
            world.send("f", f"slow-{number}")
        await world.passes(0.1)
        assert world.dispatcher("f").in_flight == 5

        for number in range(50):
            world.send("f", f"fast-{number}")
        await world.passes(0.2)

        assert len(world.egress.left) == 50
        assert world.dispatcher("f").in_flight == 5

    run_virtual(main)


def test_all_addresses_that_hang_get_their_turn():
    async def main():
        world = World(transport=AsyncTransport(call_s=30.0), pool_size=4)
        await introduced(world)
        world.serve("f", lambda _: Answer(result(), after_s=3.0))
        for _ in range(3):
            for number in range(6):
                world.send("f", str(number))
            await world.passes(20.0)

        assert world.function("f").waiting == 0
        assert world.function("f").busy == 0
        assert sorted(request.id for request in world.requests("f")) == sorted("012345" * 3)

    run_virtual(main)


# ── circuits ──


def test_an_endpoint_that_is_down_opens_its_circuit_and_nobody_is_parked():
    async def main():
        world = World(transport=ASYNC)
        world.serve("f", poisoned())
        world.endpoint("f").is_up = False
        for number in range(20):
            world.send("f", str(number))
        await world.passes(60.0)

        function = world.function("f")
        assert function.is_down
        assert function.parked == 0
        assert function.busy == 20
        assert world.requests("f") == []
        assert set(world.failures("f")) == {"connect"}

        world.endpoint("f").is_up = True
        await world.passes(6.0)
        assert len(world.egress.left) == 20
        assert not function.is_down
        assert function.busy == 0

    run_virtual(main)


def test_an_endpoint_that_answers_everybody_with_errors_opens_its_circuit():
    async def main():
        world = World(transport=AsyncTransport(call_s=10.0))
        world.serve("f", lambda _: Answer(status=503))
        for number in range(20):
            world.send("f", str(number))
        await world.passes(120.0)

        assert world.function("f").is_down
        assert world.function("f").parked == 0
        circuit = world.function("f").circuit
        assert circuit.opened_times == 1
        assert circuit.reason == "the endpoint answered with status 503"

        world.serve("f", poisoned())
        await world.passes(6.0)
        assert len(world.egress.left) == 20
        assert circuit.is_closed

    run_virtual(main)


def test_while_it_is_open_single_probes_go_out_with_growing_pauses():
    async def main():
        world = World(transport=ASYNC)
        await introduced(world)
        times = []

        def handler(_: Request) -> Answer:
            times.append(world.clock.now_s())
            return Answer(status=503)

        world.serve("f", handler)
        for number in range(5):
            world.send("f", str(number))
        await world.passes(0.015)
        assert not world.function("f").circuit.is_closed
        times.clear()
        await world.passes(30.0)

        pauses = [later - sooner for sooner, later in pairwise(times)]
        assert [round(pause, 2) for pause in pauses[:5]] == [0.04, 0.08, 0.16, 0.32, 0.64]
        assert round(pauses[-1], 2) == 5.0

    run_virtual(main)


def test_a_request_that_hangs_from_before_does_not_hold_up_the_probe():
    async def main():
        world = World(transport=AsyncTransport(call_s=100.0))
        await introduced(world)

        def handler(request: Request) -> Answer:
            return Answer(fate=Fate.LOST) if request.id == "hangs" else Answer(status=503)

        world.serve("f", handler)
        world.send("f", "hangs")
        await world.passes(0.1)
        for number in range(10):
            world.send("f", str(number))
        await world.passes(0.5)
        assert not world.function("f").circuit.is_closed

        world.serve("f", poisoned())
        await world.passes(6.0)

        assert len(world.egress.left) == 10
        assert world.backlog("f", "hangs").phase == Phase.IN_FLIGHT

    run_virtual(main)


def test_an_address_that_never_failed_is_the_first_probe():
    async def main():
        world = World(transport=AsyncTransport(call_s=50.0))
        await introduced(world)
        bad = [f"bad-{number}" for number in range(10)]
        world.serve("f", poisoned(*bad, how=Answer(status=500)))
        for function_id in bad:
            world.send("f", function_id)
        await world.passes(10.0)
        assert world.function("f").is_down

        world.send("f", "good")
        await world.passes(5.1)

        assert world.egress.left == [b"good"]

    run_virtual(main)


def test_the_time_behind_an_open_circuit_is_not_the_address_s_own():
    async def main():
        world = World(transport=ASYNC)
        await introduced(world)
        world.serve("f", lambda _: Answer(status=503))
        for number in range(10):
            world.send("f", str(number))
        await world.passes(30.0)
        times: list[float] = []

        # Now the endpoint is well, and one address fails alone: it has its whole budget.
        alone = poisoned("3")
        world.serve("f", lambda r: (r.id == "3" and times.append(world.clock.now_s())) or alone(r))
        await world.passes(8.0)

        assert len(world.egress.left) == 9
        # What it had spent before is little, and stays spent.
        assert times[7] - times[0] == pytest.approx(0.98, abs=0.01)
        assert times[8] - times[7] == pytest.approx(1.0, abs=0.01)

    run_virtual(main)


def test_messages_that_come_while_it_is_open_wait_without_limit_and_in_order():
    async def main():
        world = World(transport=ASYNC)
        world.serve("f", poisoned())
        world.endpoint("f").is_up = False
        for number in range(30):
            world.send("f", "alice", b"%d" % number)
            await world.passes(0.1)
        world.endpoint("f").is_up = True
        await world.passes(6.0)

        sent = [value for request in world.requests("f") for value in request.values]
        assert sent == [b"%d" % number for number in range(30)]

    run_virtual(main)


def test_an_endpoint_that_is_down_does_not_touch_another_one():
    async def main():
        world = World(transport=ASYNC)
        world.endpoint("f").is_up = False
        world.serve("g", poisoned())
        world.send("f", "alice")
        await world.passes(2.0)
        world.send("g", "bob")
        await world.passes(0.1)

        assert world.egress.left == [b"bob"]
        assert world.function("f").circuit.state is not CircuitState.CLOSED
        assert world.function("g").circuit.is_closed

    run_virtual(main)


def test_an_endpoint_that_is_down_is_told_once(caplog: pytest.LogCaptureFixture):
    async def main():
        world = World(transport=ASYNC)
        world.endpoint("f").is_up = False
        world.send("f", "alice")
        await world.passes(20.0)
        world.endpoint("f").is_up = True
        await world.passes(6.0)

    with caplog.at_level(logging.INFO):
        run_virtual(main)

    assert [record.getMessage() for record in caplog.records] == [
        "endpoint http://functions/f of t/f fails for everyone: cannot connect: refused; its addresses "
        "wait, and it is tried again and again",
        "endpoint http://functions/f of t/f answers again",
    ]
