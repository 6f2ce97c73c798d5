"""Back-pressure: what is held back, and what never is."""

import asyncio
import logging
from types import SimpleNamespace
from typing import Any

import pytest

from statefun_runtime.core.model.address import TypeName
from statefun_runtime.engine.dispatch.ingress_context import EngineIngressContext
from statefun_runtime.engine.state.idempotency import Idempotency
from tests.fakes.endpoint import Answer
from tests.fakes.virtual_time import run_virtual
from tests.support.wire_builders import Request, result
from tests.unit.engine.engine_world import KEY_GROUPS, World, start_background


def test_the_gate_closes_when_too_much_waits_and_opens_when_it_has_left():
    async def main():
        world = World(waiting_bytes_max=1000)
        world.serve("f", lambda _: Answer(result(), after_s=1.0))
        async with asyncio.TaskGroup() as tasks:
            background = start_background(tasks, world)
            world.send("f", "alice", b"x" * 1000)
            assert not world.ingress_context.is_open()

            await world.ingress_context.opened()

            assert world.load.waiting_bytes == 0
            assert world.ingress_context.is_open()
            assert world.ingress_context.closed_times == 1
            for task in background:
                task.cancel()

    run_virtual(main)


def test_the_gate_closes_when_too_many_addresses_are_busy():
    async def main():
        world = World(busy_max=3)
        world.serve("f", lambda _: Answer(result(), after_s=1.0))
        for number in range(3):
            assert world.ingress_context.is_open()
            world.send("f", str(number))
        assert not world.ingress_context.is_open()

        await world.passes(1.5)
        assert world.ingress_context.is_open()

    run_virtual(main)


def test_parked_addresses_and_those_of_a_dead_endpoint_are_not_busy():
    async def main():
        world = World(busy_max=3)
        world.endpoint("f").is_up = False
        for number in range(5):
            world.send("f", str(number))
        assert not world.ingress_context.is_open()

        await world.passes(1.0)
        assert world.function("f").is_down
        assert world.ingress_context.is_open()

    run_virtual(main)


def test_the_gate_closes_when_too_much_waits_for_an_egress():
    async def main():
        world = World()
        world.egress.is_away = True
        world.serve("f", lambda _: result(egress=[("out", b"x" * (1 << 20))]))
        world.send("f", "alice")
        await world.passes()
        assert not world.ingress_context.is_open()

        world.egress.is_away = False
        world.egress.publish()
        assert world.ingress_context.is_open()

    run_virtual(main)


def test_of_an_endpoint_that_is_down_one_address_more_is_welcome_when_memory_is_tight():
    """All that wait may fail by themselves: only another can show that the endpoint is well."""

    async def main():
        world = World(waiting_bytes_max=1000)
        world.serve(
            "f", lambda request: Answer(status=500 if request.id.startswith("bad") else 200)
        )
        function = world.function("f")
        for number in range(6):
            world.send("f", f"bad {number}", b"x" * 100)
        await world.passes(1.0)
        assert function.is_down
        assert world.ingress_context.is_tight()
        assert world.ingress_context.holds_back(function, "bad 0")
        assert not world.ingress_context.holds_back(function, "good")

        world.send("f", "good")
        assert world.ingress_context.holds_back(function, "better")
        await world.passes(6.0)
        assert not function.is_down
        assert not world.function("f").backlogs["good"].in_flight

    run_virtual(main)


def test_messages_between_functions_pass_a_closed_gate():
    async def main():
        world = World(waiting_bytes_max=10)
        world.serve("f", lambda _: result(send=[("g", "bob", b"x" * 1000)]))
        world.serve("g", lambda _: result(egress=[("out", b"r")]))
        world.send("f", "alice")
        await world.passes()

        assert world.egress.left == [b"r"]

    run_virtual(main)


def test_an_address_with_too_much_to_do_is_held_back_only_when_memory_is_tight():
    async def main():
        world = World(threshold=3, waiting_bytes_max=1000)
        world.serve("f", lambda _: Answer(result(), after_s=1000.0))
        function = world.function("f")
        world.send("f", "hot")
        await world.passes(0.1)
        world.send("f", "hot", b"1", b"2", b"3")
        assert not world.ingress_context.is_tight()
        assert not world.ingress_context.holds_back(function, "hot")

        world.send("f", "large", b"x" * 600)
        assert world.ingress_context.is_tight()
        assert world.ingress_context.is_open()
        assert world.ingress_context.holds_back(function, "hot")
        assert not world.ingress_context.holds_back(function, "cold")
        assert not world.ingress_context.holds_back(function, "large")

    run_virtual(main)


def test_all_addresses_of_a_dead_endpoint_are_held_back_when_memory_is_tight():
    async def main():
        world = World(waiting_bytes_max=1000)
        world.endpoint("f").is_up = False
        world.send("f", "alice", b"x" * 600)
        await world.passes()

        assert world.ingress_context.holds_back(world.function("f"), "anybody")
        assert not world.ingress_context.holds_back(world.function("g"), "anybody")

    run_virtual(main)


def test_without_a_threshold_no_address_is_held_back():
    async def main():
        world = World(threshold=0, waiting_bytes_max=1000)
        world.serve("f", lambda _: Answer(result(), after_s=1000.0))
        world.send("f", "hot", *[b"x" * 50] * 10)

        assert world.ingress_context.is_tight()
        assert not world.ingress_context.holds_back(world.function("f"), "hot")

    run_virtual(main)


def test_a_long_wait_is_told(caplog: pytest.LogCaptureFixture):
    async def main():
        world = World(waiting_bytes_max=10)
        world.serve("f", lambda _: Answer(result(), after_s=8.0))
        async with asyncio.TaskGroup() as tasks:
            background = start_background(tasks, world)
            world.send("f", "alice", b"x" * 100)
            await world.ingress_context.opened()
            for task in background:
                task.cancel()

    with caplog.at_level(logging.INFO):
        run_virtual(main)

    said = [record.getMessage() for record in caplog.records]
    assert said[0].startswith("ingress is held back: ")
    assert said[0].endswith(" bytes of messages wait in memory (limit 10)")
    assert said[1].startswith("ingress goes on after 8.0 s")


@pytest.mark.parametrize(
    "odd",
    [TypeName("elsewhere", "f"), TypeName("t", "a/b"), TypeName("t/a", "b"), TypeName("t", "a\0")],
)
def test_a_function_type_that_nobody_can_serve_is_not_resolved(odd: TypeName):
    async def main():
        assert World().ingress_context.resolve(odd) is None

    run_virtual(main)


def test_one_slow_function_type_does_not_hold_up_another():
    async def main():
        world = World()
        world.serve("slow", lambda _: Answer(result(), after_s=100.0))

        def fast(request: Request) -> bytes:
            return result(egress=[("out", request.id.encode())])

        world.serve("fast", fast)
        for number in range(200):
            world.send("slow", str(number))
        await world.passes(1.0)
        world.send("fast", "now")
        await world.passes(0.01)

        assert world.egress.left == [b"now"]

    run_virtual(main)


@pytest.mark.parametrize(
    ("leave_at_once", "rests"),
    [
        ([False], True),
        ([False, False], True),
        ([False, True], False),
        # Functions are called for what they do by themselves, and that is not to wait.
        ([], False),
    ],
)
def test_an_ingress_may_rest_where_nothing_leaves_before_its_epoch_ends(
    leave_at_once: list[bool], rests: bool
):
    async def main() -> bool:
        context = beside(World(), leave_at_once)
        context.cutting()
        return context.rest_s() > 0

    assert run_virtual(main) == rests


def test_the_last_look_is_early_enough_for_what_is_called_to_be_done_at_the_cut():
    async def main() -> tuple[float, float]:
        world = World()
        world.serve("slow", lambda _: Answer(result(), after_s=100.0))
        context = beside(world, [False])
        context.cutting()
        idle_s = context.rest_s()
        world.send("slow", "1")
        await world.passes(0.02)
        context.cutting()
        return idle_s, context.rest_s()

    idle_s, busy_s = run_virtual(main)
    assert busy_s < idle_s


def beside(world: World, leave_at_once: list[bool]) -> EngineIngressContext:
    """Return what an ingress sees beside egresses of which some let records leave at once."""
    parts = world.worker.parts
    egresses: Any = [SimpleNamespace(leaves_at_once=one) for one in leave_at_once]
    return EngineIngressContext(
        parts.exchange,
        Idempotency(parts.states, world.clock, key_group_count=KEY_GROUPS, keep_ms=1),
        parts.outcomes,
        parts.load,
        parts.states,
        egresses,
        interval_s=0.02,
    )
