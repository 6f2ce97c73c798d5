"""A process of a simulated cluster, and a worker of it: the twins of app/cluster/running.py and app/team/member.py."""

import asyncio
from random import Random
from typing import Any

from statefun_runtime.adapters.storage.claimed_log import ClaimedLog
from statefun_runtime.adapters.team.far_workplace import FarWorkplace
from statefun_runtime.app.cluster.membership import Membership, cluster_ports, seated
from statefun_runtime.app.cluster.node import Itself, Node
from statefun_runtime.app.cluster.shown import Door, ShownEgressSpec
from statefun_runtime.app.team.leader import GoOn, Leader
from statefun_runtime.connectors.kafka.cluster.links import TopicLinks
from statefun_runtime.connectors.kafka.cluster.log import TopicLog
from statefun_runtime.connectors.kafka.cluster.topics import Brokers, make_topics
from statefun_runtime.core.cluster.presence import WAIT_BEATS_MAX
from statefun_runtime.engine.beginning import Beginning, Ports
from statefun_runtime.engine.cluster.standby import stands_by
from statefun_runtime.engine.stop import Stop
from statefun_runtime.ports.cluster import LeaderLog
from statefun_runtime.ports.team import Links, Workplace
from tests.simulation.life import Outside, begin_there, make_ports
from tests.simulation.machine.loop import current_process
from tests.simulation.team.channels import SimPipe
from tests.simulation.team.member import serve

BROKERS = Brokers("sim", "kafka")
_LEAVE_S = 8.0


async def live(
    outside: Outside, stop: Stop, workplace: Workplace, *, host: str, seats: int
) -> None:
    """Be a process of the cluster until told to stop."""

    async def join() -> Node:
        await make_topics(BROKERS, outside.clients)
        count = outside.settings.key_group_count
        return Node(
            _itself(host, outside.rng),
            cluster_ports(BROKERS, outside.clients, key_group_count=count),
            workplace,
            make_leader,
            stop,
            form="sim",
            seats=seats,
            leave_s=_LEAVE_S,
            savepoints="savepoints",
        )

    def make_leader(workplace: FarWorkplace, leader_log: LeaderLog, stop: Stop) -> Leader:
        async def begin(go_on: GoOn) -> tuple[Ports, Beginning]:
            if (there := go_on(f"{outside.rng.getrandbits(64):016x}")) is not None:
                return there[0], seated(there[1], workplace)
            ports = leader_ports(outside, leader_log)
            return ports, seated(await begin_there(outside, ports), workplace)

        return Leader(
            outside.settings, workplace, stop, begin, tell=lambda _: None, again=lambda: None
        )

    membership = Membership(join, stop, again=lambda: None)

    async def ask_home(command: str, arguments: dict[str, Any]) -> dict[str, Any]:
        return await membership.node.home.ask(command, arguments)

    async with asyncio.TaskGroup() as tasks:
        doors = [
            tasks.create_task(
                Door(spec, ask_home, host=outside.host, make_server=outside.make_server).run()
            )
            for spec in outside.module.egresses
            if isinstance(spec, ShownEgressSpec)
        ]
        await membership.run()
        for door in doors:
            door.cancel()
    if stop.failure is not None:
        raise stop.failure


def _itself(host: str, rng: Random) -> Itself:
    name = f"{host}-{rng.getrandbits(16):04x}"
    return Itself(name, host, current_process().number, rng.randint(0, WAIT_BEATS_MAX))


def leader_ports(outside: Outside, leader_log: LeaderLog) -> Ports:
    """Return the ports of a leader: it alone writes to the log, and holds the place of the checkpoints."""
    place = outside.place()
    log = ClaimedLog(leader_log, place, "the place")
    return make_ports(outside, is_first=False, checkpoints=place, commit_log=log)


async def work(outside: Outside, request: dict[str, Any], pipe: SimPipe) -> None:
    """Run a worker of this process."""
    log = TopicLog(BROKERS, outside.clients, nonce=request["nonce"])
    if stands_by(request):
        await log.follow()

    def enter(request: dict[str, Any]) -> Links:
        nonce = request["nonce"]
        log.look_for(nonce)
        return TopicLinks(BROKERS, nonce, request["slot"], request["inbox"], outside.clients)

    ports = make_ports(outside, is_first=False, checkpoints=outside.place(), commit_log=log)
    await serve(outside, ports, enter, request, pipe)
