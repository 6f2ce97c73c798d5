"""Builds the worker: engine and adapters, tied together."""

import asyncio
from collections.abc import Callable

from statefun_runtime.adapters.clock import MachineClock
from statefun_runtime.adapters.storage.commit_log_folder import CommitLogFolder
from statefun_runtime.adapters.storage.object_folder import ObjectFolder
from statefun_runtime.adapters.storage.rocksdb import RocksDbStore
from statefun_runtime.adapters.wire import decode_reply
from statefun_runtime.app.dead_letters import make_outcomes
from statefun_runtime.app.egress_letters import EgressLetters
from statefun_runtime.app.factories import Application, make_client, make_egress, make_ingress
from statefun_runtime.config.settings import Settings
from statefun_runtime.connectors.playground.writer import PlaygroundEgress
from statefun_runtime.core.checkpoints.manifest import Manifest
from statefun_runtime.core.checkpoints.overlay import Overlay
from statefun_runtime.core.checkpoints.retention import Retention
from statefun_runtime.core.model.function import Function
from statefun_runtime.core.partition.backpressure import Limits, Load
from statefun_runtime.engine.checkpoints.checkpointer import Checkpointer
from statefun_runtime.engine.checkpoints.recovery import Heads, apply_deltas, place_base
from statefun_runtime.engine.checkpoints.snapshots import Identity
from statefun_runtime.engine.dispatch.applier import Applier
from statefun_runtime.engine.dispatch.dispatcher import Dispatcher
from statefun_runtime.engine.dispatch.exchange import Exchange
from statefun_runtime.engine.dispatch.gate import Gate
from statefun_runtime.engine.dispatch.outcomes import Outcomes
from statefun_runtime.engine.state.delays import Delays
from statefun_runtime.engine.state.expiry import Expiry
from statefun_runtime.engine.state.idempotency import Idempotency
from statefun_runtime.engine.state.spills import Spills
from statefun_runtime.engine.state.states import States
from statefun_runtime.engine.worker import Parts, Worker
from statefun_runtime.ports.egress import EgressSink
from statefun_runtime.ports.ingress import IngressSource

_EGRESS_BYTES_MAX = 64 * 1024 * 1024
_SUSPECTS_SHARE = 2
_SWEEP_ROUND_S = 600.0


def _open_store(
    application: Application, manifest: Manifest | None, objects: ObjectFolder
) -> tuple[RocksDbStore, Heads]:
    live = application.folder.fresh_live_folder()
    place_base(manifest, objects, live)
    store = RocksDbStore(live)
    return store, apply_deltas(manifest, objects, store)


def build_worker(application: Application, commit_log: CommitLogFolder) -> tuple[Worker, Heads]:
    """Build the worker of an application; its state is that of the starting point's checkpoint.

    Returned with it are the heads of the backlogs, which it has yet to be given.
    """
    settings, module, manifest = (
        application.settings,
        application.module,
        application.start.manifest,
    )
    key_groups = settings.key_group_count
    clock = MachineClock(manifest.created_ms if manifest else 0)
    load = _make_load(settings)
    objects = application.objects
    store, heads = _open_store(application, manifest, objects)
    states = States(
        store, Overlay(settings.overlay_max_bytes), cache_max=settings.cache_max_addresses
    )
    spills = Spills(states, load)
    delays = Delays(states, load, clock, key_group_count=key_groups)
    idempotency = Idempotency(
        states, clock, key_group_count=key_groups, keep_ms=settings.idempotency_keep_ms
    )
    letters = EgressLetters()
    egresses = {
        spec.id: make_egress(spec, states, application, letters) for spec in module.egresses
    }
    outcomes = letters.outcomes = make_outcomes(application, egresses, states, clock)
    applier = Applier(egresses, states, delays, clock)
    make_dispatcher = _dispatcher_maker(application, applier, outcomes, states, spills, load, clock)
    exchange = Exchange(module, states, spills, load, make_dispatcher, key_group_count=key_groups)
    applier.exchange = exchange
    sinks = {str(egress_id): sink for egress_id, sink in egresses.items()}
    gate = _make_gate(exchange, idempotency, outcomes, load, states, sinks)
    ingresses = {str(spec.id): make_ingress(spec, gate, application) for spec in module.ingresses}
    checkpointer = _make_checkpointer(
        application, commit_log, states, spills, load, clock, ingresses, sinks
    )
    _tie(application, checkpointer, exchange, states, objects, sinks)
    expiry = Expiry(
        states, exchange, idempotency, clock, key_group_count=key_groups, round_s=_SWEEP_ROUND_S
    )
    parts = Parts(
        states,
        load,
        delays,
        exchange,
        outcomes,
        gate,
        expiry,
        clock,
        sinks,
        ingresses,
        checkpointer,
    )
    worker = Worker(parts, key_group_count=key_groups, stop_timeout_s=settings.stop_timeout_s)
    return worker, heads


def _make_checkpointer(
    application: Application,
    commit_log: CommitLogFolder,
    states: States,
    spills: Spills,
    load: Load,
    clock: MachineClock,
    ingresses: dict[str, IngressSource],
    sinks: dict[str, EgressSink],
) -> Checkpointer:
    settings, start = application.settings, application.start
    return Checkpointer(
        Identity(start.started, settings.key_group_count, settings.partitions),
        states,
        spills,
        load,
        clock,
        ingresses,
        sinks,
        application.objects,
        commit_log,
        asyncio.to_thread,
        interval_s=settings.checkpoint_interval_s,
        retention=_make_retention(application),
        last=start.manifest,
        first_epoch=start.first_epoch,
        scratch=application.folder.fresh_live_folder,
        abandoned=settings.abandoned_egresses,
    )


def _make_gate(
    exchange: Exchange,
    idempotency: Idempotency,
    outcomes: Outcomes,
    load: Load,
    states: States,
    sinks: dict[str, EgressSink],
) -> Gate:
    return Gate(
        exchange,
        idempotency,
        outcomes,
        load,
        lambda: sum(sink.backlog_bytes() for sink in sinks.values()),
        lambda: states.unsaved_bytes,
        lambda: sum(sink.stored_bytes() for sink in sinks.values()),
    )


def _make_retention(application: Application) -> Retention:
    start = application.start
    return Retention(
        application.settings.checkpoints_kept,
        start.kept,
        application.objects.ids(),
        start.started.from_manifest,
    )


def _make_load(settings: Settings) -> Load:
    return Load(
        Limits(
            waiting_bytes_max=settings.waiting_max_bytes,
            spilled_bytes_max=settings.spilled_max_bytes,
            unsaved_bytes_max=settings.unsaved_max_bytes,
            egress_bytes_max=_EGRESS_BYTES_MAX,
            busy_max=settings.async_max_per_task or 0,
            outbox_bytes_max=settings.outbox_max_bytes,
        )
    )


def _dispatcher_maker(
    application: Application,
    applier: Applier,
    outcomes: Outcomes,
    states: States,
    spills: Spills,
    load: Load,
    clock: MachineClock,
) -> Callable[[Function], Dispatcher]:
    def make_dispatcher(function: Function) -> Dispatcher:
        client, pool_size = make_client(function.endpoint, function.url, application)
        return Dispatcher(
            function,
            client,
            decode_reply,
            applier,
            outcomes,
            states,
            spills,
            load,
            clock,
            batch_bytes_max=application.settings.batch_max_bytes,
            suspects_max=max(1, pool_size // _SUSPECTS_SHARE),
        )

    return make_dispatcher


def _tie(
    application: Application,
    checkpointer: Checkpointer,
    exchange: Exchange,
    states: States,
    objects: ObjectFolder,
    sinks: dict[str, EgressSink],
) -> None:
    """Tell those who were built first of those who were built last."""

    def rebuild() -> RocksDbStore:
        states.store.close()
        checkpointer.store_replaced()
        return _open_store(application, checkpointer.last_complete, objects)[0]

    states.rebuild = rebuild
    checkpointer.on_relief = exchange.wake_all
    checkpointer.touch_busy = exchange.touch_busy
    for sink in sinks.values():
        if isinstance(sink, PlaygroundEgress):
            sink.settled = checkpointer.settled
