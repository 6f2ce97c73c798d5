"""What a running worker tells of itself, and what it does when it is asked to try again."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from statefun_runtime.core.model.address import Address, TypeName
from statefun_runtime.core.module.specs import AsyncTransport, OkHttpTransport, Transport
from statefun_runtime.core.partition.backlog import Phase
from statefun_runtime.engine.dispatch.parked import ParkedAddresses, Selection
from statefun_runtime.engine.metrics import engine_metrics
from statefun_runtime.engine.status import Status
from statefun_runtime.errors import ConfigError
from tests.fakes.endpoint import Answer
from tests.fakes.virtual_time import run_virtual
from tests.support.wire_builders import Request, result
from tests.unit.engine.engine_world import World

ALICE = Address(TypeName("t", "f"), "alice")
OKHTTP = OkHttpTransport(call_s=1.0, read_s=0.3, write_s=0.3)
Body = Callable[[World, Status], Coroutine[Any, Any, None]]


def play(body: Body, transport: Transport | None = None) -> None:
    async def main() -> None:
        world = World(transport=transport or AsyncTransport(call_s=1000.0))
        await body(world, Status(world.worker.parts, world.worker.readiness))

    run_virtual(main)


UNREADABLE = (
    "the reply is not a FromFunction message (1 bytes: Error parsing message with type "
    "'statefun.runtime.wire.FromFunction': Wire format was corrupt)"
)


def allergic(request: Request) -> Answer:
    """Fail whoever is called alice."""
    if request.id == "alice":
        return Answer(b"\xff")
    return Answer(result(egress=[("out", value) for value in request.values]))


def parked_metric(world: World) -> float:
    (metric,) = [
        metric
        for metric in engine_metrics(world.worker.parts)
        if metric.name == "statefun_functions_parkedAddresses"
    ]
    assert isinstance(metric.value, int)
    return metric.value


def test_an_address_that_fails_and_is_not_parked_is_shown_with_what_happens_next():
    async def body(world: World, status: Status) -> None:
        world.serve("f", allergic)
        world.send("f", "alice", b"1", b"2")
        world.send("f", "bob")
        await world.passes(10.0)

        shown = (await status.show(limit=10))["failing"]

        (address,) = shown["addresses"]
        assert shown["total"] == 1
        assert address.pop("failing_s") == pytest.approx(10, abs=0.1)
        assert 0 < address.pop("next_try_s") < 20
        assert address == {
            "function": "t/f",
            "id": "alice",
            "endpoint": "http://functions/f",
            "attempts": 12,
            "doing": "is tried again after a pause",
            "waiting": 2,
            "error": UNREADABLE,
        }

    play(body)


def test_of_many_addresses_the_oldest_are_shown():
    async def body(world: World, status: Status) -> None:
        world.serve("f", lambda request: Answer(b"\xff"))
        for number in range(10):
            world.send("f", f"id{number}")
            await world.passes(0.5)

        shown = (await status.show(limit=3))["failing"]

        assert shown["total"] == 10
        assert [one["id"] for one in shown["addresses"]] == ["id0", "id1", "id2"]

    play(body)


def test_an_endpoint_that_is_down_is_shown_with_since_when_why_and_the_next_probe():
    async def body(world: World, status: Status) -> None:
        world.endpoint("f").is_up = False
        world.send("f", "alice")
        await world.passes(30.0)

        (shown,) = (await status.show(limit=10))["functions"]

        assert shown["state"] == "open"
        assert shown["error"] == "cannot connect: refused"
        assert shown["down_s"] == pytest.approx(30, abs=0.1)
        assert 0 < shown["next_probe_s"] <= 5
        assert (shown["waiting"], shown["busy"], shown["parked"]) == (1, 1, 0)
        assert (await status.show(limit=10))["failing"]["total"] == 0

    play(body)


def test_an_endpoint_is_asked_at_once_when_its_operator_says_so():
    async def body(world: World, status: Status) -> None:
        world.endpoint("f").is_up = False
        world.send("f", "alice")
        await world.passes(31.0)
        world.endpoint("f").is_up = True
        world.serve("f", allergic)
        world.send("f", "bob")

        assert await status.retry_endpoint("http://functions/f") == {"addresses": 0, "probes": 1}
        await world.passes(0.1)

        assert world.egress.left == [b"x"]
        (shown,) = (await status.show(limit=10))["functions"]
        assert (shown["state"], shown["down_s"]) == ("closed", 0.0)

    play(body)


@pytest.mark.parametrize("name", ["t/f", "http://functions/f", "http://functions/{function.name}"])
def test_an_endpoint_goes_by_its_url_and_by_its_function_types(name: str):
    async def body(world: World, status: Status) -> None:
        world.serve("f", allergic)
        world.send("f", "alice")
        await world.passes(10.0)

        assert await status.retry_endpoint(name) == {"addresses": 1, "probes": 0}

    play(body)


def test_an_address_that_makes_a_pause_is_tried_at_once():
    async def body(world: World, status: Status) -> None:
        world.serve("f", allergic)
        world.send("f", "alice")
        await world.passes(10.0)
        world.serve("f", lambda request: Answer(result(egress=[("out", b"well")])))

        assert await status.retry_address(ALICE) == {"addresses": 1, "probes": 0}
        await world.passes(0.1)

        assert world.egress.left == [b"well"]

    play(body)


def test_an_address_that_is_parked_is_tried_at_once_too():
    async def body(world: World, status: Status) -> None:
        world.serve("f", allergic)
        world.send("f", "alice")
        await world.passes(20.0)
        world.serve("f", lambda request: Answer(result(egress=[("out", b"well")])))

        assert await status.retry_address(ALICE) == {"addresses": 1, "probes": 0}
        await world.passes(0.1)

        assert world.egress.left == [b"well"]

    play(body, OKHTTP)


def test_what_is_being_tried_is_left_to_it():
    async def body(world: World, status: Status) -> None:
        world.serve("f", lambda request: Answer(status=404, after_s=0.5))
        world.send("f", "alice")
        await world.passes(0.7)
        assert world.backlog("f", "alice").phase == Phase.IN_FLIGHT

        assert await status.retry_address(ALICE) == {"addresses": 0, "probes": 0}

    play(body)


def test_what_does_not_fail_cannot_be_tried_again():
    async def body(world: World, status: Status) -> None:
        world.serve("f", allergic)
        world.send("f", "bob")
        await world.passes()
        for attempt in (
            status.retry_address(Address(TypeName("t", "f"), "bob")),
            status.retry_address(Address(TypeName("t", "f"), "nobody")),
            status.retry_address(Address(TypeName("nowhere", "f"), "bob")),
            status.retry_endpoint("http://functions/g"),
            status.retry_endpoint("nonsense"),
        ):
            with pytest.raises(ConfigError) as refused:
                await attempt
            assert refused.value.code == "SF1058"

    play(body)


def test_the_list_of_parked_addresses_and_its_metric_agree_at_any_moment():
    """Also while a parked address is being tried, and when it goes on."""

    async def body(world: World, status: Status) -> None:
        parked = ParkedAddresses(world.exchange, world.checkpointer, world.clock)
        world.serve("f", allergic)
        world.send("f", "alice")
        seen = set()
        for step in range(400):
            if step == 100:
                world.serve("f", lambda request: Answer(status=404, after_s=0.2))
            if step == 300:
                world.serve("f", lambda request: Answer(result()))
            await world.passes(0.1)
            phase = Phase(world.backlog("f", "alice").phase)
            total = parked.show(Selection(), limit=10)["total"]
            (shown,) = (await status.show(limit=10))["functions"]
            assert total == parked_metric(world) == shown["parked"]
            seen.add((phase, total))

        assert {(Phase.PARKED, 1), (Phase.IN_FLIGHT, 1), (Phase.IDLE, 0)} <= seen

    play(body, OKHTTP)


def test_an_address_is_found_as_it_was_printed():
    async def body(world: World, status: Status) -> None:
        parked = ParkedAddresses(world.exchange, world.checkpointer, world.clock)
        world.serve("f", lambda request: Answer(b"\xff"))
        odd = "a\nb" + "c" * 1000
        world.send("f", odd)
        await world.passes(20.0)

        printed = str(Address(TypeName("t", "f"), odd)).removeprefix("t/f/")
        shown = parked.show(Selection(Address(TypeName("t", "f"), printed)), limit=10)

        assert [one["id"] for one in shown["parked"]] == [odd]
        assert (await status.retry_address(Address(TypeName("t", "f"), printed)))["addresses"] == 1

    play(body, OKHTTP)


def test_others_work_while_many_addresses_are_looked_at():
    async def body(world: World, status: Status) -> None:
        for number in range(20_000):
            world.send("f", f"id{number}")
        turns = 0

        async def count() -> None:
            nonlocal turns
            while True:
                await asyncio.sleep(0)
                turns += 1

        async with asyncio.TaskGroup() as tasks:
            counting = tasks.create_task(count())
            await status.show(limit=1)
            counting.cancel()
        assert turns >= 3

    play(body)
