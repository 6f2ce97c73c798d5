"""One life of a worker in a simulation: the twin of app/life.py and app/factories.py, around the real build_worker."""

import asyncio
from dataclasses import dataclass
from random import Random
from types import SimpleNamespace
from typing import Any

from statefun_runtime.adapters.storage.commit_log_folder import CommitLogFolder
from statefun_runtime.adapters.storage.object_folder import ObjectFolder
from statefun_runtime.app import build, factories
from statefun_runtime.app.factories import Application
from statefun_runtime.config.settings import Settings
from statefun_runtime.connectors.kafka.egress.publisher import KafkaPublisher
from statefun_runtime.connectors.kafka.egress.writer import KafkaEgress
from statefun_runtime.connectors.kafka.ingress.reader import KafkaIngress
from statefun_runtime.core.checkpoints.commits import History
from statefun_runtime.core.module.specs import (
    DeliverySemantic,
    KafkaEgressSpec,
    KafkaIngressSpec,
    ModuleSpec,
)
from statefun_runtime.engine.checkpoints.recovery import (
    Names,
    choose_start,
    pending_outboxes,
    read_records,
)
from tests.simulation.fake_functions import Endpoint, FakeFunctionClient
from tests.simulation.kafka.clients import FakeClients
from tests.simulation.machine.fake_disk import FakeOs, FakePath
from tests.simulation.machine.loop import Process, current_process


class FakeStateFolder:
    """A StateFolder without a lock: who may run is decided by the world."""

    def __init__(self, folder: FakePath) -> None:
        self.folder = folder
        folder.mkdir()
        FakeOs(folder.disk).rmtree(folder / "live")
        self._lives = 0

    def fresh_live_folder(self) -> FakePath:
        self._lives += 1
        (self.folder / "live").mkdir()
        return self.folder / "live" / f"{current_process().number}-{self._lives}"


@dataclass(frozen=True)
class Outside:
    """What a life is given."""

    settings: Settings
    module: ModuleSpec
    folder: FakePath
    rng: Random


async def live(outside: Outside, stop: asyncio.Event, started: asyncio.Event) -> None:
    """Run a worker as `_live` of app/life.py does; `started` is set when it runs."""
    rng, module, settings = outside.rng, outside.module, outside.settings
    folder: Any = FakeStateFolder(outside.folder)
    objects = ObjectFolder(folder.folder / "objects")
    commit_log = CommitLogFolder(folder.folder / "log")
    history = History(tuple(commit_log.read()))
    names = Names(_name(rng), _name(rng), _name(rng))
    start = choose_start(history, objects, names, key_group_count=settings.key_group_count)
    outboxes = pending_outboxes(start.manifest, start.kept)
    commit_log.append(start.started)
    history = History((*history.entries, start.started))
    async with asyncio.TaskGroup() as tasks:
        application = Application(settings, module, folder, tasks, start, history, objects)
        worker, heads = build.build_worker(application, commit_log)
        for sink in worker.parts.egresses.values():
            await sink.start()
        worker.restore(heads, outboxes, lambda object_id: read_records(objects.get(object_id)))
        await worker.run(tasks, stop, started.set)
        await worker.close()


def _name(rng: Random) -> str:
    return f"{rng.getrandbits(64):016x}"


def make_connectors(
    endpoint: Endpoint, clients: dict[Process, FakeClients], *, pool_size: int
) -> SimpleNamespace:
    """Return stand-ins for the factories of app/factories.py: real ingresses and egresses, other clients."""

    def make_client(spec: Any, url: str, application: Application) -> tuple[Any, int]:
        return FakeFunctionClient(endpoint, current_process(), pool_size=pool_size), pool_size

    def make_ingress(spec: Any, router: Any, application: Application) -> Any:
        if not isinstance(spec, KafkaIngressSpec):
            return factories.make_ingress(spec, router, application)
        manifest = application.start.manifest
        restored = manifest.positions.get(str(spec.id), {}) if manifest else {}
        return KafkaIngress(spec, router, restored, clients=clients[current_process()])

    def make_egress(spec: Any, rows: Any, application: Application, letters: Any) -> Any:
        if not isinstance(spec, KafkaEgressSpec):
            return factories.make_egress(spec, rows, application, letters)
        ours = clients[current_process()]
        if spec.delivery is not DeliverySemantic.EXACTLY_ONCE:
            return KafkaEgress(spec, clients=ours)
        start = application.start.started
        return KafkaPublisher(
            spec,
            start,
            application.history,
            owner="standalone",
            read=application.read_outbox,
            known=factories.known_progress(application.start, str(spec.id)),
            clients=ours,
        )

    return SimpleNamespace(
        make_client=make_client, make_ingress=make_ingress, make_egress=make_egress
    )
