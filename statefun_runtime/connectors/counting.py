"""An egress that says nothing: what a shadow has where its original has one."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from statefun_runtime.core.model.address import TypeName
from statefun_runtime.core.model.dead_letter import DeadLetter
from statefun_runtime.core.model.metrics import Metric, MetricKind
from statefun_runtime.core.module.checks import Attempt
from statefun_runtime.core.module.specs import DeadLetterRoute
from statefun_runtime.core.outboxes.counted_outbox import CountedOutbox
from statefun_runtime.ports.egress import EgressSink
from statefun_runtime.ports.module import EgressSpec

if TYPE_CHECKING:
    from statefun_runtime.ports.contexts import EgressBuildContext


@dataclass(frozen=True, slots=True)
class CountedEgressSpec:
    """A declared egress whose records are checked as `original` checks them, counted, and not sent."""

    original: EgressSpec

    @property
    def id(self) -> TypeName:
        """What the module calls it."""
        return self.original.id

    @property
    def dead_letters(self) -> DeadLetterRoute | None:
        """Where the original's records go that are refused."""
        return self.original.dead_letters

    def describe(self, host: str) -> str:
        """Return what becomes of its records."""
        return f"counted only, nothing is sent to {self.original.describe(host)}"

    def checks(self) -> Iterator[tuple[str, Attempt]]:
        """Nothing outside is needed."""
        return iter(())

    def letter(self, topic: str, letter: DeadLetter) -> tuple[str, bytes]:
        """Return a dead letter as the original takes it: it is counted, too."""
        return self.original.letter(topic, letter)

    def why_no_topic(self, topic: str) -> str | None:
        """Return why the original can have no such topic."""
        return self.original.why_no_topic(topic)

    def letters(self, topic: str) -> AsyncIterator[bytes] | None:
        """There are none that this one has written."""
        return None

    def build(self, context: "EgressBuildContext") -> EgressSink[Any]:
        """Return what counts; the original's egress is made, and never run: it only checks records."""
        return CountedEgress(self.original.build(context), past_epoch=context.first_epoch - 1)


class CountedEgress:
    """An EgressSink that checks each record, counts it, and sends none."""

    def __init__(self, original: EgressSink[Any], *, past_epoch: int) -> None:
        self._original = original
        self.outbox: CountedOutbox[Any] = CountedOutbox(past_epoch=past_epoch)

    def prepare(self, typename: str, value: bytes) -> Any:
        """Refuse what the original would refuse: its functions see the same failures."""
        return self._original.prepare(typename, value)

    async def run(self) -> None:
        """There is nothing to carry out."""
        await asyncio.Event().wait()

    def metrics(self) -> Iterator[Metric]:
        """Return how many records were not sent."""
        doc = "records that a shadow has counted instead of sending them"
        yield Metric("statefun_egress_counted", MetricKind.COUNTER, doc, self.outbox.counted)

    async def close(self) -> None:
        """Nothing was opened."""
