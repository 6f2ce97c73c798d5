"""Where records come in."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol, runtime_checkable

from statefun_runtime.core.model.address import Address, TypeName
from statefun_runtime.core.model.dead_letter import Origin
from statefun_runtime.core.model.idempotency import Repeat
from statefun_runtime.core.model.metrics import Metric
from statefun_runtime.core.model.position import Position
from statefun_runtime.core.module.specs import DeadLetterRoute
from statefun_runtime.core.partition.backlog import Function


class IngressContext(Protocol):
    """What an ingress hands its messages to; what is delivered is dispatched in the next turn of the loop."""

    def rest_s(self) -> float:
        """Return how long an ingress may wait now, where few records come, before it looks for more.

        Nothing that comes of them leaves sooner; 0 where something may leave at once.
        """
        ...

    def resolve(self, function_type: TypeName) -> Function | None:
        """Return the function type's entry, or None if no endpoint serves it."""
        ...

    def deliver(self, function: Function, function_id: str, invocation: bytes) -> None:
        """Take an encoded invocation for one address."""
        ...

    def look(self, function: Function, function_id: str, key: str, digest: bytes) -> Repeat:
        """Return what an idempotency key of an address says about a record with this digest.

        Raise UnavailableError while that cannot be known: the record has to wait.
        """
        ...

    def deliver_keyed(
        self, function: Function, function_id: str, invocation: bytes, key: str, digest: bytes
    ) -> None:
        """Take the same for a record whose idempotency key `look` calls new, and remember the key."""
        ...

    def forward(
        self,
        route: DeadLetterRoute,
        origin: Origin,
        *,
        reason: str,
        error: str,
        target: Address | None = None,
        invocation: bytes | None = None,
    ) -> str | None:
        """Send a record that cannot be routed as a dead letter; return why it cannot be sent, or None.

        With `target` and `invocation` the letter can be sent again as it is.
        """
        ...

    def is_open(self) -> bool:
        """Return whether new records are welcome."""
        ...

    def is_tight(self) -> bool:
        """Return whether `holds_back` may say yes to any address."""
        ...

    def holds_back(self, function: Function, function_id: str) -> bool:
        """Return whether one address has so much to do that whatever feeds it shall wait."""
        ...

    async def opened(self) -> None:
        """Return when new records are welcome again."""
        ...


class IngressSource(Protocol):
    """Reads records and routes them.

    Guarantees: order per split; a record is routed before its position is passed; after a restore records may
    repeat, none is skipped without being counted.
    """

    async def start(self) -> None:
        """Resolve where to begin; waits for what is not there yet, and says so."""
        ...

    async def run(self) -> None:
        """Route records until cancelled; after that no record is routed."""
        ...

    def positions(self) -> Mapping[str, Position]:
        """Return the next position of each split, by a name that is stable across restarts."""
        ...

    def metrics(self) -> Iterable[Metric]:
        """Return what is counted; whose numbers they are is added by the caller."""
        ...

    def completed(self, positions: Mapping[str, Position]) -> None:
        """A checkpoint with these positions is complete: they may be told to the outside."""
        ...

    async def close(self) -> None:
        """Leave."""
        ...


@runtime_checkable
class KeepsRecords(Protocol):
    """What an ingress has besides that keeps the records itself that it hands in, for who goes back to a checkpoint."""

    def needed(self, positions: Sequence[Mapping[str, Position]]) -> None:
        """These are its positions in all checkpoints that can be begun at; what is before all of them may go.

        It has none in a checkpoint from before it was declared, and then all that it ever took came later.
        """
        ...


@runtime_checkable
class Connects(Protocol):
    """What an ingress has besides whose records are had from servers outside, which may be away."""

    def why_cut_off(self) -> str | None:
        """Return why nothing can come in, since when; None as long as something can."""
        ...

    def waits(self) -> Iterable[str]:
        """Return what waits although records come in."""
        ...
