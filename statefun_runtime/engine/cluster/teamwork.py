"""What a worker has besides that is not alone: its channels, and its side of the leader's checkpoints."""

from collections.abc import Iterable

from statefun_runtime.core.cluster.alignment import Alignment
from statefun_runtime.core.model.metrics import Metric
from statefun_runtime.engine.beginning import Beginning
from statefun_runtime.engine.checkpoints.bases import Bases
from statefun_runtime.engine.checkpoints.ledger import Identity
from statefun_runtime.engine.checkpoints.participant import LocalParticipant
from statefun_runtime.engine.cluster.channels import (
    Incoming,
    Outgoing,
    Targets,
    WhenReadable,
    channel_metrics,
)
from statefun_runtime.engine.cluster.follower import Follower, RemoteUse
from statefun_runtime.engine.dispatch.ingress_context import EngineIngressContext
from statefun_runtime.engine.settings import EngineSettings
from statefun_runtime.engine.stop import Stop
from statefun_runtime.errors import UnavailableError
from statefun_runtime.ports.checkpoint_store import CheckpointStore
from statefun_runtime.ports.clock import Clock
from statefun_runtime.ports.team import Team


class Teamwork:
    """Made in two steps: `outgoing` and `use` before the worker's parts that need them, `follow` after."""

    def __init__(self, team: Team, beginning: Beginning, settings: EngineSettings) -> None:
        start = beginning.start
        plan = start.started.plan
        self._team, self._settings, self._start = team, settings, start
        others = [member.slot for member in plan.members if member.slot != beginning.slot]
        self._alignment = Alignment(others, start.first_epoch - 1)
        self.outgoing = Outgoing(plan, beginning.slot, team.links)
        self._bases: Bases | None = None
        self.use = RemoteUse(team.leader, lambda: self._bases.named if self._bases else [])
        self._stop: Stop | None = None

    async def carry(self) -> None:
        """Carry what comes and goes until cancelled; when the application stops, who ends first closes its channels."""
        try:
            await self._team.links.run()
        except UnavailableError:
            if self._stop is None or not self._stop.is_asked:
                raise

    def metrics(self, targets: Targets) -> Iterable[Metric]:
        """Return what goes between workers."""
        return channel_metrics(self.outgoing, self._team.links, targets)

    def follow(
        self,
        participant: LocalParticipant,
        bases: Bases,
        targets: Targets,
        context: EngineIngressContext,
        store: CheckpointStore,
        clock: Clock,
        stop: Stop,
        when_readable: WhenReadable,
    ) -> Follower:
        """Return what stands for a checkpointer; from now on what comes is taken."""
        settings, start = self._settings, self._start
        self._bases, self._stop = bases, stop
        follower = Follower(
            participant,
            self._team.leader,
            self._alignment,
            self.outgoing,
            self.use,
            Identity(start.started, settings.key_group_count, settings.partition_count),
            store,
            clock,
            stop,
            closed_by=context.over_limit,
            hold=context.hold,
            last=start.manifest,
            interval_s=settings.checkpoint_interval_s,
        )
        incoming = Incoming(self._alignment, targets, follower.met, when_readable)
        follower.attach(incoming)
        self._team.links.attach(incoming.take)
        return follower
