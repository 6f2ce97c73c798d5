"""One life of a worker in a simulation: the twin of app/life.py, with other ports around the same assembly."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

from statefun_runtime.adapters.clock import MachineClock, MachineTime
from statefun_runtime.adapters.http.server import ServerFactory
from statefun_runtime.adapters.storage.commit_log_folder import CommitLogFolder
from statefun_runtime.adapters.storage.disk import Disk
from statefun_runtime.adapters.storage.object_folder import ObjectFolder
from statefun_runtime.adapters.wire import ReplyReader
from statefun_runtime.app.cluster.carried import CarriedIngress, CarriedIngressSpec
from statefun_runtime.app.cluster.shown import ShownEgressSpec
from statefun_runtime.connectors.kafka.egress.limits import PublisherLimits
from statefun_runtime.connectors.kafka.egress.publisher import KafkaPublisher
from statefun_runtime.connectors.kafka.egress.writer import KafkaEgress
from statefun_runtime.connectors.kafka.ingress.reader import KafkaIngress
from statefun_runtime.connectors.kafka.settings.values import DeliverySemantic
from statefun_runtime.connectors.kafka.specs import KafkaEgressSpec, KafkaIngressSpec
from statefun_runtime.connectors.playground.asked import NoPort
from statefun_runtime.connectors.playground.ingress_log import IngressLog
from statefun_runtime.connectors.playground.reader import PlaygroundIngress
from statefun_runtime.connectors.playground.specs import PlaygroundEgressSpec, PlaygroundIngressSpec
from statefun_runtime.connectors.playground.writer import PlaygroundEgress
from statefun_runtime.core.checkpoints.commits import History
from statefun_runtime.core.checkpoints.manifest import ObjectId
from statefun_runtime.core.model.position import Position
from statefun_runtime.core.partition.backlog import Function
from statefun_runtime.engine.assembly import assemble
from statefun_runtime.engine.beginning import Beginning, Ports, begin
from statefun_runtime.engine.checkpoints.recovery import Names, read_outbox
from statefun_runtime.engine.ends import EgressServices
from statefun_runtime.engine.settings import EngineSettings
from statefun_runtime.engine.stop import Stop
from statefun_runtime.ports.checkpoint_store import CheckpointStore
from statefun_runtime.ports.commit_log import CommitLog
from statefun_runtime.ports.contexts import IngressBuildContext
from statefun_runtime.ports.egress import EgressSink
from statefun_runtime.ports.ingress import IngressContext, IngressSource
from statefun_runtime.ports.module import EgressSpec, IngressSpec, ModuleSpec
from statefun_runtime.ports.off_loop import OffLoop
from tests.simulation.fake_functions import Endpoint, FakeFunctionClient
from tests.simulation.kafka.clients import FakeClients
from tests.simulation.machine.fake_disk import FakePath
from tests.simulation.machine.loop import current_process, off_loop
from tests.simulation.machine.state_store import DictStore, Failure
from tests.simulation.operator import Operator


@dataclass(frozen=True)
class Outside:
    """The machine that a life runs on, what it talks to, and how it is set."""

    settings: EngineSettings
    module: ModuleSpec
    folder: FakePath
    disk: Disk
    time: MachineTime
    make_server: ServerFactory
    endpoint: Endpoint
    clients: FakeClients
    store_fails: Callable[[], Failure | None]
    pool_size: int
    segment_bytes: int
    publishing: PublisherLimits
    operator: Operator
    rng: Random
    # Where the checkpoints of a cluster are, and how long it takes to reach that.
    shared: FakePath | None = None
    reach: OffLoop = off_loop
    # By what its ports are reached, and how much they answer at a time.
    host: str = "sim"
    read_bytes_max: int = 1 << 20

    def place(self) -> ObjectFolder:
        """Return the place of a cluster's checkpoints as a process sees it."""
        folder: Any = self.shared
        return ObjectFolder(folder / "objects", self.reach, sweep=False, disk=self.disk)


# Some objects of a history are smaller, some are larger.
_SMALL_BYTES_MAX = 1500


def make_ports(
    outside: Outside,
    *,
    is_first: bool = True,
    checkpoints: CheckpointStore | None = None,
    commit_log: CommitLog | None = None,
) -> Ports:
    """Return the ports of a process; the first in a folder clears away what others have left.

    Checkpoints and log are in the folder, if they are not given.
    """
    outside.folder.mkdir(exist_ok=True)
    # A path of the simulated disk is one as far as the adapters use it.
    folder: Any = outside.folder
    scratch: Any = _Scratch(outside.folder, is_first=is_first)

    def open_store(live: Any) -> Any:
        return DictStore(live, outside.store_fails)

    return Ports(
        checkpoints=checkpoints
        or ObjectFolder(
            folder / "objects",
            off_loop,
            sweep=is_first,
            disk=outside.disk,
            path=outside.operator.folder,
            small_bytes_max=_SMALL_BYTES_MAX if is_first else 0,
        ),
        commit_log=commit_log or CommitLogFolder(folder / "log", off_loop, disk=outside.disk),
        open_store=open_store,
        scratch=scratch,
        discard=scratch.discard,
        make_clock=lambda not_before_ms: MachineClock(not_before_ms, machine=outside.time),
        off_loop=off_loop,
    )


async def begin_there(outside: Outside, ports: Ports) -> Beginning:
    """Decide where a life begins, as its operator says."""
    rng = outside.rng
    history = History(tuple(await ports.commit_log.read()))
    origin = await outside.operator.origin(history, ports.checkpoints)
    names = Names(_name(rng), _name(rng), _name(rng))
    beginning = await begin(ports, history, names, outside.settings, origin=origin)
    return await outside.operator.told_of_outboxes(beginning, ports.checkpoints)


async def live(outside: Outside, stop: Stop) -> None:
    """Run a worker that is alone."""
    ports = make_ports(outside)
    beginning = await begin_there(outside, ports)
    async with asyncio.TaskGroup() as tasks:
        assembly = await assemble(
            ports,
            SimulatedConnectors(outside, ports, beginning),
            outside.module,
            outside.settings,
            beginning,
            ReplyReader().decode,
            stop,
        )
        worker = await assembly.restored()
        for egress in worker.parts.egresses.values():
            await egress.start()
        await worker.run(tasks, lambda: outside.operator.runs(worker))
        await worker.close()


def _name(rng: Random) -> str:
    return f"{rng.getrandbits(64):016x}"


class _Scratch:
    """Names of live folders; what earlier lives left there is thrown away."""

    def __init__(self, folder: FakePath, *, is_first: bool) -> None:
        self._folder = folder / "live"
        if is_first:
            self._folder.disk.remove_tree(self._folder.path)
        self._count = 0

    def __call__(self) -> FakePath:
        self._count += 1
        self._folder.mkdir(exist_ok=True)
        return self._folder / f"{current_process().number}-{self._count}"

    def discard(self, live: FakePath) -> None:
        self._folder.disk.remove_tree(live.path)


class SimulatedConnectors:
    """Real ingresses and egresses on a simulated cluster, and functions without a network."""

    def __init__(self, outside: Outside, ports: Ports, beginning: Beginning) -> None:
        self._outside = outside
        self._ports = ports
        self._beginning = beginning

    def make_client(self, function: Function) -> tuple[Any, int]:
        size = self._outside.pool_size
        return FakeFunctionClient(self._outside.endpoint, current_process(), pool_size=size), size

    def make_ingress(self, spec: IngressSpec, context: IngressContext) -> IngressSource:
        outside, start = self._outside, self._beginning.start
        name = str(spec.id)
        restored = start.manifest.positions.get(name, {}) if start.manifest else {}
        if isinstance(spec, KafkaIngressSpec):
            plan, slot = start.started.plan, self._beginning.slot
            return KafkaIngress(
                spec,
                context,
                restored,
                reads=lambda topic, number: plan.reader(topic, number) == slot,
                clients=outside.clients,
            )
        if isinstance(spec, CarriedIngressSpec):
            return self._carried(spec, context, restored)
        assert isinstance(spec, PlaygroundIngressSpec)
        folder: Any = outside.folder / "ingress" / name.replace("/", ".")
        return PlaygroundIngress(
            spec,
            context,
            IngressLog(folder, disk=outside.disk, segment_bytes=outside.segment_bytes),
            off_loop,
            restored if start.is_ours else {},
            host=outside.host,
            body_bytes_max=1 << 20,
            make_server=outside.make_server,
        )

    def _carried(
        self, spec: CarriedIngressSpec, context: IngressContext, restored: Mapping[str, Position]
    ) -> CarriedIngress:
        outside, start = self._outside, self._beginning.start
        plan, slot = start.started.plan, self._beginning.slot
        folder: Any = outside.folder / "ingress"
        build = IngressBuildContext(
            ingress=context,
            restored=restored,
            folder=folder,
            host=outside.host,
            connections_max=1000,
            off_loop=off_loop,
            is_ours=start.is_ours,
            restarts={},
            reads=lambda topic, number: plan.reader(topic, number) == slot,
        )
        return CarriedIngress(spec, build, outside.clients, outside.make_server)

    def make_egress(self, spec: EgressSpec, services: EgressServices) -> EgressSink[Any]:
        outside, start = self._outside, self._beginning.start
        if isinstance(spec, ShownEgressSpec):
            return PlaygroundEgress(
                spec.inner,
                services.states,
                host=outside.host,
                origin=f"{start.started.application[:8]}-{start.started.lineage[:8]}",
                complete_epoch=start.started.from_epoch,
                saved=services.saved,
                make_server=NoPort,
                read_bytes_max=outside.read_bytes_max,
            )
        if isinstance(spec, PlaygroundEgressSpec):
            return PlaygroundEgress(
                spec,
                services.states,
                host=outside.host,
                origin=f"{start.started.application[:8]}-{start.started.lineage[:8]}",
                complete_epoch=start.started.from_epoch,
                saved=services.saved,
                make_server=outside.make_server,
            )
        assert isinstance(spec, KafkaEgressSpec)
        if spec.delivery is not DeliverySemantic.EXACTLY_ONCE:
            return KafkaEgress(spec, clients=outside.clients)
        progress = start.manifest.progress.get(services.owner, {}) if start.manifest else {}
        return KafkaPublisher(
            spec,
            start.started,
            self._beginning.history,
            owner=services.owner,
            read=self._read_outbox,
            known=progress.get(str(spec.id)) if start.is_ours else None,
            clients=outside.clients,
            limits=outside.publishing,
        )

    async def _read_outbox(self, object_id: ObjectId) -> list[bytes]:
        return await read_outbox(object_id, self._ports.checkpoints, off_loop)
