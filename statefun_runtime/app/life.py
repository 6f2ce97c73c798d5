"""One life of a worker process: loop, signals, recovery, run, stop."""

import asyncio
import gc
import logging
import signal
from itertools import chain

from statefun_runtime.adapters.admin.admin_socket import AdminSocket, admin_socket
from statefun_runtime.adapters.admin.metrics_port import MetricsPort
from statefun_runtime.adapters.admin.process_facts import ProcessFacts
from statefun_runtime.adapters.descriptors import Descriptors, raise_limit, tell
from statefun_runtime.adapters.memory import reuse_memory
from statefun_runtime.adapters.storage.state_folder import StateFolder
from statefun_runtime.app.banner import announce
from statefun_runtime.app.build import build_worker
from statefun_runtime.app.commands import make_commands
from statefun_runtime.app.embedded import Embedded
from statefun_runtime.app.endpoint_security import AllEndpointSecurity, prepare_security
from statefun_runtime.app.factories import Application
from statefun_runtime.app.local_kafka import with_local_kafka
from statefun_runtime.app.loops import crash_on_bugs, loop_factory, stop_on_signals
from statefun_runtime.app.shadow import (
    apply_shadow,
    shadow_metrics,
    shadow_of,
)
from statefun_runtime.app.start.beginning import begin_application, tell_where_it_begins
from statefun_runtime.app.start.requirements import (
    require_folder,
    require_ports,
    require_topics,
    tell_left_behind,
)
from statefun_runtime.config.settings import Settings
from statefun_runtime.engine.beginning import Beginning, Ports
from statefun_runtime.engine.metrics import engine_metrics
from statefun_runtime.engine.stop import Stop
from statefun_runtime.engine.worker import Worker
from statefun_runtime.errors import ConfigError, StatefunError, first_of
from statefun_runtime.ports.module import ModuleSpec

log = logging.getLogger("statefun.worker")

# A collection of the second generation looks at 60,000 objects, which takes less than 20 ms; one of all there are comes
# after fifty million, or when there are a quarter more.
_GC_THRESHOLDS = (10_000, 5, 800)


def run_application(settings: Settings, module: ModuleSpec) -> None:
    """Run a worker until it is told to stop; raise StatefunError if it cannot run, or not go on."""
    if not __debug__:
        raise ConfigError(
            "the worker does not run under python -O: its assertions guard your data", code="SF1044"
        )
    # What cannot be used must be known before anything begins.
    shadow = shadow_of(settings)
    if shadow is not None:
        module = apply_shadow(module, shadow)
    if settings.local_kafka is not None:
        module = with_local_kafka(module, settings.local_kafka)
    security = prepare_security(module)
    descriptors = raise_limit()
    tell(descriptors, sum(endpoint.transport.pool_size for endpoint in module.endpoints))
    require_topics(settings, module)
    require_ports(settings, module)
    require_folder(settings)
    if settings.cluster is not None:
        from statefun_runtime.app.cluster.carried import with_carried_http

        module = with_carried_http(module, settings.cluster)
    gc.set_threshold(*_GC_THRESHOLDS)
    try:
        if settings.cluster is not None:
            from statefun_runtime.app.cluster.running import run_process
            from statefun_runtime.app.team.member import Loaded

            run_process(Loaded(settings, module, security, descriptors))
        elif settings.workers > 1:
            from statefun_runtime.app.team.member import Loaded
            from statefun_runtime.app.team.running import run_team

            run_team(Loaded(settings, module, security, descriptors))
        else:
            _run_alone(settings, module, security, descriptors)
    except* StatefunError as group:
        raise first_of(group) from None


def _run_alone(
    settings: Settings,
    module: ModuleSpec,
    security: AllEndpointSecurity,
    descriptors: Descriptors,
) -> None:
    folder = StateFolder(settings.state_dir)
    try:
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            runner.run(_run(settings, module, security, folder, descriptors))
    finally:
        folder.close()


async def _run(
    settings: Settings,
    module: ModuleSpec,
    security: AllEndpointSecurity,
    folder: StateFolder,
    descriptors: Descriptors,
) -> None:
    stop = Stop()
    stop_on_signals(stop)
    async with asyncio.TaskGroup() as tasks:
        crash_on_bugs(tasks)
        await _live(settings, module, security, folder, descriptors, tasks, stop)


async def _live(
    settings: Settings,
    module: ModuleSpec,
    security: AllEndpointSecurity,
    folder: StateFolder,
    descriptors: Descriptors,
    tasks: asyncio.TaskGroup,
    stop: Stop,
) -> None:
    ports, beginning = await begin_application(settings, module, folder)
    # Before anything is written: functions that cannot be had are a mistake in the module.
    async with Embedded(
        module, tasks.create_task, folder.folder / "live" / "functions"
    ) as embedded:
        _reload_on_signal(embedded)
        application = Application(
            settings,
            module,
            folder,
            tasks,
            beginning.start,
            beginning.history,
            ports.checkpoints,
            security=security,
            descriptors=descriptors,
            embedded=embedded,
        )
        await _work(application, ports, beginning, stop)
    if stop.failure is not None:
        raise stop.failure


def _reload_on_signal(embedded: Embedded) -> None:
    """Without embedded functions SIGHUP is what it is to every process: the end of its terminal."""
    if embedded.can_reload:
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, embedded.reload)


async def _work(application: Application, ports: Ports, beginning: Beginning, stop: Stop) -> None:
    settings, module, tasks = application.settings, application.module, application.tasks
    worker = await build_worker(application, ports, beginning, stop)
    tell_where_it_begins(settings, beginning)
    tell_left_behind(beginning.start, module, worker.parts.states)
    facts = ProcessFacts()
    metrics, admin = await _listen(application, worker, facts)
    gc.collect()
    gc.freeze()
    beside = [
        tasks.create_task(admin.run()),
        tasks.create_task(facts.run()),
        tasks.create_task(reuse_memory()),
    ]
    try:
        await worker.run(tasks, lambda: announce(application, metrics))
        await worker.close()
    finally:
        for task in beside:
            task.cancel()
        worker.parts.states.store.close()
        await admin.close()
        if metrics is not None:
            await metrics.close()
    last = worker.parts.checkpointer.last_complete
    log.info("stopped; the next start goes on from checkpoint %d", last.epoch if last else 0)


async def _listen(
    application: Application, worker: Worker, facts: ProcessFacts
) -> tuple[MetricsPort | None, AdminSocket]:
    settings = application.settings
    await worker.listen()

    shadow = shadow_of(settings)
    commands = make_commands(
        worker, settings.savepoints, shadow="" if shadow is None else str(shadow)
    )
    admin = AdminSocket(admin_socket(settings.state_dir), commands)
    await admin.start()
    if settings.metrics_port is None:
        return None, admin
    embedded = application.embedded
    assert embedded is not None
    metrics = MetricsPort(
        lambda: chain(
            shadow_metrics(shadow),
            engine_metrics(worker.parts),
            embedded.metrics(),
            facts.metrics(),
        ),
        worker.readiness.reasons,
        worker.readiness.waits,
        is_shadow=settings.shadow,
        host=settings.host,
        port=settings.metrics_port,
    )
    await metrics.start()
    return metrics, admin
