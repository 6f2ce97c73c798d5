"""`io.statefun.kinesis.v1/egress`: the records of an epoch leave when its checkpoint is complete, at least once.

    emit ─▶ outbox ─ epoch complete ─▶ one record of each key ══ PutRecords ══▶ taken: the next one of its key
                                              ▲                       └─ not taken: the same one again
                                              └───────────────────────┘

Kinesis has no transactions, and PutRecords may take a later record of a request and refuse an earlier one: therefore
a key has one record on its way. What was taken is in the next checkpoint; a crash before that has it sent again.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AsyncExitStack
from typing import Any

from statefun_runtime.connectors.kinesis.clients import (
    CALL_ERRORS,
    KinesisClients,
    code_of,
    is_throttled,
    words,
)
from statefun_runtime.connectors.kinesis.records import (
    ReadOutbox,
    Record,
    TellRefused,
    nobody_is_told,
    nothing_is_stored,
    prepare_record,
    read_record,
)
from statefun_runtime.core.checkpoints.manifest import Outbox
from statefun_runtime.core.model.metrics import Kind, Metric
from statefun_runtime.core.module.specs import KinesisEgressSpec
from statefun_runtime.core.outboxes.keyed_outbox import Item, KeyedOutbox, Shelved

log = logging.getLogger("statefun.egress")

_REQUEST_RECORDS_MAX = 500
_REQUEST_BYTES_MAX = 4 * 1024 * 1024
_MEMORY_MAX_BYTES = 32 * 1024 * 1024
_RETRY_S = 1.0
_BACKOFF_FIRST_S = 0.1
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
        spec: KinesisEgressSpec,
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
        self._client: Any = None
        self._outbox: KeyedOutbox[Record] = KeyedOutbox(
            lambda record: record.key,
            lambda record: record.size_bytes,
            confirmed_epoch=past_epoch,
            memory_max_bytes=_MEMORY_MAX_BYTES,
        )
        self._confirmed_at_cut = past_epoch
        self._outstanding = 0
        self._failures: dict[str, int] = {}
        self._is_wanted = asyncio.Event()
        self._is_empty = asyncio.Event()
        self._published = 0
        self._refused = 0

    async def start(self) -> None:
        """There is nothing to listen on; AWS is called when there is something to send."""

    def prepare(self, typename: str, value: bytes) -> Record:
        """Check a KinesisEgressRecord; raise RecordRefused."""
        return prepare_record(typename, value)

    def emit(self, record: Record) -> None:
        """Put a record into the outbox of the epoch that runs."""
        self._outbox.collect(record)

    def backlog_bytes(self) -> int:
        """Return the size of what is not acknowledged; a record without a value counts too."""
        return self._outbox.bytes

    def stored_bytes(self) -> int:
        """Return the size of what is not acknowledged and on disk only."""
        return self._outbox.shelved_bytes

    def refused(self) -> list[tuple[int, int]]:
        """Return epoch and index of what was given up in epochs that have not left whole."""
        return self._outbox.refused()

    async def run(self) -> None:
        """Carry the records of complete epochs out until cancelled."""
        async with AsyncExitStack() as opened, asyncio.TaskGroup() as tasks:
            self._client = await self._connect(opened)
            while True:
                await self._load()
                while self._outbox.has_ready and self._outstanding < self._spec.outstanding_max:
                    room = self._spec.outstanding_max - self._outstanding
                    items = self._outbox.take(min(room, _REQUEST_RECORDS_MAX), _REQUEST_BYTES_MAX)
                    self._outstanding += len(items)
                    for stream, some in _by_stream(items).items():
                        tasks.create_task(self._send(stream, some))
                self._is_wanted.clear()
                await self._is_wanted.wait()

    async def _connect(self, opened: AsyncExitStack) -> Any:
        is_said = False
        while True:
            try:
                return await opened.enter_async_context(self._clients.connect())
            except CALL_ERRORS as error:
                if not is_said:
                    is_said = True
                    log.warning("egress %s waits: %s", self._spec.id, words(error))
                await asyncio.sleep(_RETRY_S)

    async def _load(self) -> None:
        """Read from disk what memory has room for again."""
        while (shelved := self._outbox.next_shelved()) is not None:
            records = await self._read(shelved.object)
            self._outbox.loaded(shelved, [read_record(record) for record in records])

    async def _send(self, stream: str, items: _Items) -> None:
        """Have each record taken or given up, or make it ready to be sent again after a while."""
        left = await self._put(stream, items)
        self._settled(len(items) - len(left))
        if not left:
            self._failures.pop(stream, None)
            return
        failures = self._failures[stream] = self._failures.get(stream, 0) + 1
        await asyncio.sleep(min(_BACKOFF_MAX_S, _BACKOFF_FIRST_S * 2 ** (failures - 1)))
        for item in left:
            self._outbox.returned(item)
        self._settled(len(left))

    def _settled(self, count: int) -> None:
        """So many records are on their way no more."""
        self._outstanding -= count
        self._is_wanted.set()
        if not self._outbox.has_queued:
            self._is_empty.set()

    async def _put(self, stream: str, items: _Items) -> _Items:
        """Send records once; return those that were not taken and may be, another time."""
        entries = [item.record.entry() for item in items]
        try:
            answer = await self._client.put_records(StreamName=stream, Records=entries)
        except CALL_ERRORS as error:
            if code_of(error) in _REFUSED:
                return await self._put_singly(stream, items, error)
            self._warn(stream, code_of(error), words(error))
            return items
        left: _Items = []
        for item, result in zip(items, answer["Records"], strict=True):
            code = result.get("ErrorCode")
            if not code:
                self._outbox.acknowledged(item)
                self._published += 1
                continue
            left.append(item)
            self._warn(stream, code, f"{code}: {result.get('ErrorMessage', '')}")
        return left

    async def _put_singly(self, stream: str, items: _Items, error: Exception) -> _Items:
        """Kinesis refuses a request for good: find the records that it refuses, and give them up."""
        if len(items) > 1:
            return [one for item in items for one in await self._put(stream, [item])]
        (item,) = items
        self._refused += 1
        record = item.record
        parts = (record.stream, record.partition_key.encode(), record.value, record.encoded)
        if not self._tell_refused(parts, words(error)):
            log.error(
                "egress %s: Kinesis refuses a record for stream %s for good (%s); it is dropped",
                self._spec.id,
                stream,
                words(error),
            )
        self._outbox.give_up(item)
        return []

    def _warn(self, stream: str, code: str, text: str) -> None:
        """Say that a stream does not take records, the first time; too many at once is an everyday thing."""
        if stream not in self._failures and not is_throttled(code):
            self._failures[stream] = 0
            log.warning(
                "egress %s tries stream %s again and again: %s", self._spec.id, stream, text
            )

    async def flush(self, timeout_s: float) -> None:
        """Wait until all records of complete epochs are acknowledged, at most so long."""
        try:
            async with asyncio.timeout(timeout_s):
                while self._outbox.has_queued:
                    self._is_empty.clear()
                    await self._is_empty.wait()
        except TimeoutError:
            log.warning(
                "egress %s: %d bytes have not left; they are kept for the next start",
                self._spec.id,
                self._outbox.bytes + self._outbox.shelved_bytes,
            )

    @property
    def is_transactional(self) -> bool:
        """Records wait for their epoch to be complete."""
        return True

    @property
    def is_changed(self) -> bool:
        """Whether there are records, or a checkpoint now would know of more that have left."""
        return self._outbox.has_collected or self._outbox.confirmed_epoch != self._confirmed_at_cut

    def cut(self, epoch: int) -> Sequence[Record]:
        """Return the records of the epoch."""
        self._confirmed_at_cut = self._outbox.confirmed_epoch
        return self._outbox.cut(epoch)

    def encode(self, records: Sequence[Record]) -> list[bytes]:
        """Return records as bytes."""
        return [record.encoded for record in records]

    def completed(self, epoch: int, outbox: Outbox | None = None) -> None:
        """The records up to an epoch may leave."""
        self._outbox.completed(epoch, None if outbox is None else outbox.object.id)
        self._is_wanted.set()

    def failed(self, epoch: int) -> None:
        """The next cut has them again."""
        self._outbox.failed(epoch)
        self._confirmed_at_cut = -1

    def confirmed_epoch(self) -> int:
        """Return the last epoch up to which all records are acknowledged."""
        return self._outbox.confirmed_epoch

    def restore(
        self, outbox: Outbox, read: Callable[[], list[bytes]], refused: Iterable[int] = ()
    ) -> None:
        """Send what may not have left; what memory has no room for stays on disk until its turn."""
        given_up = frozenset(refused)
        if self._outbox.has_room:
            records = [read_record(record) for record in read()]
            self._outbox.restore(outbox.epoch, records, given_up)
        else:
            stored, count = outbox.object, outbox.count - len(given_up)
            self._outbox.shelve(
                Shelved(outbox.epoch, stored.id, count, stored.size_bytes, given_up)
            )
        self._confirmed_at_cut = self._outbox.confirmed_epoch
        self._is_wanted.set()

    def metrics(self) -> Iterator[Metric]:
        """Return what was acknowledged, what Kinesis refused, and what waits."""
        yield Metric("statefun_egress_records", Kind.COUNTER, "records that left", self._published)
        yield Metric("statefun_egress_dropped", Kind.COUNTER, "records dropped", self._refused)
        yield Metric(
            "statefun_egress_waiting", Kind.GAUGE, "records that have not left", self._outbox.count
        )

    async def close(self) -> None:
        """The client leaves with `run`."""


def _by_stream(items: _Items) -> dict[str, _Items]:
    streams: dict[str, _Items] = {}
    for item in items:
        streams.setdefault(item.record.stream, []).append(item)
    return streams
