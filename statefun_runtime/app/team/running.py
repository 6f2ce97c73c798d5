"""`--workers N`: one process starts N workers on this machine, and leads them."""

import asyncio
import gc
from functools import partial

from statefun_runtime.adapters.admin.admin_socket import AdminSocket, admin_socket
from statefun_runtime.adapters.storage.state_folder import StateFolder
from statefun_runtime.adapters.team.nursery import Nursery
from statefun_runtime.adapters.team.workplace import LocalWorkplace
from statefun_runtime.app.banner import announce_team
from statefun_runtime.app.build import engine_settings
from statefun_runtime.app.loops import crash_on_bugs, loop_factory, stop_on_signals
from statefun_runtime.app.start.beginning import begin_application, tell_where_it_begins
from statefun_runtime.app.team.asking import TeamMetricsPort, team_commands
from statefun_runtime.app.team.leader import Leader, require_todays_form
from statefun_runtime.app.team.member import Loaded, run_member
from statefun_runtime.engine.beginning import Beginning, Ports
from statefun_runtime.engine.cluster.planning import planned
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
                runner.run(_run(loaded, folder, nursery))
        finally:
            folder.close()
    finally:
        nursery.close()


async def _run(loaded: Loaded, folder: StateFolder, nursery: Nursery) -> None:
    stop = Stop()
    stop_on_signals(stop)
    async with asyncio.TaskGroup() as tasks:
        crash_on_bugs(tasks)
        workplace = LocalWorkplace(nursery)
        try:
            await _lead(loaded, folder, workplace, stop, tasks)
        finally:
            workplace.close()


async def _lead(
    loaded: Loaded,
    folder: StateFolder,
    workplace: LocalWorkplace,
    stop: Stop,
    tasks: asyncio.TaskGroup,
) -> None:
    settings = loaded.settings

    async def begin() -> tuple[Ports, Beginning]:
        ports, beginning = await begin_application(settings, loaded.module, folder)
        require_todays_form(settings, beginning)
        return ports, planned(beginning, range(settings.workers))

    def tell(beginning: Beginning) -> None:
        tell_where_it_begins(settings, beginning.start, beginning.history)

    leader = Leader(
        engine_settings(settings), workplace, stop, begin, tell=tell, again=folder.clear_live
    )
    savepoints = str(settings.savepoints_dir or settings.state_dir / "savepoints")
    admin = AdminSocket(admin_socket(settings.state_dir), team_commands(leader, savepoints))
    metrics = TeamMetricsPort(leader, settings, tasks)
    await admin.start()
    await metrics.start()
    answering = tasks.create_task(admin.run())
    is_announced = False

    def announce() -> None:
        nonlocal is_announced
        if not is_announced:
            is_announced = True
            announce_team(settings, loaded.module, metrics.port)

    try:
        await leader.run(announce)
    finally:
        answering.cancel()
        await admin.close()
        await metrics.close()
