"""One worker of several on this machine: a process that its leader has started, and says all to.

    plan (who owns what, where it begins) ─▶ restore ─▶ ready ─▶ orders and questions ─▶ ended

It has no signals and no ports of its own but those of the module, and ends at once when its leader is gone.
"""

import asyncio
import gc
import logging
import os
import shutil
import socket
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from statefun_runtime.adapters.admin.admin_socket import Command
from statefun_runtime.adapters.admin.process_facts import ProcessFacts
from statefun_runtime.adapters.descriptors import Descriptors
from statefun_runtime.adapters.memory import reuse_memory
from statefun_runtime.adapters.off_loop import in_a_thread
from statefun_runtime.adapters.storage.object_folder import ObjectFolder
from statefun_runtime.adapters.team.pipe import Pipe
from statefun_runtime.adapters.team.socket_links import SocketLinks
from statefun_runtime.app.build import build_worker, machine_ports
from statefun_runtime.app.commands import make_commands
from statefun_runtime.app.embedded import Embedded
from statefun_runtime.app.endpoint_security import AllEndpointSecurity
from statefun_runtime.app.factories import Application
from statefun_runtime.app.loops import crash_on_bugs, loop_factory
from statefun_runtime.app.shadow import shadow_of
from statefun_runtime.app.start.places import with_place
from statefun_runtime.app.start.requirements import tell_left_behind
from statefun_runtime.app.team.metric_form import metric_form
from statefun_runtime.app.team.numbered import number_logs
from statefun_runtime.config.settings import Settings
from statefun_runtime.connectors.kafka.cluster.links import TopicLinks
from statefun_runtime.connectors.kafka.cluster.log import TopicLog
from statefun_runtime.connectors.kafka.cluster.topics import brokers_of
from statefun_runtime.connectors.playground.asked import results_commands
from statefun_runtime.engine.beginning import Ports
from statefun_runtime.engine.checkpoints.prepared import PreparedStore
from statefun_runtime.engine.cluster.pipe_leader import PipeLeader
from statefun_runtime.engine.cluster.planning import member_beginning
from statefun_runtime.engine.cluster.questions import error_form
from statefun_runtime.engine.cluster.standby import stand_by, stands_by
from statefun_runtime.engine.metrics import engine_metrics
from statefun_runtime.engine.phases import Phases
from statefun_runtime.engine.stop import Stop
from statefun_runtime.engine.worker import Worker
from statefun_runtime.errors import StatefunError, first_of
from statefun_runtime.ports.module import ModuleSpec
from statefun_runtime.ports.team import Links, Team

log = logging.getLogger("statefun.worker")


@dataclass(frozen=True, slots=True)
class Loaded:
    """What was read and checked before there were workers."""

    settings: Settings
    module: ModuleSpec
    security: AllEndpointSecurity
    descriptors: Descriptors


class SharedFolder:
    """The state folder of a leader, as its workers use it: each has live folders of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lives = 0

    def fresh_live_folder(self) -> Path:
        """Return a path for live files which does not exist."""
        self._lives += 1
        parent = self.folder / "live"
        parent.mkdir(exist_ok=True)
        return parent / f"{os.getpid()}-{self._lives}"

    def discard(self, live: Path) -> None:
        """Throw live files away that will not be used."""
        shutil.rmtree(live, ignore_errors=True)


def run_member(loaded: Loaded, request: dict[str, Any], sockets: Sequence[socket.socket]) -> None:
    """Run a worker until its leader lets it go; `sockets` are the pipe and the channels, in the order of the request."""
    number_logs(request["slot"])
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(_run(loaded, request, sockets))


async def _listen_while_led(leader: PipeLeader) -> None:
    await leader.listen()
    # The leader is gone: nobody is to do anything any more.
    os._exit(1)


async def _run(loaded: Loaded, request: dict[str, Any], sockets: Sequence[socket.socket]) -> None:
    pipe = await Pipe.open(sockets[0])
    leader, stop = PipeLeader(pipe), Stop()
    ended: dict[str, Any] = {"ended": True}
    try:
        async with asyncio.TaskGroup() as tasks:
            crash_on_bugs(tasks)
            beside = [
                tasks.create_task(_listen_while_led(leader)),
                tasks.create_task(leader.tell_failure(stop)),
            ]
            await _live(loaded, request, sockets[1:], leader, pipe, tasks, stop)
            for task in beside:
                task.cancel()
    except* StatefunError as group:
        ended["error"] = error_form(first_of(group))
    pipe.say(ended)
    await pipe.drained()
    pipe.close()


def _links(settings: Settings, request: dict[str, Any], sockets: Sequence[socket.socket]) -> Links:
    if settings.cluster is None:
        return SocketLinks(dict(zip(request["peers"], sockets, strict=True)))
    brokers, nonce = brokers_of(settings.cluster), request["nonce"]
    return TopicLinks(brokers, nonce, request["slot"], request["inbox"])


def member_ports(folder: SharedFolder, settings: Settings, topic_log: TopicLog | None) -> Ports:
    """Return the ports of a worker whose state folder others share: nothing that may be another's is swept."""
    objects = ObjectFolder(
        folder.folder / "objects",
        in_a_thread,
        sweep=False,
        # What the leader is to delete it has to find by its name: what lies in a segment only its writer knows.
        small_bytes_max=0,
    )
    ports = machine_ports(folder, objects)
    fetched = folder.folder / "live" / f"fetched-{os.getpid()}"
    # The leader alone writes to the log, and holds the place.
    return replace(with_place(ports, settings, fetched), commit_log=topic_log or ports.commit_log)


def _topic_log(settings: Settings, nonce: str) -> TopicLog | None:
    cluster = settings.cluster
    return None if cluster is None else TopicLog(brokers_of(cluster), nonce=nonce)


async def _live(
    loaded: Loaded,
    request: dict[str, Any],
    sockets: Sequence[socket.socket],
    leader: PipeLeader,
    pipe: Pipe,
    tasks: asyncio.TaskGroup,
    stop: Stop,
) -> None:
    phases = Phases(asyncio.get_running_loop().time)
    folder = SharedFolder(loaded.settings.state_dir)
    topic_log = _topic_log(loaded.settings, request["nonce"])
    ports = member_ports(folder, loaded.settings, topic_log)
    # Now, and not in the pause of a move, if this worker stands by.
    gc.collect()
    functions = folder.folder / "live" / f"functions-{os.getpid()}"
    prepared: PreparedStore | None = None
    async with Embedded(loaded.module, tasks.create_task, functions) as embedded:
        if stands_by(request):
            assert topic_log is not None, "somebody stands by in a cluster only"
            await topic_log.follow()
            request, prepared = await stand_by(leader, ports, request)
            topic_log.look_for(request["nonce"])
            phases.ended("stood by")
        beating = tasks.create_task(leader.beat())
        beginning = await member_beginning(ports, request)
        phases.ended("log read")
        team = Team(_links(loaded.settings, request, sockets), leader)
        application = Application(
            loaded.settings,
            loaded.module,
            folder,
            tasks,
            beginning.start,
            beginning.history,
            ports.checkpoints,
            security=loaded.security,
            descriptors=loaded.descriptors,
            embedded=embedded,
            slot=beginning.slot,
        )
        worker = await build_worker(application, ports, beginning, stop, team, prepared)
        phases.ended("restored")
        if request["is_home"]:
            tell_left_behind(beginning.start, loaded.module, worker.parts.states)
        await worker.listen()
        phases.ended("listens")
        await _work(application, worker, leader, pipe, phases, beating)


async def _work(
    application: Application,
    worker: Worker,
    leader: PipeLeader,
    pipe: Pipe,
    phases: Phases,
    beating: asyncio.Task[None],
) -> None:
    tasks, facts = application.tasks, ProcessFacts()
    gc.freeze()
    phases.ended("frozen")

    def ready() -> None:
        phases.ended("in transit")
        log.debug("this worker began: %s", phases)
        pipe.say({"ready": True})
        beating.cancel()

    beside = [
        beating,
        tasks.create_task(facts.run()),
        tasks.create_task(reuse_memory()),
        tasks.create_task(leader.answer(_commands(application.settings, worker, facts))),
    ]
    try:
        await worker.run(tasks, ready)
        await worker.close()
    finally:
        for task in beside:
            task.cancel()
        worker.parts.states.store.close()


def _commands(settings: Settings, worker: Worker, facts: ProcessFacts) -> dict[str, Command]:
    shadow = shadow_of(settings)
    commands = make_commands(worker, "", shadow="" if shadow is None else str(shadow))

    async def metrics(arguments: dict[str, Any]) -> dict[str, Any]:
        found = [*engine_metrics(worker.parts), *facts.metrics()]
        return {"metrics": [metric_form(one) for one in found]}

    async def readiness(arguments: dict[str, Any]) -> dict[str, Any]:
        return {"reasons": worker.readiness.reasons(), "waits": worker.readiness.waits()}

    results = results_commands(one.sink for one in worker.parts.egresses.values())
    return {**commands, **results, "metrics": metrics, "readiness": readiness}
