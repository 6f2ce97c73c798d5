"""The EgressSink port as a list."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from operator import itemgetter

from statefun_runtime.core.model.address import TypeName
from statefun_runtime.core.model.dead_letter import DeadLetter
from statefun_runtime.core.model.metrics import Metric, MetricKind
from statefun_runtime.core.module.checks import Attempt
from statefun_runtime.core.module.specs import DeadLetterRoute
from statefun_runtime.core.outboxes.direct_outbox import DirectOutbox
from statefun_runtime.core.outboxes.form import RecordForm
from statefun_runtime.ports.contexts import EgressBuildContext
from statefun_runtime.ports.egress import RecordRefused

Record = tuple[str, bytes]


class RecordingEgress:
    """An EgressSink; what was emitted is in `left`, unless `is_away`: then it waits."""

    def __init__(self, *, typename: str = "t/record", value_bytes_max: int = 1 << 20) -> None:
        self._typename = typename
        self._value_bytes_max = value_bytes_max
        form = RecordForm[Record](
            itemgetter(1), lambda data: (typename, data), lambda record: len(record[1])
        )
        self.outbox: DirectOutbox[str, Record] = DirectOutbox(
            form, itemgetter(0), on_ready=self.publish
        )
        self.left: list[bytes] = []
        self.is_away = False

    def prepare(self, typename: str, value: bytes) -> Record:
        if typename != self._typename:
            raise RecordRefused(f"a record must be of type '{self._typename}', found '{typename}'")
        if len(value) > self._value_bytes_max:
            raise RecordRefused(f"a record of {len(value)} bytes is too large")
        return typename, value

    def publish(self) -> None:
        """Let leave what waits, if the outside is there."""
        if self.is_away:
            return
        for queue in self.outbox.take():
            self.left += [value for _, value in queue.waiting]
            self.outbox.acknowledged(queue, len(queue.waiting))
            self.outbox.emptied(queue)

    async def run(self) -> None:
        while True:
            self.publish()
            await asyncio.sleep(0.01)

    def metrics(self) -> Iterator[Metric]:
        yield Metric(
            "statefun_egress_records", MetricKind.COUNTER, "records that left", len(self.left)
        )

    async def close(self) -> None:
        pass


@dataclass(frozen=True)
class RecordingEgressSpec:
    """An EgressSpec of a RecordingEgress."""

    id: TypeName
    dead_letters: DeadLetterRoute | None = None

    def describe(self, host: str) -> str:
        return "in memory"

    def checks(self) -> Iterator[tuple[str, Attempt]]:
        return iter(())

    def letter(self, topic: str, letter: DeadLetter) -> tuple[str, bytes]:
        return "t/record", letter.to_json()

    def why_no_topic(self, topic: str) -> str | None:
        return None

    def letters(self, topic: str) -> AsyncIterator[bytes] | None:
        return None

    def build(self, context: EgressBuildContext) -> RecordingEgress:
        return RecordingEgress()
