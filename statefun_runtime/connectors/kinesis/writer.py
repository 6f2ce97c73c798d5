"""`io.statefun.kinesis.v1/egress`: the records of an epoch leave when its checkpoint is complete, at least once.

    outbox ─ epoch complete ─▶ one record of each key ══ PutRecords ══▶ taken: the next one of its key
                                      ▲                       └─ not taken: the same one again
                                      └───────────────────────┘

Kinesis has no transactions, and PutRecords may take a later record of a request and refuse an earlier one: therefore
a key has one record on its way. What was taken is in the next checkpoint; a crash before that has it sent again.
"""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import AsyncExitStack

from statefun_runtime.connectors.complaint import Complaint
from statefun_runtime.connectors.kinesis.answers import Answers
from statefun_runtime.connectors.kinesis.clients import (
    CALL_ERRORS,
    KinesisClients,
    code_of,
    is_throttled,
    words,
)
from statefun_runtime.connectors.kinesis.protocol import KinesisClient
from statefun_runtime.connectors.kinesis.records import (
    FORM,
    Record,
    nothing_is_stored,
    prepare_record,
)
from statefun_runtime.connectors.kinesis.settings.values import KinesisEgressSettings
from statefun_runtime.connectors.reach import Reach
from statefun_runtime.core.model.metrics import Metric, MetricKind
from statefun_runtime.core.outboxes.keyed_outbox import Item, KeyedOutbox
from statefun_runtime.ports.contexts import ReadOutbox
from statefun_runtime.ports.egress import Refused, TellRefused, nobody_is_told

log = logging.getLogger("statefun.egress")

_REQUEST_RECORDS_MAX = 500
_REQUEST_BYTES_MAX = 4 * 1024 * 1024
_MEMORY_MAX_BYTES = 32 * 1024 * 1024
_RETRY_S = 1.0
_BACKOFF_FIRST_S = 0.1
# So many calls in a row without an answer, though others get one, are told: that is some 20 s.
_FAILURES_ALONE = 9
_BACKOFF_MAX_S = 5.0
# What no second try will change.
_REFUSED = ("InvalidArgumentException", "ValidationException", "SerializationException")

_Items = list[Item[Record]]


class KinesisEgress:
    """An EgressSink that acknowledges record by record.

    Up to `past_epoch` there is nothing that has yet to leave but what is given to `restore`.
    """

    def __init__(
        self,
        spec: KinesisEgressSettings,
        *,
        clients: KinesisClients,
        past_epoch: int,
        read: ReadOutbox = nothing_is_stored,
        tell_refused: TellRefused = nobody_is_told,
    ) -> None:
        self._spec = spec
        self._clients = clients
        self._read = read
        self._tell_refused = tell_refused
        self._answers = Answers(spec.region)
        self._is_wanted = asyncio.Event()
        self.outbox: KeyedOutbox[Record] = KeyedOutbox(
            FORM,
            lambda record: record.key,
            confirmed_epoch=past_epoch,
            memory_max_bytes=_MEMORY_MAX_BYTES,
            on_ready=self._is_wanted.set,
        )
        self._reach = Reach(
            log,
            f"egress {spec.id}",
            lambda: f"{self.outbox.count} records wait to leave",
            whom="Kinesis",
        )
        self._outstanding = 0
        self._failures: dict[str, int] = {}
        self._complaint = Complaint(log, f"egress {spec.id}")
        self._published = 0
        self._refused = 0

    def prepare(self, typename: str, value: bytes) -> Record:
        """Check a KinesisEgressRecord; raise RecordRefused."""
        return prepare_record(typename, value, stream_suffix=self._spec.stream_suffix)

    async def run(self) -> None:
        """Carry the records of complete epochs out until cancelled."""
        async with AsyncExitStack() as opened, asyncio.TaskGroup() as tasks:
            client = await self._connect(opened)
            tasks.create_task(self._reach.run(lambda: self._answers.silent(client)))
            while True:
                await self._load()
                while self.outbox.has_ready and self._outstanding < self._spec.outstanding_max:
                    room = self._spec.outstanding_max - self._outstanding
                    items = self.outbox.take(min(room, _REQUEST_RECORDS_MAX), _REQUEST_BYTES_MAX)
                    self._outstanding += len(items)
                    for stream, some in _by_stream(items).items():
                        tasks.create_task(self._send(client, stream, some))
                self._is_wanted.clear()
                await self._is_wanted.wait()

    async def _connect(self, opened: AsyncExitStack) -> KinesisClient:
        while True:
            try:
                return await opened.enter_async_context(self._clients.connect())
            except CALL_ERRORS as error:
                self._complaint.say(f"waits: {words(error)}", about="the start")
                await asyncio.sleep(_RETRY_S)

    async def _load(self) -> None:
        """Read from disk what memory has room for again."""
        while (unloaded := self.outbox.next_unloaded()) is not None:
            records = await self._read(unloaded.object)
            self.outbox.loaded(unloaded, list(map(FORM.decode, records)))

    async def _send(self, client: KinesisClient, stream: str, items: _Items) -> None:
        """Have each record taken or given up, or make it ready to be sent again after a while."""
        left = await self._put(client, stream, items)
        self._settled(len(items) - len(left))
        if not left:
            self._failures.pop(stream, None)
            self._complaint.over(about=stream)
            return
        failures = self._failures[stream] = self._failures.get(stream, 0) + 1
        await asyncio.sleep(min(_BACKOFF_MAX_S, _BACKOFF_FIRST_S * 2 ** (failures - 1)))
        for item in left:
            self.outbox.returned(item)
        self._settled(len(left))

    def _settled(self, count: int) -> None:
        """So many records are on their way no more."""
        self._outstanding -= count
        self._is_wanted.set()

    async def _put(self, client: KinesisClient, stream: str, items: _Items) -> _Items:
        """Send records once; return those that were not taken and may be, another time."""
        entries = [item.record.entry() for item in items]
        try:
            answer = await client.put_records(StreamName=stream, Records=entries)
        except CALL_ERRORS as error:
            if code_of(error) in _REFUSED:
                return await self._put_singly(client, stream, items, error)
            self._warn(stream, code_of(error), words(error))
            return items
        self._answers.heard()
        left: _Items = []
        for item, result in zip(items, answer["Records"], strict=True):
            code = result.get("ErrorCode")
            if not code:
                self.outbox.acknowledged(item)
                self._published += 1
                continue
            left.append(item)
            self._warn(stream, code, f"{code}: {result.get('ErrorMessage', '')}")
        return left

    async def _put_singly(
        self, client: KinesisClient, stream: str, items: _Items, error: Exception
    ) -> _Items:
        """Kinesis refuses a request for good: find the records that it refuses, and give them up."""
        if len(items) > 1:
            return [one for item in items for one in await self._put(client, stream, [item])]
        (item,) = items
        self._refused += 1
        record = item.record
        refused = Refused(record.stream, record.partition_key.encode(), record.value)
        if not self._tell_refused(refused, words(error)):
            log.error(
                "egress %s: Kinesis refuses a record for stream %s for good (%s); it is dropped",
                self._spec.id,
                stream,
                words(error),
            )
        self.outbox.give_up(item)
        return []

    def _warn(self, stream: str, code: str, text: str) -> None:
        """Say that a stream does not take records, the first time; too many at once is an everyday thing."""
        if code:
            self._answers.heard()
        failures = self._failures.get(stream, 0)
        # Whether Kinesis answers at all is looked at, and told, apart from this.
        is_alone = failures >= _FAILURES_ALONE and self._reach.is_connected
        if (is_alone or (code and not failures)) and not is_throttled(code):
            self._complaint.say(f"tries stream {stream} again and again: {text}", about=stream)

    def metrics(self) -> Iterator[Metric]:
        """Return what was acknowledged, what Kinesis refused, and what waits."""
        yield Metric(
            "statefun_egress_records", MetricKind.COUNTER, "records that left", self._published
        )
        yield Metric(
            "statefun_egress_dropped", MetricKind.COUNTER, "records dropped", self._refused
        )
        yield Metric(
            "statefun_egress_waiting",
            MetricKind.GAUGE,
            "records that have not left",
            self.outbox.count,
        )
        yield from self._reach.metrics("egress")

    async def close(self) -> None:
        """The client leaves with `run`."""


def _by_stream(items: _Items) -> dict[str, _Items]:
    streams: dict[str, _Items] = {}
    for item in items:
        streams.setdefault(item.record.stream, []).append(item)
    return streams
