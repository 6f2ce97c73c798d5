"""A live store that fails: what is in memory goes on, what is not waits for another store, and nothing is lost."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from statefun_runtime.core.checkpoints.overlay import Overlay, Row
from statefun_runtime.core.partition.backlog import Phase
from statefun_runtime.core.partition.spill import SpillLimits
from statefun_runtime.engine.state.states import States, Swap
from statefun_runtime.errors import CorruptionError, UnavailableError
from tests.fakes.endpoint import Answer
from tests.fakes.state_store import DictStore
from tests.fakes.virtual_time import run_virtual
from tests.support.wire_builders import Request, incomplete, result
from tests.unit.engine.engine_world import World

Body = Callable[[World], Awaitable[None]]


def with_world(body: Body, **options: object) -> None:
    """Run a test beside the task that carries layers to the store and replaces it, and the timers."""

    async def main() -> None:
        world = World(**options)  # type: ignore[arg-type]
        await world.enter()
        world.serve("f", counting)
        async with asyncio.TaskGroup() as tasks:
            background = [
                tasks.create_task(world.states.run()),
                tasks.create_task(world.delays.run(world.exchange)),
            ]
            await body(world)
            for task in background:
                task.cancel()

    run_virtual(main)


def counting(request: Request) -> bytes:
    """Add to the state `seen` what came."""
    if "seen" not in request.state:
        return incomplete("seen")
    return result(state={"seen": (request.state["seen"] or b"") + b"".join(request.values)})


async def stored(world: World) -> None:
    """Have all that is so now in a complete checkpoint and in the store."""
    assert await world.checkpointer.take()
    await world.passes()
    assert world.states.stored_epoch == world.checkpointer.last_complete.epoch  # type: ignore[union-attr]


def forget(world: World, function_id: str) -> None:
    """Drop an idle address from memory."""
    assert world.backlog("f", function_id).phase == Phase.IDLE
    del world.function("f").backlogs[function_id]


def seen(world: World, function_id: str) -> bytes | None:
    """What the function was shown last for an address."""
    return [r for r in world.requests("f") if r.id == function_id][-1].state["seen"]


async def with_two_addresses(world: World) -> None:
    """Have a warm and a cold address, and a store of which nothing can be had any more."""
    for function_id in ("warm", "cold"):
        world.send("f", function_id, b"1")
    await world.passes()
    await stored(world)
    forget(world, "cold")
    world.store.is_broken = True


def test_cold_addresses_wait_while_nothing_can_be_read_and_warm_ones_go_on():
    async def body(world: World) -> None:
        await with_two_addresses(world)
        asked = len(world.requests("f"))
        for value in (b"2", b"3"):
            world.send("f", "cold", value)
            world.send("f", "warm", value)
            await world.passes(20)

        assert [r.id for r in world.requests("f")[asked:]] == ["warm", "warm"]
        assert world.backlog("f", "cold").phase == Phase.READY
        assert world.failures("f") == {}

        world.store = DictStore()
        await world.passes(5)
        assert world.requests("f")[-1].values == [b"2", b"3"]
        assert seen(world, "cold") == b"1"

    with_world(body)


def test_another_store_is_opened_before_the_one_that_fails_is_let_go_of():
    async def body(world: World) -> None:
        await with_two_addresses(world)
        failed = world.store
        failed.is_broken = False
        world.send("f", "warm", b"2")
        await world.passes()
        # It refuses to write, as a store with a full disk does, and can be read.
        failed.write = refuse  # type: ignore[method-assign]
        world.store = Unopened()
        assert await world.checkpointer.take()
        await world.passes(20)
        assert not failed.is_closed
        world.send("f", "cold", b"2")
        await world.passes()
        assert seen(world, "cold") == b"1"

        world.store = DictStore()
        await world.passes(5)
        assert failed.is_closed
        assert world.states.store is world.store
        forget(world, "cold")
        world.send("f", "cold", b"3")
        await world.passes()
        assert seen(world, "cold") == b"12"

    with_world(body)


def test_a_checkpoint_that_is_complete_while_another_store_is_made_loses_nothing():
    async def body(world: World) -> None:
        await with_two_addresses(world)
        world.send("f", "warm", b"2")
        await world.passes()
        world.store = DictStore()
        world.send("f", "cold", b"2")
        # Another store is begun a second after the read that failed; the checkpoint is complete while it is opened.
        await asyncio.sleep(0.975)
        assert await world.checkpointer.take()
        await world.passes(5)
        forget(world, "warm")
        world.send("f", "warm", b"3")
        await world.passes()

        assert seen(world, "warm") == b"12"

    with_world(body)


def test_a_reply_that_needs_what_cannot_be_read_waits_as_well():
    async def body(world: World) -> None:
        await with_two_addresses(world)
        world.serve("f", lambda request: Answer(counting(request), after_s=1.0))
        world.send("f", "warm", b"2")
        await world.passes(0.1)
        # A state that was learnt meanwhile has what is in memory read anew.
        world.backlog("f", "warm").values = None
        await world.passes(20)
        assert world.backlog("f", "warm").phase == Phase.IN_FLIGHT

        world.store = DictStore()
        await world.passes(10)
        assert world.backlog("f", "warm").phase == Phase.IDLE
        assert world.failures("f") == {}
        world.send("f", "warm", b"3")
        await world.passes(5)
        assert seen(world, "warm") == b"12"

    with_world(body)


def test_a_delayed_message_waits_for_its_row():
    async def body(world: World) -> None:
        world.serve("g", lambda _: result(delay=[(5000, "f", "late", b"later", "")]))
        world.send("g", "alice")
        await world.passes()
        await stored(world)
        world.store.is_broken = True
        await world.passes(30)
        assert world.requests("f") == []
        assert len(world.delays) == 1

        world.store = DictStore()
        await world.passes(5)
        assert world.requests("f")[-1].values == [b"later"]
        assert len(world.delays) == 0

    with_world(body)


def test_a_spilled_backlog_waits_for_its_chunks_and_keeps_its_order():
    async def body(world: World) -> None:
        world.send("f", "warm", b"0")
        await world.passes()
        world.serve("f", lambda request: Answer(counting(request), after_s=3.0))
        for number in range(1, 9):
            world.send("f", "warm", b"%d" % number)
        await world.passes(0.5)
        await stored(world)
        world.store.is_broken = True
        await world.passes(30)
        assert world.backlog("f", "warm").waiting_count > 0

        world.store = DictStore()
        await world.passes(60)
        assert world.backlog("f", "warm").phase == Phase.IDLE
        world.send("f", "warm", b"9")
        await world.passes(5)
        assert seen(world, "warm") == b"012345678"

    with_world(body, spilling=SpillLimits(head_bytes_max=40, chunk_bytes=20), batch_bytes_max=40)


def test_what_cannot_be_looked_up_is_not_called_new():
    async def body(world: World) -> None:
        await with_two_addresses(world)
        with pytest.raises(UnavailableError):
            world.ingress_context.look(world.function("f"), "cold", "key", b"digest")

    with_world(body)


def test_a_damaged_checkpoint_is_no_store_to_wait_for():
    async def body(world: World) -> None:
        await with_two_addresses(world)
        world.send("f", "cold", b"2")
        last = world.checkpointer.last_complete
        assert last is not None
        world.objects.damage(last.parts[0].deltas[0].object.id)
        await world.passes(5)

    with pytest.raises(ExceptionGroup) as ended:
        with_world(body)
    assert isinstance(ended.value.exceptions[0], CorruptionError)


class Unopened(DictStore):
    """A store that cannot be made whole: its disk is full."""

    def write(self, rows: object) -> None:
        refuse(rows)


def refuse(rows: object) -> None:
    raise UnavailableError("no space left on device", code="SF3016")


class Replacing:
    """Hooks that put an empty store, of the checkpoint of epoch 1, in the place of one that fails."""

    def __init__(self) -> None:
        self.states: States
        self.told: list[int] = []

    def cutting(self, epoch: int) -> list[Row]:
        return []

    def stored(self, epoch: int) -> None:
        self.told.append(self.states.stored_epoch)

    def full(self) -> None:
        raise AssertionError("nothing is full")

    async def rebuild(self, swap: Swap) -> None:
        self.states.store_lost(1)
        swap(DictStore(), 1)

    def replaced(self) -> None:
        self.told.append(self.states.stored_epoch)


def test_what_is_wholly_stored_is_that_of_the_store_in_use():
    async def main() -> None:
        store, hooks = DictStore(), Replacing()
        states = hooks.states = States(
            store, Overlay(1 << 20), cache_max=10, slice_rows=10, hooks=hooks
        )
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(states.run())
            for epoch in (1, 2):
                states.write(b"row %d" % epoch, b"x")
                await states.seal(*states.freeze(epoch))
                await asyncio.sleep(1)
            store.is_broken = True
            with pytest.raises(UnavailableError):
                states.read(b"another row")
            await asyncio.sleep(10)
            running.cancel()

        # Both layers were carried, the new store had the first, and was given the second.
        assert hooks.told == [1, 2, 1, 2]

    run_virtual(main)
