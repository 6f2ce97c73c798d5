"""`--cluster NAME`: this process is one of an application's, on any machine."""

import asyncio
import gc
import logging
from functools import partial
from typing import Any

from statefun_runtime.adapters.admin.admin_socket import AdminSocket, Arguments, admin_socket
from statefun_runtime.adapters.storage.state_folder import StateFolder
from statefun_runtime.adapters.team.far_workplace import FarWorkplace
from statefun_runtime.adapters.team.nursery import Nursery
from statefun_runtime.adapters.team.workplace import LocalWorkplace
from statefun_runtime.app.banner import announce_team
from statefun_runtime.app.cluster.describing import COMMANDS
from statefun_runtime.app.cluster.form import form_of
from statefun_runtime.app.cluster.hosting import Lodger
from statefun_runtime.app.cluster.node import Node
from statefun_runtime.app.loops import crash_on_bugs, loop_factory, stop_on_signals
from statefun_runtime.app.start.beginning import begin_application
from statefun_runtime.app.team.asking import TeamMetricsPort
from statefun_runtime.app.team.leader import Leader
from statefun_runtime.app.team.member import Loaded, run_member
from statefun_runtime.connectors.kafka.cluster.control import ControlTopic
from statefun_runtime.connectors.kafka.cluster.log import TopicLog
from statefun_runtime.connectors.kafka.cluster.topics import (
    SLOTS_MAX,
    brokers_of,
    inbox_ends,
    make_topics,
)
from statefun_runtime.core.cluster.troubles import no_leader
from statefun_runtime.engine.beginning import Beginning, Ports
from statefun_runtime.engine.cluster.planning import planned
from statefun_runtime.engine.stop import Stop
from statefun_runtime.errors import UnavailableError, first_of
from statefun_runtime.ports.cluster import ClusterPorts, LeaderLog

log = logging.getLogger("statefun.cluster")

_AGAIN_S = 1.0
_LEAVE_EXTRA_S = 15.0


def run_process(loaded: Loaded) -> None:
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
            await Process(loaded, folder, workplace, stop, tasks).run()
        finally:
            workplace.close()
    if stop.failure is not None:
        raise stop.failure


class Process:
    """A process of a cluster, which comes back when it was cut off."""

    restarts = 0

    def __init__(
        self,
        loaded: Loaded,
        folder: StateFolder,
        workplace: LocalWorkplace,
        stop: Stop,
        tasks: asyncio.TaskGroup,
    ) -> None:
        assert loaded.settings.cluster is not None
        self._settings, self._module = loaded.settings, loaded.module
        self._folder = folder
        self._workplace = workplace
        self._stop = stop
        self._tasks = tasks
        self._brokers = brokers_of(loaded.settings.cluster)
        self._node: Node | None = None

    def workers(self) -> list[Lodger]:
        """Return the workers here."""
        if self._node is None:
            raise _cut_off()
        return self._node.workers()

    async def run(self) -> None:
        """Be there until told to stop."""
        settings = self._settings
        admin = AdminSocket(
            admin_socket(settings.state_dir), {name: self._asker(name) for name in COMMANDS}
        )
        metrics = TeamMetricsPort(self, settings, self._tasks)
        await admin.start()
        await metrics.start()
        answering = self._tasks.create_task(admin.run())
        announce_team(settings, self._module, metrics.port)
        try:
            await self._connect_always()
        finally:
            answering.cancel()
            await admin.close()
            await metrics.close()

    def _asker(self, name: str) -> Any:
        async def ask(arguments: Arguments) -> dict[str, Any]:
            if self._node is None:
                raise _cut_off()
            return await self._node.ask(name, arguments)

        return ask

    async def _connect_always(self) -> None:
        while not self._stop.is_asked:
            try:
                await self._connect()
            except* UnavailableError as group:
                error = first_of(group)
                log.error("%s; comes back in %.0f s", error.line, _AGAIN_S)
                self._folder.clear_live()
                try:
                    async with asyncio.timeout(_AGAIN_S):
                        await self._stop.asked()
                except TimeoutError:
                    pass
            finally:
                self._node = None

    async def _connect(self) -> None:
        await make_topics(self._brokers)
        settings = self._settings
        ports = ClusterPorts(
            make_control=lambda name: ControlTopic(self._brokers, name),
            make_log=lambda: TopicLog(self._brokers),
            inbox_ends=partial(inbox_ends, self._brokers),
            slots_max=min(SLOTS_MAX, settings.key_group_count),
        )
        self._node = Node(
            ports,
            self._workplace,
            self._make_leader,
            self._stop,
            form=form_of(self._module, settings.key_group_count),
            seats=settings.workers,
            leave_s=settings.stop_timeout_s + _LEAVE_EXTRA_S,
            savepoints=settings.savepoints,
        )
        log.info("joins cluster '%s' as %s", self._brokers.name, self._node.name)
        await self._node.run()

    def _make_leader(self, workplace: FarWorkplace, leader_log: LeaderLog, stop: Stop) -> Leader:
        async def begin() -> tuple[Ports, Beginning]:
            ports, beginning = await begin_application(
                self._settings, self._module, self._folder, leader_log
            )
            slots = workplace.seat()
            if not slots:
                raise no_leader("all processes are leaving")
            return ports, planned(beginning, slots)

        return Leader(self._settings, workplace, stop, begin, lambda: None)


def _cut_off() -> UnavailableError:
    return no_leader("this process is cut off from its cluster")
