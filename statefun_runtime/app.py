"""Builds a worker of a module and settings, and runs it: the only place that knows everything."""

import asyncio
import gc
import logging
import secrets
import signal
import ssl
import sys
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, assert_never

from statefun_runtime.adapters.clock import MachineClock
from statefun_runtime.adapters.commit_log_folder import CommitLogFolder
from statefun_runtime.adapters.http_client import HttpClient
from statefun_runtime.adapters.ingress_log import IngressLog
from statefun_runtime.adapters.object_folder import ObjectFolder
from statefun_runtime.adapters.playground_egress import PlaygroundEgress
from statefun_runtime.adapters.playground_ingress import PlaygroundIngress
from statefun_runtime.adapters.rocksdb_state import RocksDbStore
from statefun_runtime.adapters.state_folder import StateFolder
from statefun_runtime.adapters.telemetry import MetricsPort
from statefun_runtime.adapters.tls import client_context
from statefun_runtime.adapters.wire import decode_reply
from statefun_runtime.config.settings import Settings
from statefun_runtime.core.backpressure import Limits, Load
from statefun_runtime.core.checkpoint import Outbox
from statefun_runtime.core.commits import History
from statefun_runtime.core.function import Function
from statefun_runtime.core.overlay import Overlay
from statefun_runtime.core.retention import Retention
from statefun_runtime.core.specs import (
    AsyncTransport,
    DeliverySemantic,
    EgressSpec,
    EndpointSpec,
    IngressSpec,
    KafkaEgressSpec,
    KafkaIngressSpec,
    ModuleSpec,
    OkHttpTransport,
    PlaygroundEgressSpec,
    PlaygroundIngressSpec,
)
from statefun_runtime.engine.applier import Applier
from statefun_runtime.engine.checkpointer import Checkpointer, Identity
from statefun_runtime.engine.delays import Delays
from statefun_runtime.engine.exchange import Exchange
from statefun_runtime.engine.gate import Gate
from statefun_runtime.engine.lane import Lane
from statefun_runtime.engine.once import Once
from statefun_runtime.engine.recovery import (
    StartingPoint,
    apply_deltas,
    choose_start,
    pending_outboxes,
    place_base,
)
from statefun_runtime.engine.samples import engine_samples
from statefun_runtime.engine.spills import Spills
from statefun_runtime.engine.states import States
from statefun_runtime.engine.sweep import Sweep
from statefun_runtime.engine.worker import Parts, Worker
from statefun_runtime.errors import ConfigError, StatefunError
from statefun_runtime.ports.egress import EgressSink
from statefun_runtime.ports.ingress import IngressSource, Router
from statefun_runtime.ports.rows import Rows

log = logging.getLogger("statefun.worker")

_EGRESS_BYTES_MAX = 64 * 1024 * 1024
_OKHTTP_POOL = 1024
_OKHTTP_TTL_S = 60.0
_OKHTTP_REPLY_BYTES_MAX = 32 * 1024 * 1024
_SUSPECTS_SHARE = 2
_OWNER = "standalone"
_SWEEP_ROUND_S = 600.0
_INGRESS_BODY_BYTES_MAX = 16 * 1024 * 1024
_GC_THRESHOLDS = (50_000, 20, 50)


class _Stop(Exception):
    """Ends the task group when the worker has stopped by itself."""


@dataclass(slots=True)
class _Application:
    """What `run` holds while the worker lives."""

    settings: Settings
    module: ModuleSpec
    folder: StateFolder
    tasks: asyncio.TaskGroup
    stop: asyncio.Event


def run_application(settings: Settings, module: ModuleSpec) -> None:
    """Run a worker until it is told to stop; raise StatefunError if it cannot run, or not go on."""
    if not __debug__:
        raise ConfigError(
            "the worker does not run under python -O: its assertions guard your data", code="SF1024"
        )
    folder = StateFolder(settings.state_dir)
    try:
        gc.set_threshold(*_GC_THRESHOLDS)
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(_run(settings, module, folder))
    finally:
        folder.close()


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


async def _run(settings: Settings, module: ModuleSpec, folder: StateFolder) -> None:
    stop = asyncio.Event()
    _stop_on_signals(stop)
    try:
        async with asyncio.TaskGroup() as tasks:
            application = _Application(settings, module, folder, tasks, stop)
            _crash_on_bugs(tasks)
            await _live(application)
    except* StatefunError as group:
        error: BaseException = group
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        raise error from None


def _stop_on_signals(stop: asyncio.Event) -> None:
    """The first signal asks for a clean stop, the second ends the process at once."""
    loop = asyncio.get_running_loop()

    def stopped(number: int) -> None:
        if stop.is_set():
            log.error("stopped at once; the next start goes on from the last clean stop")
            logging.shutdown()
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        log.info("stopping; once more to stop at once")
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped, number)


def _crash_on_bugs(tasks: asyncio.TaskGroup) -> None:
    """An exception in a callback is a bug of ours: the worker ends rather than go on half."""

    async def crash(error: BaseException) -> None:
        raise error

    def handle(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if (isinstance(error, Exception) and "handle" in context) or isinstance(
            error, AssertionError
        ):
            tasks.create_task(crash(error))
        else:
            loop.default_exception_handler(context)

    asyncio.get_running_loop().set_exception_handler(handle)


async def _live(application: _Application) -> None:
    """One life: from the commit log's entry of its start to its last checkpoint."""
    settings, folder = application.settings, application.folder
    objects = ObjectFolder(folder.folder / "objects")
    commit_log = CommitLogFolder(folder.folder / "log")
    history = History(tuple(commit_log.read()))
    start = choose_start(
        history,
        objects,
        key_group_count=settings.key_group_count,
        application=str(uuid.uuid4()),
        nonce=secrets.token_hex(8),
        lineage=str(uuid.uuid4()),
    )
    commit_log.append(start.started)
    history = History((*history.entries, start.started))
    _tell_where_it_begins(start)
    outboxes = pending_outboxes(start.manifest, start.kept, objects)
    _check_homes(outboxes, application.module)
    worker = _build(application, start, history, objects, commit_log)
    metrics = await _listen(application, worker)
    worker.restore(outboxes)
    gc.collect()
    gc.freeze()
    try:
        await worker.run(
            application.tasks, application.stop, lambda: _announce(application, worker, metrics)
        )
        await worker.close()
    finally:
        worker.parts.states.store.close()
        if metrics is not None:
            await metrics.close()
    last = worker.parts.checkpointer.last_complete
    log.info("stopped; the next start goes on from checkpoint %d", last.epoch if last else 0)


def _tell_where_it_begins(start: StartingPoint) -> None:
    manifest, started = start.manifest, start.started
    if manifest is not None:
        when = datetime.fromtimestamp(manifest.created_ms / 1000).isoformat(" ", "seconds")
        log.info(
            "continues from checkpoint %d of %s, incarnation %d",
            manifest.epoch,
            when,
            started.incarnation,
        )
    elif started.incarnation > 1:
        log.info(
            "begins anew, incarnation %d: no checkpoint was completed before", started.incarnation
        )


def _check_homes(outboxes: list[tuple[Outbox, list[bytes]]], module: ModuleSpec) -> None:
    """Records that have not left keep their egress in the module."""
    known = {str(spec.id) for spec in module.egresses}
    for outbox, _ in outboxes:
        if outbox.egress not in known:
            raise ConfigError(
                f"egress '{outbox.egress}' is not in the module any more, but has records that have not left",
                code="SF1027",
                hint="put it back until they have left",
            )


def _open_store(
    application: _Application, start: StartingPoint, objects: ObjectFolder
) -> RocksDbStore:
    live = application.folder.fresh_live_folder()
    place_base(start.manifest, objects, live)
    store = RocksDbStore(live)
    apply_deltas(start.manifest, objects, store)
    return store


def _build(
    application: _Application,
    start: StartingPoint,
    history: History,
    objects: ObjectFolder,
    commit_log: CommitLogFolder,
) -> Worker:
    settings, module, manifest = application.settings, application.module, start.manifest
    clock = MachineClock(manifest.created_ms if manifest else 0)
    load = Load(
        Limits(
            settings.waiting_max_bytes,
            settings.spilled_max_bytes,
            settings.unsaved_max_bytes,
            _EGRESS_BYTES_MAX,
            settings.async_max_per_task or 0,
        )
    )
    states = States(
        _open_store(application, start, objects),
        Overlay(settings.overlay_max_bytes),
        cache_max=settings.cache_max_addresses,
    )
    spills = Spills(states, load)
    key_groups = settings.key_group_count
    delays = Delays(states, clock, key_group_count=key_groups)
    once = Once(states, clock, key_group_count=key_groups, keep_ms=settings.idempotency_keep_ms)
    egresses = {
        spec.id: _egress(spec, settings, start, history, states) for spec in module.egresses
    }
    applier = Applier(egresses, states, delays, clock)

    def make_lane(function: Function) -> Lane:
        client, pool_size = _client(function.endpoint, function.url, application.tasks)
        return Lane(
            function,
            client,
            decode_reply,
            applier,
            states,
            spills,
            load,
            clock,
            batch_bytes_max=settings.batch_max_bytes,
            suspects_max=max(1, pool_size // _SUSPECTS_SHARE),
        )

    exchange = Exchange(
        module, states, spills, load, make_lane, key_group_count=settings.key_group_count
    )
    applier.exchange = exchange
    gate = Gate(
        exchange,
        once,
        load,
        lambda: sum(sink.backlog_bytes() for sink in egresses.values()),
        lambda: states.unsaved_bytes,
    )
    positions = manifest.positions if manifest else {}
    ingresses = {
        str(spec.id): _ingress(spec, gate, positions.get(str(spec.id), {}), application)
        for spec in module.ingresses
    }
    sinks = {str(egress_id): sink for egress_id, sink in egresses.items()}
    checkpointer = Checkpointer(
        Identity(start.started, settings.key_group_count, settings.partitions),
        states,
        spills,
        clock,
        ingresses,
        sinks,
        objects,
        commit_log,
        asyncio.to_thread,
        interval_s=settings.checkpoint_interval_s,
        retention=Retention(settings.checkpoints_kept, start.kept, objects.ids()),
        last=manifest,
        scratch=application.folder.fresh_live_folder,
    )

    def rebuild() -> RocksDbStore:
        states.store.close()
        checkpointer.store_replaced()
        last = checkpointer.last_complete
        return _open_store(application, StartingPoint(start.started, last, ()), objects)

    states.rebuild = rebuild
    for sink in egresses.values():
        if isinstance(sink, PlaygroundEgress):
            sink.settled = checkpointer.settled
    sweep = Sweep(states, exchange, once, clock, key_group_count=key_groups, round_s=_SWEEP_ROUND_S)
    parts = Parts(
        states, load, delays, exchange, gate, sweep, clock, sinks, ingresses, checkpointer
    )
    return Worker(
        parts,
        key_group_count=settings.key_group_count,
        stop_timeout_s=settings.stop_timeout_s,
    )


def _client(endpoint: EndpointSpec, url: str, tasks: asyncio.TaskGroup) -> tuple[HttpClient, int]:
    transport = endpoint.transport
    tls: ssl.SSLContext | None = None
    if url.startswith("https:"):
        tls = client_context(transport.tls if isinstance(transport, AsyncTransport) else None)
    match transport:
        case AsyncTransport():
            client = HttpClient(
                url,
                tasks.create_task,
                connect_s=transport.connect_s,
                pool_size=transport.pool_size,
                pool_ttl_s=transport.pool_ttl_s,
                payload_bytes_max=transport.payload_max_bytes,
                tls=tls,
            )
            return client, transport.pool_size
        case OkHttpTransport():
            client = HttpClient(
                url,
                tasks.create_task,
                connect_s=transport.connect_s,
                pool_size=_OKHTTP_POOL,
                pool_ttl_s=_OKHTTP_TTL_S,
                payload_bytes_max=_OKHTTP_REPLY_BYTES_MAX,
                tls=tls,
            )
            return client, _OKHTTP_POOL
        case _:
            assert_never(transport)


def _ingress(
    spec: IngressSpec, router: Router, restored: dict[str, int], application: _Application
) -> IngressSource:
    match spec:
        case PlaygroundIngressSpec():
            name = f"{spec.id.namespace}.{spec.id.name}"
            return PlaygroundIngress(
                spec,
                router,
                IngressLog(application.folder.folder / "ingress" / name),
                asyncio.to_thread,
                restored,
                host=application.settings.host,
                body_bytes_max=_INGRESS_BODY_BYTES_MAX,
                checkpoints_kept=application.settings.checkpoints_kept,
            )
        case KafkaIngressSpec():
            # The Kafka client takes long to import, and many applications need none.
            from statefun_runtime.adapters.kafka_ingress import KafkaIngress

            return KafkaIngress(spec, router, restored)
        case _:
            assert_never(spec)


def _egress(
    spec: EgressSpec, settings: Settings, start: StartingPoint, history: History, rows: Rows
) -> EgressSink:
    match spec:
        case PlaygroundEgressSpec():
            started = start.started
            return PlaygroundEgress(
                spec,
                rows,
                host=settings.host,
                origin=f"{started.application[:8]}-{started.lineage[:8]}",
                complete_epoch=started.from_epoch,
            )
        case KafkaEgressSpec():
            if spec.delivery is DeliverySemantic.EXACTLY_ONCE:
                from statefun_runtime.adapters.kafka_publisher import KafkaPublisher

                return KafkaPublisher(spec, start.started, history, owner=_OWNER)
            from statefun_runtime.adapters.kafka_egress import KafkaEgress

            return KafkaEgress(spec)
        case _:
            assert_never(spec)


async def _listen(application: _Application, worker: Worker) -> MetricsPort | None:
    for sink in worker.parts.egresses.values():
        await sink.start()
    port = application.settings.metrics_port
    if port is None:
        return None
    metrics = MetricsPort(
        lambda: engine_samples(worker.parts),
        lambda: worker.is_ready,
        host=application.settings.host,
        port=port,
    )
    await metrics.start()
    return metrics


def _announce(application: _Application, worker: Worker, metrics: MetricsPort | None) -> None:
    for line in _what_runs(application, worker, metrics):
        print(line, file=sys.stderr, flush=True)


def _what_runs(
    application: _Application, worker: Worker, metrics: MetricsPort | None
) -> Iterator[str]:
    settings, module = application.settings, application.module
    yield f"statefun-worker runs {settings.module}"
    for ingress in module.ingresses:
        yield f"  ingress   {ingress.id}  {_ingress_place(ingress, settings)}"
    for endpoint in module.endpoints:
        yield f"  functions {endpoint.pattern}  {endpoint.url_template}"
    for egress in module.egresses:
        yield f"  egress    {egress.id}  {_egress_place(egress, settings)}"
    if metrics is not None:
        yield f"  metrics   http://{settings.host}:{metrics.port}/metrics"
    yield f"  state     {settings.state_dir}  ({settings.partitions} partitions)"


def _ingress_place(spec: IngressSpec, settings: Settings) -> str:
    if isinstance(spec, PlaygroundIngressSpec):
        return f"PUT http://{settings.host}:{spec.port}/namespace/name/id"
    topics = ", ".join(route.topic for route in spec.routes)
    return f"Kafka {spec.bootstrap_servers}, topics {topics}"


def _egress_place(spec: EgressSpec, settings: Settings) -> str:
    if isinstance(spec, PlaygroundEgressSpec):
        return " ".join(f"GET http://{settings.host}:{spec.port}/{topic}" for topic in spec.topics)
    return f"Kafka {spec.bootstrap_servers}, {spec.delivery.value}"
