"""State between memory and the store: expiration, eviction, frozen layers."""

import asyncio
import gc

import pytest

from statefun_runtime.core.checkpoints.overlay import Layer
from statefun_runtime.core.partition.backlog import Phase
from statefun_runtime.errors import CorruptionError
from tests.fakes.virtual_time import run_virtual
from tests.support.wire_builders import Request, incomplete, result
from tests.unit.engine.engine_world import World, start_background

MIB = 1024 * 1024


def remembering(mode: str = "none", after_ms: int = 0):
    """A function that writes `last` when it is told to, and asks for it with an expiration."""

    def handler(request: Request) -> bytes:
        if "last" not in request.state:
            return incomplete("last", mode=mode, after_ms=after_ms)
        written = [value for value in request.values if value != b"look"]
        return result(state={"last": written[-1]} if written else None)

    return handler


async def look(world: World, function_id: str = "alice") -> bytes | None:
    world.send("f", function_id, b"look")
    await asyncio.sleep(0.1)
    return world.requests("f")[-1].state["last"]


def test_a_value_expires_after_it_was_written():
    async def main():
        world = World()
        world.serve("f", remembering("after-write", 10_000))
        world.send("f", "alice", b"v")
        await world.passes(6.0)
        assert await look(world) == b"v"

        # Reading it was no new start.
        await world.passes(5.0)
        assert await look(world) is None

    run_virtual(main)


def test_a_value_is_written_anew_with_each_write():
    async def main():
        world = World()
        world.serve("f", remembering("after-write", 10_000))
        for value in (b"1", b"2", b"3"):
            world.send("f", "alice", value)
            await world.passes(6.0)

        assert await look(world) == b"3"

    run_virtual(main)


def test_every_invocation_keeps_a_value_that_expires_after_invoke():
    async def main():
        world = World()
        world.serve("f", remembering("after-invoke", 10_000))
        world.send("f", "alice", b"v")
        for _ in range(5):
            await world.passes(6.0)
            assert await look(world) == b"v"

        await world.passes(10.1)
        assert await look(world) is None

    run_virtual(main)


@pytest.mark.parametrize("mode", ["after-write", "after-invoke"])
def test_time_goes_on_while_the_worker_is_down(mode: str):
    async def main():
        world = World()
        world.serve("f", remembering(mode, 10_000))
        for function_id in ("alice", "bob"):
            world.send("f", function_id, b"v")
        await world.passes(1.0)
        await world.stopped()
        before = world.clock.began_s

        world = World(store=world.store)
        world.clock.began_s = before
        # The clock of the new world begins anew; only its distance to the stamps matters.
        world.serve("f", remembering(mode, 10_000))
        assert await look(world, "alice") == b"v"
        await world.passes(12.0)
        assert await look(world, "bob") is None

    run_virtual(main)


def test_the_last_invocation_survives_eviction_and_restart():
    async def main():
        world = World()
        world.serve("f", remembering("after-invoke", 10_000))
        world.send("f", "alice", b"v")
        await world.passes(8.0)
        assert await look(world) == b"v"
        assert world.backlog("f", "alice").has_unsaved_stamp

        await world.stopped()
        row = next(iter(world.store.rows.values()))
        invoked_ms = int.from_bytes(row[1:9], "big")
        assert world.clock.now_ms() - invoked_ms <= 200

    run_virtual(main)


def test_states_without_expiration_live_for_ever():
    async def main():
        world = World()
        world.serve("f", remembering())
        world.send("f", "alice", b"v")
        await world.passes(10.0**7)

        assert await look(world) == b"v"

    run_virtual(main)


def test_a_message_reads_the_store_once_and_never_writes_it():
    async def main():
        world = World()
        world.serve("f", remembering())
        await look(world, "first")
        gets = world.store.gets
        for value in (b"1", b"2", b"3"):
            world.send("f", "alice", value)
            await world.passes()

        assert world.store.gets - gets == 1
        assert world.store.writes == []

    run_virtual(main)


def test_idle_addresses_are_dropped_from_memory_and_their_state_is_kept():
    async def main():
        world = World(cache_max=1000)
        world.serve("f", remembering())
        for number in range(6000):
            world.send("f", str(number), b"%d" % number)
            if number % 100 == 99:
                await world.passes(0.1)
                await world.cut()

        assert world.states.cache.count == len(world.function("f").backlogs)
        assert world.states.cache.count < 4000
        for number in (0, 1, 3000, 5999):
            assert await look(world, str(number)) == b"%d" % number

    run_virtual(main)


def test_an_address_that_is_called_again_stays_in_memory_while_thousands_come_once():
    async def main():
        world = World(cache_max=1000)
        world.serve("f", remembering())
        await look(world, "often")
        often = world.backlog("f", "often")
        for number in range(8000):
            world.send("f", str(number))
            if number % 100 == 99:
                world.send("f", "often")
                await world.passes(0.1)
                await world.cut()
                assert world.backlog("f", "often") is often
        assert "0" not in world.function("f").backlogs

    run_virtual(main)


def test_an_address_that_is_not_called_for_a_minute_is_in_memory_no_more_and_its_state_is_kept():
    async def main():
        world = World()
        world.serve("f", remembering())
        async with asyncio.TaskGroup() as tasks:
            sweeping = tasks.create_task(world.states.cache.run(world.exchange.functions))
            world.send("f", "once", b"v")
            for _ in range(10):
                world.send("f", "often", b"w")
                await world.passes(10.0)
                await world.cut()
            assert list(world.function("f").backlogs) == ["often"]
            assert world.states.cache.count == 1
            assert await look(world, "once") == b"v"
            sweeping.cancel()

    run_virtual(main)


def test_a_busy_address_is_never_dropped():
    async def main():
        world = World(cache_max=1)
        world.endpoint("f").is_up = False
        for number in range(5000):
            world.send("f", str(number))
        await world.passes()

        assert len(world.function("f").backlogs) == 5000
        assert all(b.phase == Phase.READY for b in world.function("f").backlogs.values())

    run_virtual(main)


def test_an_evicted_address_keeps_its_last_invocation():
    async def main():
        world = World(cache_max=10)
        world.serve("f", remembering("after-invoke", 10_000))
        world.send("f", "alice", b"v")
        await world.passes(8.0)
        await look(world)
        for number in range(5000):
            world.send("f", str(number))
            if number % 500 == 499:
                await world.passes(0.1)
                await world.cut()
        assert "alice" not in world.function("f").backlogs
        await world.passes(5.0)

        assert await look(world) == b"v"

    run_virtual(main)


def test_rows_that_are_stored_and_saved_are_in_memory_no_more():
    async def main():
        world = World()
        world.serve("f", remembering())
        async with asyncio.TaskGroup() as tasks:
            carrying = tasks.create_task(world.states.run())
            world.send("f", "alice", b"v")
            await world.passes()
            assert _layers_with_rows()
            await world.cut()
            await world.passes()
            assert not _layers_with_rows()
            carrying.cancel()

    run_virtual(main)


def _layers_with_rows() -> list[Layer]:
    gc.collect()
    return [one for one in gc.get_objects() if isinstance(one, Layer) and one.rows]


def test_full_layers_are_carried_to_the_store_while_work_goes_on():
    async def main():
        world = World(overlay_bytes_max=20_000)
        world.serve("f", remembering())
        async with asyncio.TaskGroup() as tasks:
            background = start_background(tasks, world)
            for number in range(1000):
                world.send("f", str(number % 300), b"%d" % number)
                await world.passes(0.01)
            assert len(world.store.rows) > 100
            for function_id in range(0, 300, 7):
                expected = max(n for n in range(1000) if n % 300 == function_id)
                assert await look(world, str(function_id)) == b"%d" % expected
            for task in background:
                task.cancel()

    run_virtual(main)


def test_everything_is_in_the_store_when_the_worker_has_settled():
    async def main():
        world = World()
        world.serve("f", remembering())
        for number in range(1500):
            world.send("f", str(number), b"%d" % number)
        await world.passes()
        await world.stopped()

        again = World(store=world.store)
        again.serve("f", remembering())
        assert len(world.store.rows) == 1500
        assert max(len(rows) for rows in world.store.writes) <= 2000
        assert await look(again, "42") == b"42"

    run_virtual(main)


def test_a_scan_sees_layers_and_store_as_one():
    async def main():
        world = World()
        world.store.rows = {b"a1": b"store", b"a2": b"store", b"b": b"store"}
        world.states.write(b"a2", None)
        world.states.write(b"a0", b"new")
        world.states.write(b"a1", b"newer")

        assert list(world.states.scan(b"a")) == [(b"a0", b"new"), (b"a1", b"newer")]

    run_virtual(main)


def test_a_damaged_row_is_not_taken_for_state():
    async def main():
        world = World()
        world.serve("f", remembering())
        await look(world, "alice")
        backlog = world.backlog("f", "alice")
        world.states.write(backlog.key, b"\x07damaged")

        with pytest.raises(CorruptionError) as found:
            world.states.load(backlog)

        assert str(found.value) == (
            "SF5001: the stored state of t/f/alice cannot be read: row begins with an unknown byte"
        )

    run_virtual(main)


# ── large values ──


def growing(request: Request) -> bytes:
    """Keep a mebibyte that begins with how often it was called."""
    if "large" not in request.state:
        return incomplete("large")
    count = int((request.state["large"] or b"0")[:3])
    return result(state={"large": b"%03d" % (count + 1) + b"v" * MIB})


def in_memory(world: World) -> int:
    backlogs = world.dispatcher("f").function.backlogs.values()
    held = [backlog.values.fields for backlog in backlogs if backlog.values is not None]
    return sum(len(value) for fields in held for value in fields.values())


def test_large_values_in_memory_have_a_limit_and_none_is_lost():
    async def main():
        world = World()
        world.serve("f", growing)
        for turn in range(2):
            for number in range(100):
                world.send("f", f"a{number}")
                await world.passes(0.1)
            assert 32 * MIB < in_memory(world) <= 66 * MIB, turn

        for number in range(100):
            world.send("f", f"a{number}")
        await world.passes(1.0)

        assert all(request.state["large"][:3] == b"002" for request in world.requests("f")[-100:])

    run_virtual(main)
