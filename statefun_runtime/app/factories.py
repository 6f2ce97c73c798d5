"""Clients, ingresses and egresses, as a module's specs ask for them."""

import asyncio
from dataclasses import dataclass, field
from functools import partial
from typing import Any, assert_never

from statefun_runtime.adapters.descriptors import Descriptors
from statefun_runtime.adapters.http.server import HttpServer, ServerFactory
from statefun_runtime.adapters.storage.disk import MACHINE_DISK, Disk
from statefun_runtime.adapters.storage.state_folder import StateFolder
from statefun_runtime.app.egress_letters import EgressLetters
from statefun_runtime.app.endpoint_security import AllEndpointSecurity
from statefun_runtime.app.plugins import build_own, own_folder
from statefun_runtime.config.settings import Settings
from statefun_runtime.connectors.playground.ingress_log import IngressLog
from statefun_runtime.connectors.playground.reader import PlaygroundIngress
from statefun_runtime.connectors.playground.writer import PlaygroundEgress
from statefun_runtime.core.checkpoints.commits import History
from statefun_runtime.core.checkpoints.manifest import ObjectId, Progress
from statefun_runtime.core.module.specs import (
    DeliverySemantic,
    EgressSpec,
    IngressSpec,
    KafkaEgressSpec,
    KafkaIngressSpec,
    KinesisEgressSpec,
    KinesisIngressSpec,
    ModuleSpec,
    OwnEgressSpec,
    OwnIngressSpec,
    PlaygroundEgressSpec,
    PlaygroundIngressSpec,
)
from statefun_runtime.engine.assembly import EgressServices
from statefun_runtime.engine.checkpoints.recovery import StartingPoint, read_records
from statefun_runtime.engine.checkpoints.snapshots import OffLoop
from statefun_runtime.ports.checkpoint_store import CheckpointStore
from statefun_runtime.ports.contexts import EgressBuildContext, IngressBuildContext
from statefun_runtime.ports.egress import EgressSink
from statefun_runtime.ports.ingress import IngressContext, IngressSource

_INGRESS_BODY_BYTES_MAX = 16 * 1024 * 1024
_OWNER = "standalone"


@dataclass(frozen=True, slots=True)
class Application:
    """What everything is built from; `tasks` is the parent of all tasks."""

    settings: Settings
    module: ModuleSpec
    folder: StateFolder
    tasks: asyncio.TaskGroup
    start: StartingPoint
    history: History
    objects: CheckpointStore
    off_loop: OffLoop = asyncio.to_thread
    disk: Disk = MACHINE_DISK
    make_server: ServerFactory = HttpServer
    security: AllEndpointSecurity = field(default_factory=dict)
    descriptors: Descriptors = field(default_factory=Descriptors)

    async def read_outbox(self, object_id: ObjectId) -> list[bytes]:
        """Return the records of an outbox's object."""
        records: list[bytes] = await self.off_loop(
            lambda: read_records(self.objects.get(object_id))
        )
        return records


def make_ingress(
    spec: IngressSpec, context: IngressContext, application: Application
) -> IngressSource:
    """Return an ingress that begins where the checkpoint says."""
    manifest = application.start.manifest
    restored = manifest.positions.get(str(spec.id), {}) if manifest else {}
    match spec:
        case PlaygroundIngressSpec():
            name = f"{spec.id.namespace}.{spec.id.name}"
            return PlaygroundIngress(
                spec,
                context,
                IngressLog(application.folder.folder / "ingress" / name, disk=application.disk),
                application.off_loop,
                # The log of another application is in another folder.
                restored if application.start.is_ours else {},
                host=application.settings.host,
                body_bytes_max=_INGRESS_BODY_BYTES_MAX,
                checkpoints_kept=application.settings.checkpoints_kept,
                earlier=[
                    kept.manifest.positions.get(str(spec.id), {})
                    for kept in application.start.kept[:-1]
                ],
                make_server=application.make_server,
            )
        case KafkaIngressSpec():
            # The Kafka client takes long to import, and many applications need none.
            from statefun_runtime.connectors.kafka.ingress.reader import KafkaIngress

            return KafkaIngress(spec, context, restored)
        case OwnIngressSpec():
            folder = own_folder(application.folder.folder, "ingress", spec)
            place = IngressBuildContext(context, restored, folder, application.settings.host)
            made: IngressSource = build_own(spec, place, IngressSource)
            return made
        case KinesisIngressSpec():
            # AWS's client is an extra that many applications do not have installed.
            from statefun_runtime.connectors.kinesis.clients import AwsClients
            from statefun_runtime.connectors.kinesis.reader import KinesisIngress

            owner = f"ingress '{spec.id}'"
            clients = AwsClients(spec.region, spec.credentials, spec.client, owner=owner)
            return KinesisIngress(spec, context, restored, clients=clients)
        case _:
            assert_never(spec)


def known_progress(start: StartingPoint, egress_id: str) -> Progress | None:
    """Return what the checkpoint knows of an egress's publishing; another application's is none of ours."""
    return start.manifest.progress.get(egress_id) if start.manifest and start.is_ours else None


def make_egress(
    spec: EgressSpec, services: EgressServices, application: Application, letters: EgressLetters
) -> EgressSink[Any]:
    """Return an egress; `letters` takes what its broker refuses."""
    match spec:
        case PlaygroundEgressSpec():
            started = application.start.started
            return PlaygroundEgress(
                spec,
                services.states,
                host=application.settings.host,
                origin=f"{started.application[:8]}-{started.lineage[:8]}",
                complete_epoch=started.from_epoch,
                settled=services.settled,
                make_server=application.make_server,
            )
        case KafkaEgressSpec():
            if spec.delivery is DeliverySemantic.EXACTLY_ONCE:
                from statefun_runtime.connectors.kafka.egress.publisher import KafkaPublisher

                return KafkaPublisher(
                    spec,
                    application.start.started,
                    application.history,
                    owner=_OWNER,
                    read=application.read_outbox,
                    tell_refused=partial(letters.tell, spec),
                    known=known_progress(application.start, str(spec.id)),
                    may_republish=str(spec.id) in application.settings.republished_egresses,
                )
            from statefun_runtime.connectors.kafka.egress.writer import KafkaEgress

            return KafkaEgress(spec, tell_refused=partial(letters.tell, spec))
        case OwnEgressSpec():
            started = application.start.started
            folder = own_folder(application.folder.folder, "egress", spec)
            place = EgressBuildContext(
                started.application, started.incarnation, folder, application.settings.host
            )
            made: EgressSink[Any] = build_own(spec, place, EgressSink)
            return made
        case KinesisEgressSpec():
            from statefun_runtime.connectors.kinesis.clients import AwsClients
            from statefun_runtime.connectors.kinesis.writer import KinesisEgress

            owner = f"egress '{spec.id}'"
            return KinesisEgress(
                spec,
                clients=AwsClients(spec.region, spec.credentials, spec.client, owner=owner),
                past_epoch=application.start.first_epoch - 1,
                read=application.read_outbox,
                tell_refused=partial(letters.tell, spec),
            )
        case _:
            assert_never(spec)
