"""Clients, ingresses and egresses, as a module's specs ask for them."""

import asyncio
import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from statefun_runtime.adapters.descriptors import Descriptors
from statefun_runtime.adapters.off_loop import in_a_thread
from statefun_runtime.app.dead_letters import letters_of
from statefun_runtime.app.embedded import Embedded
from statefun_runtime.app.endpoint_security import AllEndpointSecurity
from statefun_runtime.config.settings import Settings
from statefun_runtime.core.checkpoints.commits import History
from statefun_runtime.core.checkpoints.manifest import ObjectId
from statefun_runtime.core.model.address import TypeName
from statefun_runtime.engine.checkpoints.recovery import StartingPoint, read_outbox
from statefun_runtime.engine.ends import EgressServices
from statefun_runtime.errors import UnavailableError
from statefun_runtime.ports.checkpoint_store import CheckpointStore
from statefun_runtime.ports.contexts import EgressBuildContext, IngressBuildContext
from statefun_runtime.ports.egress import EgressSink
from statefun_runtime.ports.ingress import IngressContext, IngressSource
from statefun_runtime.ports.module import EgressSpec, IngressSpec, ModuleSpec
from statefun_runtime.ports.off_loop import OffLoop

log = logging.getLogger("statefun.egress")

_RETRY_S = 0.5


class HasFolder(Protocol):
    """A state folder."""

    folder: Path


@dataclass(frozen=True, slots=True)
class Application:
    """What everything is built from; `tasks` is the parent of all tasks, `slot` the worker's place in the plan."""

    settings: Settings
    module: ModuleSpec
    folder: HasFolder
    tasks: asyncio.TaskGroup
    start: StartingPoint
    history: History
    objects: CheckpointStore
    off_loop: OffLoop = in_a_thread
    security: AllEndpointSecurity = field(default_factory=dict)
    descriptors: Descriptors = field(default_factory=Descriptors)
    embedded: Embedded | None = None
    slot: int = 0

    def reads(self, name: str, number: int) -> bool:
        """Return whether this worker reads a split."""
        return self.start.started.plan.reader(name, number) == self.slot

    async def read_outbox(self, object_id: ObjectId) -> list[bytes]:
        """Return the records of an outbox's object; a store that is away is waited for."""
        while True:
            try:
                return await read_outbox(object_id, self.objects, self.off_loop)
            except UnavailableError as error:
                log.error("records that are to be published cannot be read yet: %s", error.line)
            await asyncio.sleep(_RETRY_S)


def make_ingress(
    spec: IngressSpec, context: IngressContext, application: Application
) -> IngressSource:
    """Return an ingress that begins where the checkpoint says."""
    name, start = str(spec.id), application.start
    return spec.build(
        IngressBuildContext(
            ingress=context,
            restored=start.manifest.positions.get(name, {}) if start.manifest else {},
            folder=_folder(application, "ingress", spec.id),
            host=application.settings.host,
            connections_max=application.descriptors.incoming_max,
            off_loop=application.off_loop,
            is_ours=start.is_ours,
            restarts=application.settings.restarts,
            reads=application.reads,
        )
    )


def make_egress(
    spec: EgressSpec, services: EgressServices, application: Application
) -> EgressSink[Any]:
    """Return an egress that begins where the checkpoint says; another application's is none of ours."""
    name, start = str(spec.id), application.start
    manifest = start.manifest if start.is_ours else None
    return spec.build(
        EgressBuildContext(
            started=start.started,
            history=application.history,
            first_epoch=start.first_epoch,
            owner=services.owner,
            folder=_folder(application, "egress", spec.id),
            host=application.settings.host,
            connections_max=application.descriptors.incoming_max,
            rows=services.states,
            key_group_count=application.settings.key_group_count,
            read_outbox=application.read_outbox,
            saved=services.saved,
            tell_refused=letters_of(spec, services.outcomes),
            progress=manifest.progress.get(services.owner, {}).get(name) if manifest else None,
            may_republish=name in application.settings.republished_egresses,
        )
    )


def _folder(application: Application, role: str, component: TypeName) -> Path:
    """Return the folder that an ingress or egress has for itself."""
    return application.folder.folder / role / f"{component.namespace}.{component.name}"
