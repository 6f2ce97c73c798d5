"""A process of ours that has workers forked: its folder, its signals, and the nursery that it has them from."""

import asyncio
import gc
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

from statefun_runtime.adapters.storage.state_folder import StateFolder
from statefun_runtime.adapters.team.nursery import Nursery
from statefun_runtime.adapters.team.workplace import LocalWorkplace
from statefun_runtime.app.loops import crash_on_bugs, loop_factory, stop_on_signals
from statefun_runtime.app.team.member import Loaded, run_member
from statefun_runtime.engine.stop import Stop


@dataclass(frozen=True, slots=True)
class Machine:
    """What such a process has on its machine; `tasks` is the parent of all its tasks."""

    folder: StateFolder
    workplace: LocalWorkplace
    stop: Stop
    tasks: asyncio.TaskGroup


Work = Callable[[Machine], Awaitable[None]]


def run_forking(loaded: Loaded, work: Work) -> None:
    """Run until the work is done; raise StatefunError if it cannot run, or not go on."""
    gc.collect()
    gc.freeze()
    # Before the folder is locked: what a nursery has open, its workers have, too.
    nursery = Nursery(partial(run_member, loaded))
    try:
        folder = StateFolder(loaded.settings.state_dir)
        try:
            with asyncio.Runner(loop_factory=loop_factory()) as runner:
                runner.run(_run(folder, nursery, work))
        finally:
            folder.close()
    finally:
        nursery.close()


async def _run(folder: StateFolder, nursery: Nursery, work: Work) -> None:
    stop = Stop()
    stop_on_signals(stop)
    async with asyncio.TaskGroup() as tasks:
        crash_on_bugs(tasks)
        workplace = LocalWorkplace(nursery, folder.clear_live_of)
        try:
            await work(Machine(folder, workplace, stop, tasks))
        finally:
            workplace.close()
    if stop.failure is not None:
        raise stop.failure
