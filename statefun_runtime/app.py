"""Builds a worker of a module and settings, and runs it: the only place that knows everything."""

import asyncio
import gc
import logging
import signal
import ssl
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, assert_never

from statefun_runtime.adapters.checkpoint_folder import CheckpointFolder, StateFolder
from statefun_runtime.adapters.clock import MachineClock
from statefun_runtime.adapters.http_client import HttpClient
from statefun_runtime.adapters.playground_egress import PlaygroundEgress
from statefun_runtime.adapters.playground_ingress import PlaygroundIngress
from statefun_runtime.adapters.rocksdb_state import RocksDbStore
from statefun_runtime.adapters.telemetry import MetricsPort
from statefun_runtime.adapters.tls import client_context
from statefun_runtime.adapters.wire import decode_reply
from statefun_runtime.config.settings import Settings
from statefun_runtime.core.backpressure import Limits, Load
from statefun_runtime.core.checkpoint import Manifest
from statefun_runtime.core.function import Function
from statefun_runtime.core.overlay import Overlay
from statefun_runtime.core.specs import (
    AsyncTransport,
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
from statefun_runtime.engine.delays import Delays
from statefun_runtime.engine.exchange import Exchange
from statefun_runtime.engine.gate import Gate
from statefun_runtime.engine.lane import Lane
from statefun_runtime.engine.samples import engine_samples
from statefun_runtime.engine.states import States
from statefun_runtime.engine.worker import Parts, Worker
from statefun_runtime.errors import ConfigError, UnavailableError
from statefun_runtime.ports.egress import EgressSink
from statefun_runtime.ports.ingress import IngressSource, Router

log = logging.getLogger("statefun.worker")

_EGRESS_BYTES_MAX = 64 * 1024 * 1024
_OKHTTP_POOL = 1024
_OKHTTP_TTL_S = 60.0
_OKHTTP_REPLY_BYTES_MAX = 32 * 1024 * 1024
_SUSPECTS_SHARE = 2
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
    except* (ConfigError, UnavailableError) as group:
        raise group.exceptions[0] from None


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
        elif "never retrieved" in context["message"]:
            # All our tasks have a parent: a library gave this one up, and what it was for has failed already.
            log.debug("a task that nobody waits for failed: %r", error)
        else:
            loop.default_exception_handler(context)

    asyncio.get_running_loop().set_exception_handler(handle)


async def _live(application: _Application) -> None:
    settings, folder = application.settings, application.folder
    checkpoints = CheckpointFolder(folder.checkpoints)
    manifest = checkpoints.latest()
    _tell_where_it_begins(manifest, folder, settings)
    live = folder.fresh_live_folder()
    unpublished = checkpoints.restore(manifest, live) if manifest else ()
    store = RocksDbStore(live)
    try:
        worker = _build(application, store, checkpoints, manifest)
        metrics = await _listen(application, worker)
    except ConfigError:
        store.close()
        folder.never_ran()
        raise
    worker.restore(unpublished)
    gc.collect()
    gc.freeze()
    try:
        await worker.run(
            application.tasks, application.stop, lambda: _announce(application, worker, metrics)
        )
        saved = worker.save(manifest)
        await worker.close(saved)
    finally:
        store.close()
        if metrics is not None:
            await metrics.close()
    folder.ended_cleanly()
    log.info("stopped; the next start goes on from checkpoint %d", saved.number)


def _tell_where_it_begins(
    manifest: Manifest | None, folder: StateFolder, settings: Settings
) -> None:
    start = f"checkpoint {manifest.number}" if manifest else "nothing: no checkpoint is there"
    if manifest and manifest.key_group_count != settings.key_group_count:
        raise ConfigError(
            f"the state in {settings.state_dir} has {manifest.key_group_count} key groups, the worker "
            f"{settings.key_group_count}",
            code="SF1025",
            hint="the number of key groups is fixed for the life of an application",
        )
    if folder.has_crashed:
        log.warning(
            "the last run did not stop cleanly: what it did since its start is lost, and it starts from %s",
            start,
        )
    elif manifest:
        log.info("continues from %s", start)


def _build(
    application: _Application,
    store: RocksDbStore,
    checkpoints: CheckpointFolder,
    manifest: Manifest | None,
) -> Worker:
    settings, module = application.settings, application.module
    clock = MachineClock(manifest.created_ms if manifest else 0)
    limits = Limits(settings.waiting_max_bytes, _EGRESS_BYTES_MAX, settings.async_max_per_task or 0)
    load = Load(limits)
    states = States(
        store, Overlay(settings.overlay_max_bytes), cache_max=settings.cache_max_addresses
    )
    delays = Delays(states, clock, key_group_count=settings.key_group_count)
    egresses: dict[tuple[str, str], EgressSink] = {
        (spec.id.namespace, spec.id.name): _egress(spec, settings) for spec in module.egresses
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
            load,
            clock,
            batch_bytes_max=settings.batch_max_bytes,
            suspects_max=max(1, pool_size // _SUSPECTS_SHARE),
        )

    exchange = Exchange(module, states, load, make_lane, key_group_count=settings.key_group_count)
    applier.exchange = exchange
    gate = Gate(exchange, load, lambda: sum(sink.backlog_bytes() for sink in egresses.values()))
    positions = manifest.positions if manifest else {}
    ingresses = {
        str(spec.id): _ingress(spec, gate, positions.get(str(spec.id), {}), settings)
        for spec in module.ingresses
    }
    parts = Parts(
        store, states, load, delays, exchange, gate, clock, egresses, ingresses, checkpoints
    )
    return Worker(
        parts,
        key_group_count=settings.key_group_count,
        partition_count=settings.partitions,
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
    spec: IngressSpec, router: Router, restored: dict[str, int], settings: Settings
) -> IngressSource:
    match spec:
        case PlaygroundIngressSpec():
            return PlaygroundIngress(
                spec, router, host=settings.host, body_bytes_max=_INGRESS_BODY_BYTES_MAX
            )
        case KafkaIngressSpec():
            # The Kafka client takes long to import, and many applications need none.
            from statefun_runtime.adapters.kafka_ingress import KafkaIngress

            return KafkaIngress(spec, router, restored)
        case _:
            assert_never(spec)


def _egress(spec: EgressSpec, settings: Settings) -> EgressSink:
    match spec:
        case PlaygroundEgressSpec():
            return PlaygroundEgress(spec, host=settings.host)
        case KafkaEgressSpec():
            from statefun_runtime.adapters.kafka_egress import KafkaEgress

            return KafkaEgress(spec)
        case _:
            assert_never(spec)


async def _listen(application: _Application, worker: Worker) -> MetricsPort | None:
    for sink in worker.parts.egresses.values():
        await sink.start()
    for ingress in worker.parts.ingresses.values():
        # A port that cannot be had must be known before anything runs.
        if isinstance(ingress, PlaygroundIngress):
            await ingress.listen()
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
