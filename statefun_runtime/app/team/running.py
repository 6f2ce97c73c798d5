"""Runs an application with several workers on this machine."""

import asyncio
import gc
from functools import partial

from statefun_runtime.adapters.storage.state_folder import StateFolder
from statefun_runtime.adapters.team.nursery import Nursery
from statefun_runtime.adapters.team.workplace import LocalWorkplace
from statefun_runtime.app.loops import crash_on_bugs, loop_factory, stop_on_signals
from statefun_runtime.app.team.leader import Leader
from statefun_runtime.app.team.member import Loaded, run_member
from statefun_runtime.engine.stop import Stop


def run_team(loaded: Loaded) -> None:
    """Run until told to stop; raise StatefunError if it cannot run, or not go on."""
    gc.collect()
    gc.freeze()
    # Before the folder is locked: what a nursery has open, its workers have, too.
    nursery = Nursery(partial(run_member, loaded))
    try:
        folder = StateFolder(loaded.settings.state_dir)
        try:
            with asyncio.Runner(loop_factory=loop_factory()) as runner:
                runner.run(_lead(loaded, folder, nursery))
        finally:
            folder.close()
    finally:
        nursery.close()


async def _lead(loaded: Loaded, folder: StateFolder, nursery: Nursery) -> None:
    stop = Stop()
    stop_on_signals(stop)
    async with asyncio.TaskGroup() as tasks:
        crash_on_bugs(tasks)
        workplace = LocalWorkplace(nursery)
        await Leader(loaded.settings, loaded.module, folder, workplace, stop).run(tasks)
