"""Builds a worker from ports: the only place that does, for the application, the simulation and tests.

    begin ─▶ where this life begins, nothing written ─▶ assemble ─▶ restored ─▶ a worker that knows the past ─▶
    Worker.run, whose first write is this life's entry in the commit log

Whatever stands against a start is found before `run`: a start that is refused has changed nothing.
"""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from statefun_runtime.core.checkpoints.manifest import ObjectId, Part
from statefun_runtime.core.checkpoints.overlay import Overlay, Row
from statefun_runtime.core.checkpoints.retention import Retention
from statefun_runtime.core.checkpoints.settling import before_any_other
from statefun_runtime.core.model.address import TypeName
from statefun_runtime.core.model.reply import Reply
from statefun_runtime.core.partition.backlog import Function
from statefun_runtime.core.partition.backpressure import Load
from statefun_runtime.core.partition.partitions import Partitions
from statefun_runtime.engine.beginning import Beginning, Ports, open_store
from statefun_runtime.engine.checkpoints.bases import Bases
from statefun_runtime.engine.checkpoints.checkpointer import Checkpointer
from statefun_runtime.engine.checkpoints.checkpointing import Checkpointing
from statefun_runtime.engine.checkpoints.ledger import Identity, Ledger
from statefun_runtime.engine.checkpoints.participant import LocalParticipant
from statefun_runtime.engine.checkpoints.prepared import PreparedStore
from statefun_runtime.engine.checkpoints.recovery import Heads, read_outbox
from statefun_runtime.engine.checkpoints.snapshots import Snapshots
from statefun_runtime.engine.cluster.channels import Outgoing, Targets
from statefun_runtime.engine.cluster.teamwork import Teamwork
from statefun_runtime.engine.dispatch.alarm import PauseAlarm
from statefun_runtime.engine.dispatch.applier import Applier
from statefun_runtime.engine.dispatch.dispatcher import Dispatcher
from statefun_runtime.engine.dispatch.exchange import Exchange
from statefun_runtime.engine.dispatch.ingress_context import EngineIngressContext
from statefun_runtime.engine.dispatch.outcomes import Outcomes
from statefun_runtime.engine.dispatch.turns import Turns
from statefun_runtime.engine.egress import Egress
from statefun_runtime.engine.ends import Connectors, EgressServices, Ends
from statefun_runtime.engine.settings import EngineSettings
from statefun_runtime.engine.state.delays import Delays
from statefun_runtime.engine.state.expiry import Expiry
from statefun_runtime.engine.state.idempotency import Idempotency
from statefun_runtime.engine.state.spills import Spills
from statefun_runtime.engine.state.states import States, Swap
from statefun_runtime.engine.stop import Stop
from statefun_runtime.engine.worker import Parts, Worker
from statefun_runtime.ports.egress import EgressSink
from statefun_runtime.ports.module import EgressSpec, ModuleSpec
from statefun_runtime.ports.state_store import StateStore
from statefun_runtime.ports.team import Team

_SUSPECTS_SHARE = 2


async def assemble(
    ports: Ports,
    connectors: Connectors,
    module: ModuleSpec,
    settings: EngineSettings,
    beginning: Beginning,
    decode: Callable[[bytes], Reply],
    stop: Stop,
    team: Team | None = None,
    prepared: PreparedStore | None = None,
) -> "Assembly":
    """Build a worker around the live store, `prepared` or not, that a life begins with; alone without a team."""
    live = await (prepared or PreparedStore(ports)).take(beginning.part)
    return Assembly(ports, connectors, module, settings, beginning, live, decode, stop, team)


class Assembly:
    """A worker in the making: `worker` is whole when this is made, and knows the past when it was `restored`."""

    def __init__(
        self,
        ports: Ports,
        connectors: Connectors,
        module: ModuleSpec,
        settings: EngineSettings,
        beginning: Beginning,
        live: tuple[StateStore, Heads],
        decode: Callable[[bytes], Reply],
        stop: Stop,
        team: Team | None = None,
    ) -> None:
        self._member, self._plan = beginning.member, beginning.start.started.plan
        self._ports, self._connectors = ports, connectors
        self._module, self._settings = module, settings
        self._beginning, self._start = beginning, beginning.start
        self._decode, self._stop = decode, stop
        manifest = self._start.manifest
        self._clock = ports.make_clock(manifest.created_ms if manifest else 0)
        self._partitions = Partitions(
            self._member.key_groups, self._partition_count(), settings.timers
        )
        self._load = Load(settings.limits, self._partitions)
        store, self._heads = live
        self._teamwork = None if team is None else Teamwork(team, beginning, settings)
        self._make_state(store)
        self._make_dispatch()
        self._make_ends()
        self._bases = self._make_bases()
        self._checkpointer = self._make_checkpointer()
        self.worker = self._make_worker()

    async def restored(self) -> Worker:
        """Return the worker with the backlogs, timers and outboxes of the checkpoint that it begins at."""
        heads, self._heads = self._heads, {}
        await self.worker.restore(heads)
        await self._ends.restore(self._beginning.outboxes, self._start.manifest, self._read_outbox)
        return self.worker

    async def _restore_in_transit(self) -> None:
        """Take what was between workers: it is behind the backlogs, in front of all that comes now."""
        manifest = self._start.manifest
        for part in manifest.parts if manifest is not None else ():
            if part.in_transit is not None:
                data = await self._ports.checkpoints.get(part.in_transit.id)
                self._targets.deliver(data, 0, self._owns)

    def _owns(self, function_id: str) -> bool:
        return not self._exchange.is_elsewhere(function_id)

    def _partition_count(self) -> int:
        settings, size = self._settings, len(self._member.key_groups)
        return -(-settings.partition_count * size // settings.key_group_count)

    def _make_state(self, store: StateStore) -> None:
        settings, load, clock = self._settings, self._load, self._clock
        groups = settings.key_group_count
        self._states = States(
            store,
            Overlay(settings.overlay_bytes_max),
            cache_max=settings.cache_addresses_max,
            slice_rows=settings.pace.store_rows,
            hooks=self,
        )
        self._spills = Spills(self._states, self._partitions)
        self._delays = Delays(
            self._states, self._partitions, load, clock, settings.timers, key_group_count=groups
        )
        self._idempotency = Idempotency(
            self._states, clock, key_group_count=groups, keep_ms=settings.idempotency_keep_ms
        )

    def _make_dispatch(self) -> None:
        self._egresses: dict[TypeName, Egress[Any]] = {}
        started = self._start.started
        self._outcomes = Outcomes(
            self._states,
            self._clock,
            self._egresses,
            {spec.id: spec.letter for spec in self._module.egresses},
            life=f"{started.application[:8]}-{started.incarnation}-{started.nonce[:8]}",
            fatal=self._stop.fail,
        )
        self._alarm = PauseAlarm(self._partitions)
        self._turns = Turns()
        self._exchange = Exchange(
            self._module,
            self._states,
            self._spills,
            self._partitions,
            self._make_dispatcher,
            key_group_count=self._settings.key_group_count,
            spilling=self._settings.spilling,
            elsewhere=self._outgoing,
        )

    @property
    def _outgoing(self) -> Outgoing | None:
        return None if self._teamwork is None else self._teamwork.outgoing

    def _make_ends(self) -> None:
        """Egresses before ingresses: what applies replies needs them, and nothing may come in before."""
        ends = self._ends = Ends(
            self._module, self._plan, self._member, self._outgoing, self._make_egress
        )
        self._egresses.update(ends.egresses(lambda: self._checkpointer.end_early()))
        ends.adopt(self._beginning.outboxes)
        self._applier = Applier(
            self._egresses, self._exchange, self._states, self._delays, self._clock
        )
        self._egresses_by_name = {str(one): egress for one, egress in self._egresses.items()}
        self._ingress_context = EngineIngressContext(
            self._exchange,
            self._idempotency,
            self._outcomes,
            self._load,
            self._states,
            self._egresses.values(),
            self._outgoing,
            interval_s=self._settings.checkpoint_interval_s,
        )
        self._targets = Targets(
            self._exchange.resolve,
            self._exchange.deliver,
            self._idempotency,
            self._egresses_by_name,
            self._states,
            key_group_count=self._settings.key_group_count,
            is_home=self._plan.home == self._member,
        )
        self._ingresses = {
            str(ingress.id): self._connectors.make_ingress(ingress, self._ingress_context)
            for ingress in self._module.ingresses
            if ends.reads(ingress)
        }

    def _make_egress(self, spec: EgressSpec, owner: str) -> EgressSink[Any]:
        services = EgressServices(
            owner, self._states, self._outcomes, lambda: self._checkpointer.saved()
        )
        return self._connectors.make_egress(spec, services)

    def _make_dispatcher(self, function: Function) -> Dispatcher:
        client, pool_size = self._connectors.make_client(function)
        return Dispatcher(
            function,
            client,
            self._decode,
            self._applier,
            self._outcomes,
            self._states,
            self._spills,
            self._partitions,
            self._load,
            self._clock,
            self._alarm,
            self._turns,
            batch_bytes_max=self._settings.batch_bytes_max,
            suspects_max=max(1, pool_size // _SUSPECTS_SHARE),
        )

    def _make_bases(self) -> Bases:
        return Bases(
            self._member.owner,
            self._member.key_groups,
            self._states,
            self._ports.checkpoints,
            self._ports.off_loop,
            last=self._start.manifest,
            scratch=self._ports.scratch,
            discard=self._ports.discard,
            pace=self._settings.pace,
            in_use=None if self._teamwork is None else self._teamwork.use,
        )

    def _make_checkpointer(self) -> Checkpointing:
        participant = self._make_participant()
        if self._teamwork is not None:
            return self._teamwork.follow(
                participant,
                self._bases,
                self._targets,
                self._ingress_context,
                self._ports.checkpoints,
                self._clock,
                self._stop,
                self._states.when_readable,
            )
        return self._checkpoint_alone(participant)

    def _checkpoint_alone(self, participant: LocalParticipant) -> Checkpointer:
        settings, start, ports = self._settings, self._start, self._ports
        ledger = Ledger(
            Identity(start.started, settings.key_group_count, settings.partition_count),
            ports.checkpoints,
            ports.commit_log,
            Retention(
                settings.checkpoints_kept,
                start.kept,
                set(start.there),
                start.started.from_manifest,
            ),
            self._bases.in_use,
            last=start.manifest,
            collect_every=settings.pace.collect_every,
        )
        return Checkpointer(
            [participant],
            ledger,
            self._bases,
            self._clock,
            interval_s=settings.checkpoint_interval_s,
            first_epoch=start.first_epoch,
            abandoned=settings.abandoned_egresses,
            first=before_any_other(start.manifest, start.started.plan, self._beginning.outboxes),
        )

    def _make_participant(self) -> LocalParticipant:
        start, ports = self._start, self._ports
        snapshots = Snapshots(
            self._member.owner,
            self._states,
            self._egresses_by_name,
            self._bases,
            ports.checkpoints,
            last=start.manifest,
            pace=self._settings.pace,
        )
        return LocalParticipant(
            self._member.owner,
            self._states,
            self._spills,
            self._load,
            self._clock,
            self._ingresses,
            self._egresses_by_name,
            self._bases,
            snapshots,
            self._exchange.functions,
            adopted=self._ends.adopted,
            last=start.manifest,
            is_ours=start.is_ours,
            left=self._ends.left_positions(start.manifest),
            relieved=self._exchange.wake_all,
            touch_busy=self._exchange.touch_busy,
        )

    def _make_worker(self) -> Worker:
        expiry = Expiry(
            self._states,
            self._exchange,
            self._idempotency,
            self._clock,
            key_groups=self._member.key_groups,
            round_s=self._settings.expiry_round_s,
        )
        parts = Parts(
            self._states,
            self._spills,
            self._load,
            self._delays,
            self._exchange,
            self._outcomes,
            self._ingress_context,
            expiry,
            self._clock,
            self._egresses_by_name,
            self._ingresses,
            self._checkpointer,
            self._bases,
            tuple(one for egresses in self._ends.adopted.values() for one in egresses.values()),
            tuple if self._teamwork is None else partial(self._teamwork.metrics, self._targets),
        )
        return Worker(
            parts,
            self._stop,
            self._enter,
            self._teamwork.carry if self._teamwork is not None else None,
            key_groups=self._member.key_groups,
            stop_timeout_s=self._settings.stop_timeout_s,
            checkpoint_interval_s=self._settings.checkpoint_interval_s,
        )

    async def _enter(self) -> None:
        """Begin this life: a leader has written its entry, or this worker does."""
        if self._teamwork is None:
            await self._ports.commit_log.append(self._start.started)
        # Egresses know by now what they have: what was in transit comes behind that.
        await self._restore_in_transit()

    async def _read_outbox(self, object_id: ObjectId) -> list[bytes]:
        return await read_outbox(object_id, self._ports.checkpoints, self._ports.off_loop)

    # ── what the states tell, to those who were built after them ──

    def cutting(self, epoch: int) -> Iterable[Row]:
        """Ingresses look for more before the next cut; delayed messages are counted in rows."""
        self._ingress_context.cutting()
        return self._delays.cut(epoch)

    def stored(self, epoch: int) -> None:
        """Delayed messages may be read where they are now, and a base may be taken."""
        self._delays.stored(epoch)
        self._bases.stored()

    def full(self) -> None:
        """Have the epoch end early; too much in no checkpoint stops what makes more."""
        self._checkpointer.end_early()
        self._load.unsaved(self._states.unsaved_bytes)

    async def rebuild(self, swap: Swap) -> None:
        """Put a new store from the last complete checkpoint in the place of the one that fails."""
        await self._bases.rebuild_store(
            lambda: self._checkpointer.last_complete, self._open_store, swap
        )

    def replaced(self) -> None:
        """Delayed messages are to be read from the new store."""
        self._delays.replaced()

    async def _open_store(self, part: Part | None) -> StateStore:
        store, _ = await open_store(part, self._ports)
        return store
