"""Large values: those that are not used go from memory, by their bytes, and are read again."""

from tests.fakes.virtual_time import run_virtual
from tests.support.wire_builders import Request, incomplete, result
from tests.unit.engine.engine_world import World

MIB = 1024 * 1024


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
