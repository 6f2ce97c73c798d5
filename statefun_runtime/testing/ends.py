"""Where the messages of a test come in, and where its egress records arrive."""

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from statefun_runtime.core.model.address import TypeName
from statefun_runtime.core.model.metrics import Metric
from statefun_runtime.core.model.position import Position, whole_numbers
from statefun_runtime.core.outboxes.epoch_outbox import Outboxes
from statefun_runtime.core.outboxes.form import RecordForm
from statefun_runtime.ports.ingress import IngressContext

_SPLIT = "0"
_NO_RECORDS_MAX = 1 << 30


class Sent(NamedTuple):
    """A message from outside; `invocation` is encoded."""

    function: TypeName
    id: str
    invocation: bytes


@dataclass
class MemoryTopic:
    """All that was sent from outside, over all lives."""

    sent: list[Sent] = field(default_factory=list)
    has_more: asyncio.Event = field(default_factory=asyncio.Event)

    def append(self, one: Sent) -> None:
        """Send a message."""
        self.sent.append(one)
        self.has_more.set()


class MemoryIngress:
    """An IngressSource; a restart goes on where the checkpoint was."""

    def __init__(
        self, topic: MemoryTopic, context: IngressContext, restored: Mapping[str, Position]
    ) -> None:
        self._topic = topic
        self._context = context
        self._next = whole_numbers(restored).get(_SPLIT, 0)

    async def start(self) -> None:
        """It begins at the beginning."""

    async def run(self) -> None:
        """Route what is sent."""
        sent, more = self._topic.sent, self._topic.has_more
        while True:
            more.clear()
            while self._next < len(sent):
                if not self._context.is_open():
                    await self._context.opened()
                one = sent[self._next]
                function = self._context.resolve(one.function)
                assert function is not None, "it was looked up when it was sent"
                self._context.deliver(function, one.id, one.invocation)
                self._next += 1
            await more.wait()

    def positions(self) -> dict[str, Position]:
        """Return where it goes on."""
        return {_SPLIT: self._next}

    def metrics(self) -> Iterator[Metric]:
        """Nobody asks."""
        return iter(())

    def completed(self, positions: Mapping[str, Position]) -> None:
        """Nobody outside is told."""

    async def close(self) -> None:
        """Nothing is open."""


class EgressRecord(NamedTuple):
    """What a function sent to an egress: a typed value."""

    typename: str
    value: bytes


@dataclass
class Outside:
    """What has arrived outside of one egress, over all lives, and the marker that says how far that is."""

    records: list[EgressRecord] = field(default_factory=list)
    epoch: int = 0
    count: int = 0


def _encode(record: EgressRecord) -> bytes:
    return record.typename.encode() + b"\0" + record.value


def _decode(data: bytes) -> EgressRecord:
    typename, _, value = data.partition(b"\0")
    return EgressRecord(typename.decode(), value)


class MemoryEgress:
    """An EgressSink that is exactly-once: what arrives is of complete checkpoints, and each record once."""

    def __init__(self, outside: Outside) -> None:
        self._outside = outside
        form = RecordForm[EgressRecord](_encode, _decode, lambda record: len(record.value))
        self.outbox: Outboxes[EgressRecord] = Outboxes(
            form, records_max=_NO_RECORDS_MAX, on_ready=self._publish
        )

    def prepare(self, typename: str, value: bytes) -> EgressRecord:
        """Take any typed value."""
        return EgressRecord(typename, value)

    def _publish(self) -> None:
        outbox, outside = self.outbox, self._outside
        outbox.published(outside.epoch, outside.count)
        while outbox.has_queued:
            portion = outbox.portion(_NO_RECORDS_MAX)
            outside.records += portion.records
            outside.epoch, outside.count = portion.epoch, portion.count
            outbox.published(portion.epoch, portion.count)

    async def run(self) -> None:
        """Everything leaves when its checkpoint is complete."""
        await asyncio.Event().wait()

    def metrics(self) -> Iterator[Metric]:
        """Nobody asks."""
        return iter(())

    async def close(self) -> None:
        """Nothing is open."""
