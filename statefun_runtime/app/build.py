"""Builds the worker of an application: this machine's ports, and the connectors that its module asks for."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from statefun_runtime.adapters.clock import MachineClock
from statefun_runtime.adapters.off_loop import in_a_thread
from statefun_runtime.adapters.storage.commit_log_folder import CommitLogFolder
from statefun_runtime.adapters.storage.object_folder import ObjectFolder
from statefun_runtime.adapters.storage.rocksdb import RocksDbStore
from statefun_runtime.adapters.storage.state_folder import StateFolder
from statefun_runtime.adapters.wire import ReplyReader
from statefun_runtime.app.clients import Clients
from statefun_runtime.app.dead_letters import check_routes
from statefun_runtime.app.factories import Application, make_egress, make_ingress
from statefun_runtime.config.settings import Settings
from statefun_runtime.core.partition.backlog import Function
from statefun_runtime.core.partition.backpressure import Limits
from statefun_runtime.engine.assembly import assemble
from statefun_runtime.engine.beginning import Beginning, Ports
from statefun_runtime.engine.checkpoints.prepared import PreparedStore
from statefun_runtime.engine.ends import EgressServices
from statefun_runtime.engine.settings import EngineSettings
from statefun_runtime.engine.stop import Stop
from statefun_runtime.engine.worker import Worker
from statefun_runtime.ports.egress import EgressSink
from statefun_runtime.ports.function_client import FunctionClient
from statefun_runtime.ports.ingress import IngressContext, IngressSource
from statefun_runtime.ports.module import EgressSpec, IngressSpec
from statefun_runtime.ports.team import Team

_FOUNDING_FILES_MAX = 32
_EGRESS_BYTES_MAX = 64 * 1024 * 1024


class LiveFolders(Protocol):
    """A state folder that has room for live files."""

    folder: Path

    def fresh_live_folder(self) -> Path:
        """Return a path for live files which does not exist."""
        ...

    def discard(self, live: Path) -> None:
        """Throw live files away that will not be used."""
        ...


def machine_ports(folder: LiveFolders, objects: ObjectFolder | None = None) -> Ports:
    """Return the ports of a worker that keeps all it has in one folder of this machine."""
    return Ports(
        checkpoints=objects or ObjectFolder(folder.folder / "objects", in_a_thread),
        commit_log=CommitLogFolder(folder.folder / "log", in_a_thread),
        open_store=RocksDbStore,
        scratch=folder.fresh_live_folder,
        discard=folder.discard,
        make_clock=MachineClock,
        off_loop=in_a_thread,
    )


def founding_ports(folder: StateFolder) -> Ports:
    """Return the same for what is written once and not read: an index of ten gigabytes takes 150 MB of memory."""
    store = partial(RocksDbStore, open_files_max=_FOUNDING_FILES_MAX)
    return replace(machine_ports(folder), open_store=store)


def engine_settings(settings: Settings) -> EngineSettings:
    """Return what the engine needs of the settings."""
    return EngineSettings(
        limits=Limits(
            waiting_bytes_max=settings.waiting_max_bytes,
            spilled_bytes_max=settings.spilled_max_bytes,
            unsaved_bytes_max=settings.unsaved_max_bytes,
            egress_bytes_max=_EGRESS_BYTES_MAX,
            busy_max=settings.async_max_per_task or 0,
            outbox_bytes_max=settings.outbox_max_bytes,
        ),
        key_group_count=settings.key_group_count,
        partition_count=settings.partitions,
        checkpoint_interval_s=settings.checkpoint_interval_s,
        checkpoints_kept=settings.checkpoints_kept,
        abandoned_egresses=settings.abandoned_egresses,
        stop_timeout_s=settings.stop_timeout_s,
        idempotency_keep_ms=settings.idempotency_keep_ms,
        batch_bytes_max=settings.batch_max_bytes,
        cache_addresses_max=settings.cache_max_addresses,
        overlay_bytes_max=settings.overlay_max_bytes,
    )


class ModuleConnectors:
    """The connectors that an application's module asks for."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self._clients = Clients(application)

    def make_client(self, function: Function) -> tuple[FunctionClient, int]:
        """Return the client of a function type, and how many connections it may have."""
        return self._clients.make(function)

    def make_ingress(self, spec: IngressSpec, context: IngressContext) -> IngressSource:
        """Return an ingress that begins where the checkpoint says."""
        return make_ingress(spec, context, self._application)

    def make_egress(self, spec: EgressSpec, services: EgressServices) -> EgressSink[Any]:
        """Return an egress; its letters and rows are the worker's."""
        return make_egress(spec, services, self._application)


async def build_worker(
    application: Application,
    ports: Ports,
    beginning: Beginning,
    stop: Stop,
    team: Team | None = None,
    prepared: PreparedStore | None = None,
) -> Worker:
    """Return a restored worker; raise ConfigError for a dead-letter route that takes no letter."""
    assembly = await assemble(
        ports,
        ModuleConnectors(application),
        application.module,
        engine_settings(application.settings),
        beginning,
        ReplyReader().decode,
        stop,
        team,
        prepared,
    )
    check_routes(application.module, assembly.worker.parts.outcomes)
    return await assembly.restored()
