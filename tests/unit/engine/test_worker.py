"""The life of a worker, on fakes."""

import asyncio

from tests.fakes.checkpoint_store import MemoryLog
from tests.fakes.virtual_time import run_virtual
from tests.support.wire_builders import result
from tests.unit.engine.engine_world import World


def test_no_request_leaves_before_this_life_is_in_the_commit_log():
    async def main() -> None:
        log = MemoryLog()
        world = World(commit_log=log, is_started=False)
        world.serve("f", lambda request: result())
        # As what the last life left: there before this one runs.
        world.send("f", "a")
        log.takes_s = 5.0
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(world.worker.run(tasks, lambda: None))
            await asyncio.sleep(4.0)
            assert not log.entries
            assert not world.requests("f")

            await asyncio.sleep(2.0)
            assert log.entries
            assert len(world.requests("f")) == 1
            world.stop.ask()
            await running

    run_virtual(main)
