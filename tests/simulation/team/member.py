"""One of several simulated workers, and who leads them."""

import asyncio
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from statefun_runtime.adapters.wire import ReplyReader
from statefun_runtime.connectors.playground.asked import results_commands
from statefun_runtime.engine.assembly import assemble
from statefun_runtime.engine.beginning import Ports
from statefun_runtime.engine.checkpoints.prepared import PreparedStore
from statefun_runtime.engine.cluster.pipe_leader import PipeLeader
from statefun_runtime.engine.cluster.planning import member_beginning, planned
from statefun_runtime.engine.cluster.questions import error_form
from statefun_runtime.engine.cluster.standby import stand_by, stands_by
from statefun_runtime.engine.cluster.team_life import TeamLife
from statefun_runtime.engine.stop import Stop
from statefun_runtime.errors import (
    ConfigError,
    CorruptionError,
    FencedError,
    StatefunError,
    first_of,
)
from statefun_runtime.ports.team import Links, Team
from tests.simulation.life import Outside, SimulatedConnectors, begin_there, make_ports
from tests.simulation.team.channels import SimPipe

if TYPE_CHECKING:
    from tests.simulation.team.workplace import SimWorkplace

_SILENCE_S = 1.5
_PAUSE_S = 0.1


async def lead(
    outside: Outside, stop: Stop, workplace: "SimWorkplace", count: int, say: Any
) -> None:
    """Lead workers until told to stop."""
    while not stop.is_asked:
        try:
            ports = make_ports(outside)
            beginning = planned(await begin_there(outside, ports), range(count))
            life = TeamLife(
                workplace, ports, beginning, outside.settings, stop, silence_s=_SILENCE_S
            )
            leader: Any = SimpleNamespace(parts=SimpleNamespace(checkpointer=life.checkpointer))
            await life.run(partial(outside.operator.runs, leader))
            break
        except (ConfigError, CorruptionError, FencedError):
            raise
        except (StatefunError, OSError) as error:
            say(f"all begin again: {error}")
            await asyncio.sleep(_PAUSE_S)
    if stop.failure is not None:
        raise stop.failure


# Returns the links of the life that is asked of a worker.
Enter = Callable[[dict[str, Any]], Links]


async def serve(
    outside: Outside, ports: Ports, enter: Enter, request: dict[str, Any], pipe: SimPipe
) -> None:
    """Run one of the workers of a plan."""
    leader, stop = PipeLeader(pipe), Stop()
    ended: dict[str, Any] = {"ended": True}
    try:
        async with asyncio.TaskGroup() as tasks:
            beside = [
                tasks.create_task(leader.listen()),
                tasks.create_task(leader.tell_failure(stop)),
            ]
            await _work(outside, ports, enter, request, leader, pipe, tasks, stop)
            for task in beside:
                task.cancel()
    except* StatefunError as group:
        ended["error"] = error_form(first_of(group))
    pipe.say(ended)
    pipe.close()


async def _work(
    outside: Outside,
    ports: Ports,
    enter: Enter,
    request: dict[str, Any],
    leader: PipeLeader,
    pipe: SimPipe,
    tasks: asyncio.TaskGroup,
    stop: Stop,
) -> None:
    prepared: PreparedStore | None = None
    if stands_by(request):
        request, prepared = await stand_by(leader, ports, request)
    beating = tasks.create_task(leader.beat())
    links = enter(request)
    beginning = await member_beginning(ports, request)
    assembly = await assemble(
        ports,
        SimulatedConnectors(outside, ports, beginning),
        outside.module,
        outside.settings,
        beginning,
        ReplyReader().decode,
        stop,
        Team(links, leader),
        prepared,
    )
    worker = await assembly.restored()
    await worker.listen()
    commands = results_commands(one.sink for one in worker.parts.egresses.values())
    answering = tasks.create_task(leader.answer(commands))

    def ready() -> None:
        pipe.say({"ready": True})
        beating.cancel()

    await worker.run(tasks, ready)
    await worker.close()
    for task in (answering, beating):
        task.cancel()
