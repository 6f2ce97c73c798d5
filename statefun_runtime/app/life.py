"""One life of a worker process: loop, signals, recovery, run, stop."""

import asyncio
import gc
import logging
import secrets
import signal
import time
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from itertools import chain
from typing import Any

from statefun_runtime.adapters.admin.admin_socket import AdminSocket, admin_socket
from statefun_runtime.adapters.admin.metrics_port import MetricsPort
from statefun_runtime.adapters.admin.process_facts import ProcessFacts
from statefun_runtime.adapters.descriptors import Descriptors, raise_limit, tell
from statefun_runtime.adapters.storage.state_folder import StateFolder
from statefun_runtime.app.banner import announce
from statefun_runtime.app.beginning import (
    name_of,
    require_folder,
    require_ports,
    require_state,
    require_topics,
    tell_left_behind,
)
from statefun_runtime.app.build import build_worker, engine_settings, machine_ports
from statefun_runtime.app.commands import make_commands
from statefun_runtime.app.embedded import Embedded
from statefun_runtime.app.endpoint_security import AllEndpointSecurity, prepare_security
from statefun_runtime.app.factories import Application
from statefun_runtime.app.local_kafka import with_local_kafka
from statefun_runtime.app.places import (
    keep_place,
    require_reachable,
    require_same_place,
    with_place,
)
from statefun_runtime.app.shadow import (
    apply_shadow,
    named,
    require_own_folder,
    shadow_metrics,
    shadow_of,
)
from statefun_runtime.config.settings import Settings
from statefun_runtime.core.checkpoints.commits import Completed, History
from statefun_runtime.core.checkpoints.manifest import ObjectId
from statefun_runtime.engine.beginning import Beginning, Ports, begin
from statefun_runtime.engine.checkpoints.recovery import Names, StartingPoint, is_whole
from statefun_runtime.engine.metrics import engine_metrics
from statefun_runtime.engine.stop import Stop
from statefun_runtime.engine.worker import Worker
from statefun_runtime.errors import ConfigError, StatefunError
from statefun_runtime.ports.checkpoint_store import CheckpointStore
from statefun_runtime.ports.egress import Listens
from statefun_runtime.ports.module import ModuleSpec

log = logging.getLogger("statefun.worker")

_FAR_AHEAD_S = 3600.0
_OUR_PACKAGE = "statefun_runtime."
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
    folder = StateFolder(settings.state_dir)
    try:
        gc.set_threshold(*_GC_THRESHOLDS)
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(_run(settings, module, security, folder, descriptors))
    finally:
        folder.close()


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


async def _run(
    settings: Settings,
    module: ModuleSpec,
    security: AllEndpointSecurity,
    folder: StateFolder,
    descriptors: Descriptors,
) -> None:
    stop = Stop()
    _stop_on_signals(stop)
    try:
        async with asyncio.TaskGroup() as tasks:
            _crash_on_bugs(tasks)
            await _live(settings, module, security, folder, descriptors, tasks, stop)
    except* StatefunError as group:
        error: BaseException = group
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        raise error from None


def _stop_on_signals(stop: Stop) -> None:
    """The first signal asks for a clean stop, the second ends the process at once."""
    loop = asyncio.get_running_loop()

    def stopped(number: int) -> None:
        if stop.is_asked:
            log.error("stopped at once; the next start goes on from the last clean stop")
            logging.shutdown()
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        log.info("stopping; once more to stop at once")
        stop.ask()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped, number)


def _crash_on_bugs(tasks: asyncio.TaskGroup) -> None:
    """An exception in a callback is a bug of ours: the worker ends rather than go on half."""

    async def crash(error: BaseException) -> None:
        raise error

    def handle(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        in_protocol = type(context.get("protocol")).__module__.startswith(_OUR_PACKAGE)
        is_in_callback = isinstance(error, Exception) and ("handle" in context or in_protocol)
        if is_in_callback or isinstance(error, AssertionError):
            assert error is not None
            tasks.create_task(crash(error))
        elif "never retrieved" in context["message"]:
            # All our tasks have a parent: a library gave this one up, and what it was for has failed already.
            log.debug("a task that nobody waits for failed: %r", error)
        else:
            loop.default_exception_handler(context)

    asyncio.get_running_loop().set_exception_handler(handle)


async def _live(
    settings: Settings,
    module: ModuleSpec,
    security: AllEndpointSecurity,
    folder: StateFolder,
    descriptors: Descriptors,
    tasks: asyncio.TaskGroup,
    stop: Stop,
) -> None:
    ports = with_place(machine_ports(folder), settings, folder.folder / "live" / "fetched")
    await require_reachable(ports)
    names = Names(str(uuid.uuid4()), secrets.token_hex(8), str(uuid.uuid4()), named(settings))
    history = History(tuple(await ports.commit_log.read()))
    require_own_folder(settings, history)
    require_same_place(settings, history)
    origin = await _origin(settings, history, ports.checkpoints)
    beginning = await begin(ports, history, names, engine_settings(settings), origin=origin)
    require_state(settings, beginning.start)
    keep_place(settings.state_dir, settings.checkpoints)
    beginning = _with_homes(beginning, settings, module)
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
    _tell_where_it_begins(settings, beginning.start, beginning.history)
    tell_left_behind(beginning.start, module, worker.parts.states)
    facts = ProcessFacts()
    metrics, admin = await _listen(application, worker, facts)
    gc.collect()
    gc.freeze()
    beside = [tasks.create_task(admin.run()), tasks.create_task(facts.run())]
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


async def _origin(
    settings: Settings, history: History, objects: CheckpointStore
) -> ObjectId | None:
    """Return the manifest that a flag names: of a savepoint, or of an older checkpoint."""
    if settings.from_savepoint is not None:
        return await objects.take_in_savepoint(settings.from_savepoint)
    if settings.from_checkpoint is None:
        return None
    there = await objects.ids()
    for entry in history.entries:
        if isinstance(entry, Completed) and entry.epoch == settings.from_checkpoint:
            if await is_whole(entry.manifest, objects, there):
                return entry.manifest
            break
    raise ConfigError(
        f"no complete checkpoint {settings.from_checkpoint} is kept in {settings.state_dir}",
        code="SF1049",
        hint="`statefun-worker checkpoints list` shows which there are",
    )


def _with_homes(beginning: Beginning, settings: Settings, module: ModuleSpec) -> Beginning:
    """Return it with those outboxes that may not have left, are not dropped, and have a home."""
    outboxes = beginning.outboxes
    if outboxes and not beginning.start.is_ours:
        # What the original has yet to send is for its own topics.
        decided = "drop" if settings.shadow else settings.savepoint_outbox
        if decided is None:
            raise ConfigError(
                f"the savepoint holds {len(outboxes)} outboxes which its own application may have published",
                code="SF1050",
                hint="say --savepoint-outbox drop, or --savepoint-outbox publish to send them once more",
            )
        if decided == "drop":
            return beginning.without_outboxes()
    known = {str(spec.id) for spec in module.egresses}
    homeless = Counter[str]()
    for outbox in outboxes:
        if outbox.egress not in known:
            homeless[outbox.egress] += outbox.count
    for egress, count in homeless.items():
        if egress not in settings.abandoned_egresses:
            raise ConfigError(
                f"egress '{egress}' is not in the module any more, but has {count} records that may not have left",
                code="SF1047",
                hint=f"put it back until they have left, or drop them with --abandon-egress {egress}",
            )
        log.warning("%d records of egress '%s', which is gone, are dropped as told", count, egress)
    at_home = tuple(outbox for outbox in outboxes if outbox.egress in known)
    return replace(beginning, outboxes=at_home)


def _tell_where_it_begins(settings: Settings, start: StartingPoint, history: History) -> None:
    manifest, started = start.manifest, start.started
    if manifest is None:
        log.info(
            "begins as new application %s, incarnation %d: %s holds no complete checkpoint",
            name_of(started),
            started.incarnation,
            settings.state_dir,
        )
        return
    when = datetime.fromtimestamp(manifest.created_ms / 1000).isoformat(" ", "seconds")
    log.info(
        "application %s continues from checkpoint %d of %s, incarnation %d",
        name_of(started),
        manifest.epoch,
        when,
        started.incarnation,
    )
    ahead_s = time.time() - manifest.created_ms / 1000
    if ahead_s > _FAR_AHEAD_S:
        log.info(
            "%.1f hours have passed since that checkpoint: what became due or expired meanwhile takes effect now",
            ahead_s / 3600,
        )
    if history.last_epoch > manifest.epoch and manifest.lineage != started.lineage:
        log.warning(
            "a new lineage begins: what was published after checkpoint %d may be published again",
            manifest.epoch,
        )


async def _listen(
    application: Application, worker: Worker, facts: ProcessFacts
) -> tuple[MetricsPort | None, AdminSocket]:
    settings = application.settings
    for egress in worker.parts.egresses.values():
        await egress.start()
    for ingress in worker.parts.ingresses.values():
        # A port that cannot be had must be known before anything runs.
        if isinstance(ingress, Listens):
            await ingress.listen()

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
