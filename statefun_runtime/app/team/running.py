"""`--workers N`: one process starts N workers on this machine, and leads them."""

from functools import partial

from statefun_runtime.adapters.admin.admin_socket import AdminSocket, admin_socket
from statefun_runtime.app.banner import announce_team
from statefun_runtime.app.build import engine_settings
from statefun_runtime.app.start.beginning import begin_application, tell_where_it_begins
from statefun_runtime.app.team.asking import TeamMetricsPort, team_commands
from statefun_runtime.app.team.forking import Machine, run_forking
from statefun_runtime.app.team.leader import GoOn, Leader, require_todays_form
from statefun_runtime.app.team.member import Loaded
from statefun_runtime.engine.beginning import Beginning, Ports
from statefun_runtime.engine.cluster.planning import planned


def run_team(loaded: Loaded) -> None:
    """Run until told to stop; raise StatefunError if it cannot run, or not go on."""
    run_forking(loaded, partial(_lead, loaded))


async def _lead(loaded: Loaded, machine: Machine) -> None:
    settings, tasks = loaded.settings, machine.tasks

    async def begin(_: GoOn) -> tuple[Ports, Beginning]:
        ports, beginning = await begin_application(settings, loaded.module, machine.folder)
        require_todays_form(settings, beginning)
        return ports, planned(beginning, range(settings.workers))

    leader = Leader(
        engine_settings(settings),
        machine.workplace,
        machine.stop,
        begin,
        tell=partial(tell_where_it_begins, settings),
        again=machine.folder.clear_live,
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
