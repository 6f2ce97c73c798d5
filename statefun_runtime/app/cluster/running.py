"""`--cluster NAME`: this process is one of an application's, on any machine."""

import asyncio
import logging
import os
import secrets
import socket
from functools import partial
from typing import Any

from statefun_runtime.adapters.admin.admin_socket import AdminSocket, Arguments, admin_socket
from statefun_runtime.adapters.http.server import HttpServer
from statefun_runtime.adapters.team.far_workplace import FarWorkplace
from statefun_runtime.app.banner import announce_team
from statefun_runtime.app.build import engine_settings
from statefun_runtime.app.cluster.describing import COMMANDS
from statefun_runtime.app.cluster.form import form_of
from statefun_runtime.app.cluster.hosting import Lodger
from statefun_runtime.app.cluster.membership import Membership, cluster_ports, seated
from statefun_runtime.app.cluster.node import LEAVE_EXTRA_S, Itself, Node
from statefun_runtime.app.cluster.shown import Door, ShownEgressSpec
from statefun_runtime.app.start.beginning import begin_application, tell_where_it_begins
from statefun_runtime.app.team.asking import TeamMetricsPort
from statefun_runtime.app.team.forking import Machine, run_forking
from statefun_runtime.app.team.leader import GoOn, Leader, require_todays_form
from statefun_runtime.app.team.member import Loaded
from statefun_runtime.connectors.kafka.client.clients import AIOKAFKA
from statefun_runtime.connectors.kafka.cluster.topics import brokers_of, make_topics
from statefun_runtime.core.cluster.presence import WAIT_BEATS_MAX
from statefun_runtime.engine.beginning import Beginning, Ports
from statefun_runtime.engine.stop import Stop
from statefun_runtime.ports.cluster import LeaderLog
from statefun_runtime.ports.module import EgressSpec

log = logging.getLogger("statefun.cluster")


def run_process(loaded: Loaded) -> None:
    """Run until told to stop; raise StatefunError if it cannot run, or not go on."""
    run_forking(loaded, lambda machine: Process(loaded, machine).run())


class Process:
    """A process of a cluster, and what it has on its machine."""

    def __init__(self, loaded: Loaded, machine: Machine) -> None:
        assert loaded.settings.cluster is not None
        self._settings, self._module = loaded.settings, loaded.module
        self._connections_max = loaded.descriptors.incoming_max
        self._machine = machine
        self._brokers = brokers_of(loaded.settings.cluster)
        self._membership = Membership(self._join, machine.stop, again=machine.folder.clear_live)

    @property
    def restarts(self) -> int:
        """How often all have begun again, as far as this process has led them."""
        return self._membership.restarts

    def workers(self) -> list[Lodger]:
        """Return the workers here."""
        return self._membership.node.workers()

    async def run(self) -> None:
        """Be there until told to stop."""
        settings = self._settings
        admin = AdminSocket(
            admin_socket(settings.state_dir), {name: self._asker(name) for name in COMMANDS}
        )
        metrics = TeamMetricsPort(self, settings, self._machine.tasks)
        await admin.start()
        await metrics.start()
        answering = self._machine.tasks.create_task(admin.run())
        announce_team(settings, self._module, metrics.port)
        beside = [answering, *map(self._open, self._module.egresses)]
        try:
            await self._membership.run()
        finally:
            for task in filter(None, beside):
                task.cancel()
            await admin.close()
            await metrics.close()

    def _open(self, spec: EgressSpec) -> "asyncio.Task[None] | None":
        """Open the port of an HTTP egress."""
        if not isinstance(spec, ShownEgressSpec):
            return None
        server = partial(HttpServer, connections_max=self._connections_max)
        door = Door(spec, self._ask_home, host=self._settings.host, make_server=server)
        return self._machine.tasks.create_task(door.run())

    async def _ask_home(self, command: str, arguments: dict[str, Any]) -> dict[str, Any]:
        return await self._membership.node.home.ask(command, arguments)

    def _asker(self, name: str) -> Any:
        async def ask(arguments: Arguments) -> dict[str, Any]:
            return await self._membership.node.ask(name, arguments)

        return ask

    async def _join(self) -> Node:
        await make_topics(self._brokers)
        settings = self._settings
        node = Node(
            _itself(),
            cluster_ports(self._brokers, AIOKAFKA, key_group_count=settings.key_group_count),
            self._machine.workplace,
            self._make_leader,
            self._machine.stop,
            form=form_of(self._module, settings.key_group_count),
            seats=settings.workers,
            leave_s=settings.stop_timeout_s + LEAVE_EXTRA_S,
            savepoints=settings.savepoints,
        )
        log.info("joins cluster '%s' as %s", self._brokers.name, node.name)
        return node

    def _make_leader(self, workplace: FarWorkplace, leader_log: LeaderLog, stop: Stop) -> Leader:
        settings = self._settings

        async def begin(go_on: GoOn) -> tuple[Ports, Beginning]:
            there = go_on(secrets.token_hex(8))
            ports, beginning = there or await begin_application(
                settings, self._module, self._machine.folder, leader_log
            )
            require_todays_form(settings, beginning)
            return ports, seated(beginning, workplace)

        return Leader(
            engine_settings(settings),
            workplace,
            stop,
            begin,
            tell=partial(tell_where_it_begins, settings),
            again=lambda: None,
        )


def _itself() -> Itself:
    host = socket.gethostname().replace(" ", "-")
    name = f"{host}-{secrets.token_hex(2)}"
    return Itself(name, host, os.getpid(), secrets.randbelow(WAIT_BEATS_MAX + 1))
