"""Builds the worker: engine and adapters, tied together."""

import asyncio

from statefun_runtime.adapters.clock import MachineClock
from statefun_runtime.adapters.commit_log_folder import CommitLogFolder
from statefun_runtime.adapters.object_folder import ObjectFolder
from statefun_runtime.adapters.playground_egress import PlaygroundEgress
from statefun_runtime.adapters.rocksdb_state import RocksDbStore
from statefun_runtime.adapters.wire import decode_reply
from statefun_runtime.app.connectors import Application, make_client, make_egress, make_ingress
from statefun_runtime.core.backpressure import Limits, Load
from statefun_runtime.core.checkpoint import Manifest
from statefun_runtime.core.function import Function
from statefun_runtime.core.overlay import Overlay
from statefun_runtime.core.retention import Retention
from statefun_runtime.engine.applier import Applier
from statefun_runtime.engine.checkpointer import Checkpointer
from statefun_runtime.engine.delays import Delays
from statefun_runtime.engine.exchange import Exchange
from statefun_runtime.engine.gate import Gate
from statefun_runtime.engine.lane import Lane
from statefun_runtime.engine.once import Once
from statefun_runtime.engine.recovery import Heads, apply_deltas, place_base
from statefun_runtime.engine.snapshots import Identity
from statefun_runtime.engine.spills import Spills
from statefun_runtime.engine.states import States
from statefun_runtime.engine.sweep import Sweep
from statefun_runtime.engine.worker import Parts, Worker

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


def build_worker(
    application: Application, objects: ObjectFolder, commit_log: CommitLogFolder
) -> tuple[Worker, Heads]:
    """Build the worker of an application; its state is that of the starting point's checkpoint.

    Returned with it are the heads of the backlogs, which it has yet to be given.
    """
    start = application.start
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
    store, heads = _open_store(application, manifest, objects)
    states = States(
        store,
        Overlay(settings.overlay_max_bytes),
        cache_max=settings.cache_max_addresses,
    )
    spills = Spills(states, load)
    key_groups = settings.key_group_count
    delays = Delays(states, load, clock, key_group_count=key_groups)
    once = Once(states, clock, key_group_count=key_groups, keep_ms=settings.idempotency_keep_ms)
    egresses = {spec.id: make_egress(spec, states, application) for spec in module.egresses}
    applier = Applier(egresses, states, delays, clock)

    def make_lane(function: Function) -> Lane:
        client, pool_size = make_client(function.endpoint, function.url, application.tasks)
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
    ingresses = {str(spec.id): make_ingress(spec, gate, application) for spec in module.ingresses}
    sinks = {str(egress_id): sink for egress_id, sink in egresses.items()}
    checkpointer = Checkpointer(
        Identity(start.started, settings.key_group_count, settings.partitions),
        states,
        spills,
        load,
        clock,
        ingresses,
        sinks,
        objects,
        commit_log,
        asyncio.to_thread,
        interval_s=settings.checkpoint_interval_s,
        retention=Retention(settings.checkpoints_kept, start.kept, objects.ids()),
        last=manifest,
        first_epoch=start.first_epoch,
        scratch=application.folder.fresh_live_folder,
    )

    def rebuild() -> RocksDbStore:
        states.store.close()
        checkpointer.store_replaced()
        last = checkpointer.last_complete
        return _open_store(application, last, objects)[0]

    states.rebuild = rebuild
    for sink in egresses.values():
        if isinstance(sink, PlaygroundEgress):
            sink.settled = checkpointer.settled
    sweep = Sweep(states, exchange, once, clock, key_group_count=key_groups, round_s=_SWEEP_ROUND_S)
    checkpointer.on_relief = exchange.wake_all
    checkpointer.touch_busy = exchange.touch_busy
    parts = Parts(
        states, load, delays, exchange, gate, sweep, clock, sinks, ingresses, checkpointer
    )
    worker = Worker(
        parts,
        key_group_count=settings.key_group_count,
        stop_timeout_s=settings.stop_timeout_s,
    )
    return worker, heads
