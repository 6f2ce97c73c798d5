"""Delayed messages: when they come, and when they do not."""

import asyncio
from collections.abc import Awaitable, Callable

from statefun_runtime.core.model.address import key_group
from statefun_runtime.core.model.keys import group_prefix
from tests.fakes.virtual_time import run_virtual
from tests.support.wire_builders import Request, result
from tests.unit.engine.engine_world import KEY_GROUPS, World, start_background

Body = Callable[[World], Awaitable[None]]


def with_delays(body: Body) -> None:
    """Run a test while due messages are delivered."""

    async def main() -> None:
        world = World()
        async with asyncio.TaskGroup() as tasks:
            background = start_background(tasks, world)
            await body(world)
            for task in background:
                task.cancel()

    run_virtual(main)


def scripted(world: World, *replies: bytes) -> None:
    """Have `f` answer each request with the next reply, and then with nothing."""
    left = list(replies)
    world.serve("f", lambda _: left.pop(0) if left else result())


def test_a_delayed_message_comes_when_it_is_due_with_its_caller():
    async def body(world: World) -> None:
        scripted(world, result(delay=[(5000, "g", "bob", b"later", "")]))
        world.send("f", "alice")
        await world.passes(4.9)
        assert world.requests("g") == []
        assert len(world.delays) == 1

        await world.passes(0.2)
        (request,) = world.requests("g")
        assert (request.values, request.callers) == ([b"later"], ["f/alice"])
        assert len(world.delays) == 0
        assert list(world.states.scan(b"")) == []

    with_delays(body)


def test_messages_come_in_the_order_in_which_they_are_due():
    async def body(world: World) -> None:
        scripted(
            world,
            result(
                delay=[
                    (3000, "g", "bob", b"3", ""),
                    (1000, "g", "bob", b"1a", ""),
                    (0, "g", "bob", b"0", ""),
                    (1000, "g", "bob", b"1b", ""),
                ]
            ),
        )
        world.send("f", "alice")
        await world.passes(5.0)

        values = [value for request in world.requests("g") for value in request.values]
        assert values == [b"0", b"1a", b"1b", b"3"]

    with_delays(body)


def test_a_sooner_message_is_not_late_because_of_a_later_one():
    async def body(world: World) -> None:
        scripted(
            world,
            result(delay=[(50_000, "g", "bob", b"late", "")]),
            result(delay=[(100, "g", "bob", b"soon", "")]),
        )
        world.send("f", "alice")
        await world.passes(1.0)
        world.send("f", "alice")
        await world.passes(0.2)

        assert [request.values for request in world.requests("g")] == [[b"soon"]]

    with_delays(body)


def test_a_cancelled_message_never_comes():
    async def body(world: World) -> None:
        scripted(
            world, result(delay=[(5000, "g", "bob", b"later", "token")]), result(cancel=["token"])
        )
        world.send("f", "alice")
        await world.passes(1.0)
        world.send("f", "alice")
        await world.passes(60.0)

        assert world.requests("g") == []
        assert list(world.states.scan(b"")) == []

    with_delays(body)


def test_a_message_may_be_scheduled_and_cancelled_in_one_reply():
    async def body(world: World) -> None:
        scripted(world, result(delay=[(50, "g", "bob", b"later", "token")], cancel=["token"]))
        world.send("f", "alice")
        await world.passes(5.0)

        assert world.requests("g") == []

    with_delays(body)


def test_only_the_sender_s_id_can_cancel():
    async def body(world: World) -> None:
        def function(request: Request) -> bytes:
            if request.id == "alice":
                return result(delay=[(5000, "g", "bob", b"later", "token")])
            return result(cancel=["token"])

        world.serve("f", function)
        world.send("f", "alice")
        await world.passes(1.0)
        world.send("f", "eve")
        await world.passes(60.0)

        assert len(world.requests("g")) == 1

    with_delays(body)


def test_all_types_of_an_id_share_its_tokens():
    async def body(world: World) -> None:
        scripted(world, result(delay=[(5000, "g", "bob", b"later", "token")]))
        world.serve("h", lambda _: result(cancel=["token"]))
        world.send("f", "alice")
        await world.passes(1.0)
        world.send("h", "alice")
        await world.passes(60.0)

        assert world.requests("g") == []

    with_delays(body)


def test_a_token_that_waits_cannot_be_used_again():
    async def body(world: World) -> None:
        again = result(delay=[(5000, "g", "bob", b"later", "token")])
        world.serve("f", lambda _: again)
        world.send("f", "alice")
        await world.passes(1.0)
        world.send("f", "alice")
        await world.passes(1.0)

        assert set(world.failures("f")) == {"bad-token"}
        # Once the first has fired the token is free, and the retry goes through.
        await world.passes(10.0)
        assert len(world.requests("g")) >= 1
        assert world.function("f").waiting == 0

    with_delays(body)


def test_delayed_messages_survive_a_restart_and_overdue_ones_come_at_once():
    async def main() -> None:
        world = World()
        scripted(
            world,
            result(delay=[(1000, "g", "bob", b"soon", "a"), (9000, "g", "bob", b"late", "b")]),
        )
        world.send("f", "alice")
        await world.passes(0.5)
        await world.stopped()
        await world.passes(5.0)

        again = World(store=world.store)
        again.take_over(world)
        group = group_prefix(key_group("alice", KEY_GROUPS))
        assert again.delays.pending(group, "alice", "a") is not None
        assert len(again.delays) == 2
        async with asyncio.TaskGroup() as tasks:
            background = start_background(tasks, again)
            await again.passes(0.1)
            assert [request.values for request in again.requests("g")] == [[b"soon"]]
            key = again.delays.pending(group, "alice", "b")
            assert key is not None
            again.delays.cancel(again.partition("alice"), key, "alice", "b")
            await again.passes(60.0)
            assert len(again.requests("g")) == 1
            for task in background:
                task.cancel()

    run_virtual(main)


def test_very_many_due_messages_do_not_hold_up_the_loop():
    async def body(world: World) -> None:
        many = [(1000, "g", str(number), b"v", "") for number in range(3000)]
        scripted(world, result(delay=many))
        world.send("f", "alice")
        await world.passes(3.0)

        assert sorted(request.id for request in world.requests("g")) == sorted(
            map(str, range(3000))
        )

    with_delays(body)


def test_a_delay_beyond_all_time_is_kept():
    async def body(world: World) -> None:
        scripted(world, result(delay=[((1 << 63) - 1, "g", "bob", b"never", "")]))
        world.send("f", "alice")
        await world.passes(1000.0)

        assert len(world.delays) == 1
        assert world.requests("g") == []

    with_delays(body)
