"""`io.statefun.kinesis.v1/ingress`: reads streams and routes each record to the targets of its stream.

Each shard that may be read has a task, which polls it at the pace that Kinesis allows; when a shard has ended, and
from time to time, the shards of all streams are looked up, and what may be read then gets its task. A record that
the producer library packed is routed whole in one step of the loop, so that a position never stands within one.
"""

import asyncio
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

from statefun_runtime.adapters.invalid_records import InvalidRecordDesk
from statefun_runtime.connectors.complaint import Complaint
from statefun_runtime.connectors.kinesis.aggregation import unpack
from statefun_runtime.connectors.kinesis.clients import (
    CALL_ERRORS,
    KinesisClients,
    code_of,
    is_throttled,
    words,
)
from statefun_runtime.connectors.kinesis.protocol import Answer, KinesisClient
from statefun_runtime.connectors.kinesis.settings.values import KinesisIngressSettings, StreamRoute
from statefun_runtime.connectors.kinesis.shards import (
    FINISHED,
    Shard,
    as_position,
    by_the_hour,
    new_positions,
    number_of,
    read_until,
    readable,
)
from statefun_runtime.connectors.kinesis.start import (
    list_shards,
    open_iterator,
    resolve_start,
    service_time_ms,
)
from statefun_runtime.core.model.address import TypeName
from statefun_runtime.core.model.dead_letter import Origin
from statefun_runtime.core.model.messages import IngressEncoder
from statefun_runtime.core.model.metrics import Metric, MetricKind
from statefun_runtime.core.model.position import Position
from statefun_runtime.core.partition.backlog import Function
from statefun_runtime.ports.ingress import IngressContext

log = logging.getLogger("statefun.ingress")

_RETRY_S = 1.0
_BACKOFF_FIRST_S = 0.3
_BACKOFF_MAX_S = 5.0
_RECORDS_PER_STEP = 2000
# An answer may have 10 MB: so many of them may come in at once, however many shards there are.
_FETCHES_MAX = 8


@dataclass(frozen=True, slots=True)
class _Route:
    """A stream's records: how they are encoded, and to whom they go."""

    encoder: IngressEncoder
    targets: tuple[Function, ...]
    missing: tuple[TypeName, ...]


class KinesisIngress:
    """An IngressSource whose splits are shards."""

    def __init__(
        self,
        spec: KinesisIngressSettings,
        context: IngressContext,
        restored: Mapping[str, Position],
        *,
        clients: KinesisClients,
    ) -> None:
        self._spec = spec
        self._context = context
        self._restored = {split: number_of(one) for split, one in restored.items()}
        self._clients = clients
        self._routes = {route.stream: self._route(route) for route in spec.routes}
        self._open = AsyncExitStack()
        self._client: KinesisClient | None = None
        self._shards: list[Shard] = []
        self._positions: dict[str, int] = {}
        self._reading: set[str] = set()
        self._held: set[str] = set()
        self._behind_ms: dict[str, int] = {}
        self._read_until_ms: dict[str, int] = {}
        self._complaint = Complaint(log, f"ingress {spec.id}:")
        self._has_ended = asyncio.Event()
        self._fetches = asyncio.Semaphore(_FETCHES_MAX)
        self._received = 0
        self._invalid = InvalidRecordDesk(spec.id, spec.invalid_records, context)

    def _route(self, route: StreamRoute) -> _Route:
        found = [(target, self._context.resolve(target)) for target in route.targets]
        return _Route(
            IngressEncoder(route.value_type),
            tuple(function for _, function in found if function is not None),
            tuple(target for target, function in found if function is None),
        )

    async def start(self) -> None:
        """Find out where reading begins; waits for AWS and the streams, and says so."""
        try:
            await self._resolve()
        except BaseException:
            await self.close()
            raise
        log.info(
            "ingress %s reads %d shards of %s",
            self._spec.id,
            sum(self._positions[shard.split] != FINISHED for shard in self._shards),
            ", ".join(self._routes),
        )

    async def _resolve(self) -> None:
        while True:
            try:
                if self._client is None:
                    self._client = await self._open.enter_async_context(self._clients.connect())
                self._positions, self._shards = await resolve_start(
                    self._client, self._spec, self._restored
                )
                return
            except CALL_ERRORS as error:
                self._complaint.say(f"waits: {words(error)}", about="the start")
                await asyncio.sleep(_RETRY_S)

    @property
    def _calling(self) -> KinesisClient:
        assert self._client is not None, "nothing is read before the start"
        return self._client

    async def run(self) -> None:
        """Route records until cancelled."""
        async with self._open, asyncio.TaskGroup() as tasks:
            while True:
                for shard in readable(self._shards, self._positions):
                    if shard.split not in self._reading:
                        self._reading.add(shard.split)
                        tasks.create_task(self._read(shard))
                try:
                    async with asyncio.timeout(self._spec.reading.discovery_s):
                        await self._has_ended.wait()
                except TimeoutError:
                    pass
                self._has_ended.clear()
                await self._discover()

    async def _discover(self) -> None:
        """Look up the shards; a stream that cannot be looked up keeps those that are known."""
        shards: list[Shard] = []
        for stream in self._routes:
            subject = f"the shards of stream {stream}"
            try:
                shards += await list_shards(self._calling, stream)
                self._complaint.over(about=subject)
            except CALL_ERRORS as error:
                self._complaint.say(f"{subject}: {words(error)}", about=subject)
                shards += [shard for shard in self._shards if shard.stream == stream]
        self._shards = shards
        self._positions.update(new_positions(shards, self._positions))

    async def _read(self, shard: Shard) -> None:
        """Read a shard to its end."""
        loop, reading = asyncio.get_running_loop(), self._spec.reading
        iterator: str | None = None
        failures = 0
        while True:
            await self._welcome(shard)
            next_s = loop.time() + reading.interval_s
            try:
                async with self._fetches:
                    if iterator is None:
                        iterator = await open_iterator(
                            self._calling, self._spec, shard, self._positions[shard.split]
                        )
                    answer = await self._calling.get_records(
                        ShardIterator=iterator or "", Limit=reading.records_max
                    )
                    await self._take(shard, answer["Records"])
            except CALL_ERRORS as error:
                failures += 1
                if not is_throttled(code_of(error)):
                    # The next iterator begins at the position: whatever was wrong with this one is over.
                    iterator = None
                await self._after(error, shard, failures)
                continue
            failures = 0
            self._complaint.over(about=shard.stream)
            self._note_time(shard, answer)
            iterator = answer.get("NextShardIterator")
            if iterator is None:
                # An address that is full with a shard's records is not fed by its children either.
                await self._welcome(shard)
                self._finish(shard)
                return
            await asyncio.sleep(next_s - loop.time())

    async def _welcome(self, shard: Shard) -> None:
        """Return when records of a shard are welcome."""
        while shard.split in self._held:
            if self._context.is_tight():
                await asyncio.sleep(self._spec.reading.interval_s)
            else:
                self._held.discard(shard.split)
        if not self._context.is_open():
            await self._context.opened()

    async def _after(self, error: Exception, shard: Shard, failures: int) -> None:
        """Wait before a shard is read again: a moment if it was too much, longer each time it fails."""
        code = code_of(error)
        if code == "ExpiredIteratorException" and failures == 1:
            return
        if not is_throttled(code):
            what = f"stream {shard.stream}, {shard.id}"
            self._complaint.say(f"{what}: {words(error)}", about=shard.stream)
        await asyncio.sleep(min(_BACKOFF_MAX_S, _BACKOFF_FIRST_S * 1.5 ** (failures - 1)))

    async def _take(self, shard: Shard, records: Sequence[Answer]) -> None:
        """Route the records of an answer, in order, and let others work in between."""
        for first in range(0, len(records), _RECORDS_PER_STEP):
            if first:
                await asyncio.sleep(0)
                if not self._context.is_open():
                    await self._context.opened()
            self._take_some(shard, records[first : first + _RECORDS_PER_STEP])

    def _take_some(self, shard: Shard, records: Sequence[Answer]) -> None:
        route = self._routes[shard.stream]
        deliver, encode, targets = self._context.deliver, route.encoder.encode, route.targets
        keys = set()
        for record in records:
            for key, data in unpack(
                record["PartitionKey"],
                record["Data"],
                first_hash=shard.first_hash,
                last_hash=shard.last_hash,
            ):
                invocation = encode(data)
                if route.missing:
                    self._refuse(shard, record["SequenceNumber"], route, key, data, invocation)
                keys.add(key)
                self._received += 1
                for target in targets:
                    deliver(target, key, invocation)
            self._positions[shard.split] = int(record["SequenceNumber"])
        if self._context.is_tight() and any(
            self._context.holds_back(target, key) for key in keys for target in targets
        ):
            self._held.add(shard.split)

    def _refuse(
        self, shard: Shard, sequence: str, route: _Route, key: str, data: bytes, invocation: bytes
    ) -> None:
        """Hand in a record that cannot be routed to everyone; may raise, and then it is the next to be read."""
        where = f"stream {shard.stream}, {shard.id}, sequence number {sequence}"
        origin = Origin(f"ingress {self._spec.id}", shard.split, sequence, key.encode(), data)
        self._invalid.unknown_targets(origin, where, route.missing, invocation)

    def _note_time(self, shard: Shard, answer: Answer) -> None:
        behind_ms = answer.get("MillisBehindLatest") or 0
        self._behind_ms[shard.split] = behind_ms
        self._read_until_ms[shard.split] = service_time_ms(answer) - behind_ms

    def _finish(self, shard: Shard) -> None:
        self._positions[shard.split] = FINISHED
        self._reading.discard(shard.split)
        self._behind_ms.pop(shard.split, None)
        self._read_until_ms.pop(shard.split, None)
        self._has_ended.set()
        log.info(
            "ingress %s: stream %s, %s is read to its end", self._spec.id, shard.stream, shard.id
        )

    def positions(self) -> dict[str, Position]:
        """Return where reading goes on in each shard, and until when each stream is read; shards.py says how."""
        oldest_ms: dict[str, int] = {}
        for shard in self._shards:
            if shard.split in self._reading:
                read_ms = self._read_until_ms.get(shard.split, 0)
                oldest_ms[shard.stream] = min(read_ms, oldest_ms.get(shard.stream, read_ms))
        # A stream of which a shard was not asked yet keeps what was known of it before.
        known = {read_until(s): by_the_hour(read_ms) for s, read_ms in oldest_ms.items() if read_ms}
        shards = {split: as_position(number) for split, number in self._positions.items()}
        return {**shards, **known}

    def metrics(self) -> Iterator[Metric]:
        """Return what was routed and skipped, and per shard how far reading is behind."""
        yield Metric(
            "statefun_ingress_records", MetricKind.COUNTER, "records routed", self._received
        )
        yield from self._invalid.metrics()
        for split, behind_ms in self._behind_ms.items():
            yield Metric(
                "statefun_ingress_behind_ms",
                MetricKind.GAUGE,
                "milliseconds between the last record read and the end of the shard",
                behind_ms,
                {"split": split},
            )
        yield Metric(
            "statefun_ingress_held_splits",
            MetricKind.GAUGE,
            "splits held back for an address",
            len(self._held),
        )

    def completed(self, positions: Mapping[str, Position]) -> None:
        """Nobody outside is told."""

    async def close(self) -> None:
        """Leave."""
        await self._open.aclose()
