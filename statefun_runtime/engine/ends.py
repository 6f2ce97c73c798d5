"""Which ingresses and egresses a worker has: all of the module's if it is alone, else its share of them.

ingress   one that is shared is read by all, each its own splits; another by one worker: at home if it has a port
egress    everybody has each; records for one with a port are sent home
adopted   an egress of a worker that is in no plan any more, for what that may not have published
"""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from statefun_runtime.core.checkpoints.manifest import Manifest, ObjectId, Outbox, Positions
from statefun_runtime.core.cluster.plan import Member, Plan
from statefun_runtime.core.model.address import TypeName
from statefun_runtime.core.partition.backlog import Function
from statefun_runtime.engine.cluster.channels import Outgoing
from statefun_runtime.engine.cluster.elsewhere import ElsewhereEgress
from statefun_runtime.engine.dispatch.outcomes import Outcomes
from statefun_runtime.engine.egress import Egress
from statefun_runtime.engine.state.states import States
from statefun_runtime.ports.egress import EgressSink
from statefun_runtime.ports.function_client import FunctionClient
from statefun_runtime.ports.ingress import IngressContext, IngressSource
from statefun_runtime.ports.module import EgressSpec, HasPort, IngressSpec, IsShared, ModuleSpec


@dataclass(frozen=True, slots=True)
class EgressServices:
    """What an egress may ask of the worker.

    `owner` is under whose name it publishes. `outcomes` takes records that cannot leave; `saved` returns when all that is
    so now is in a complete checkpoint.
    """

    owner: str
    states: States
    outcomes: Outcomes
    saved: Callable[[], Awaitable[None]]


class Connectors(Protocol):
    """Makes what a module's specs ask for."""

    def make_client(self, function: Function) -> tuple[FunctionClient, int]:
        """Return the client of a function type, and how many connections it may have."""
        ...

    def make_ingress(self, spec: IngressSpec, context: IngressContext) -> IngressSource:
        """Return an ingress that begins where the checkpoint says."""
        ...

    def make_egress(self, spec: EgressSpec, services: EgressServices) -> EgressSink[Any]:
        """Return an egress."""
        ...


# Makes an egress that publishes under the name of an owner.
MakeEgress = Callable[[EgressSpec, str], EgressSink[Any]]


class Ends:
    """The ends of one member of a plan; `outgoing` goes to the others, if there are any."""

    def __init__(
        self,
        module: ModuleSpec,
        plan: Plan,
        member: Member,
        outgoing: Outgoing | None,
        make: MakeEgress,
    ) -> None:
        self._module = module
        self._plan = plan
        self._member = member
        self._outgoing = outgoing
        self._make = make
        self._is_home = plan.home == member
        self._by_name: dict[str, Egress[Any]] = {}
        # By owner and id.
        self.adopted: dict[str, dict[str, Egress[Any]]] = {}

    def egresses(self, end_early: Callable[[], None]) -> dict[TypeName, Egress[Any]]:
        """Make the egresses of the module; `end_early` ends an epoch that one of them has enough of."""
        egresses = {spec.id: self._egress(spec) for spec in self._module.egresses}
        for egress in egresses.values():
            egress.when_full(end_early)
        self._by_name = {str(egress_id): egress for egress_id, egress in egresses.items()}
        return egresses

    def _egress(self, spec: EgressSpec) -> Egress[Any]:
        sink = self._make(spec, self._member.owner)
        if self._outgoing is None or self._is_home or not isinstance(spec, HasPort):
            return Egress(spec.id, sink)
        return ElsewhereEgress(spec.id, sink, self._outgoing)

    def adopt(self, outboxes: Iterable[Outbox]) -> None:
        """Make an egress for each that another owner had who may not have published some of these."""
        specs = {str(spec.id): spec for spec in self._module.egresses}
        for outbox in outboxes:
            if outbox.owner == self._member.owner or not outbox.is_transactional:
                continue
            theirs = self.adopted.setdefault(outbox.owner, {})
            if outbox.egress not in theirs:
                spec = specs[outbox.egress]
                theirs[outbox.egress] = Egress(spec.id, self._make(spec, outbox.owner))

    async def restore(
        self,
        outboxes: Iterable[Outbox],
        manifest: Manifest | None,
        read: Callable[[ObjectId], Awaitable[list[bytes]]],
    ) -> None:
        """Take back the records of a checkpoint; `read` returns those of an outbox."""
        for outbox in outboxes:
            refused = manifest.refused.get(outbox.owner, {}) if manifest is not None else {}
            await self._publisher(outbox).restore(
                outbox,
                partial(read, outbox.object.id),
                [index for epoch, index in refused.get(outbox.egress, ()) if epoch == outbox.epoch],
            )

    def _publisher(self, outbox: Outbox) -> Egress[Any]:
        """Return who publishes an outbox: under the name of who wrote it, where that counts."""
        egress = self._by_name[outbox.egress]
        if outbox.owner == self._member.owner or not egress.waits_for_epoch:
            return egress
        return self.adopted[outbox.owner][outbox.egress]

    def reads(self, spec: IngressSpec) -> bool:
        """Return whether an ingress is read here."""
        if isinstance(spec, HasPort):
            return self._is_home
        if isinstance(spec, IsShared):
            return True
        return self._plan.reader(str(spec.id), 0) == self._member.slot

    def left_positions(self, manifest: Manifest | None) -> Positions:
        """Return what is kept until an ingress tells of itself: here of one that is read here, at home of one that is gone.

        One that is shared tells of its own splits from the beginning.
        """
        if manifest is None:
            return {}
        if self._outgoing is None:
            return dict(manifest.positions)
        declared = {str(spec.id): spec for spec in self._module.ingresses}
        return {
            name: positions
            for name, positions in manifest.positions.items()
            if (self._is_home if name not in declared else self._keeps(declared[name]))
        }

    def _keeps(self, spec: IngressSpec) -> bool:
        return self.reads(spec) and not isinstance(spec, IsShared)
