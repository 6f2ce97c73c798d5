"""`io.statefun.kinesis.v1/ingress`: reads streams and routes each record to the targets of its stream.

Each shard that may be read has a task, which polls it at the pace that Kinesis allows; when a shard has ended, and
from time to time, the shards of all streams are looked up, and what may be read then gets its task. A record that
the producer library packed is routed whole in one step of the loop, so that a position never stands within one.

A stream that does not exist is looked for beside reading, and a shard whose position is lost waits alone (start.py).
"""

import asyncio
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from types import MappingProxyType

from statefun_runtime.connectors.complaint import Complaint
from statefun_runtime.connectors.kinesis.answers import Answers
from statefun_runtime.connectors.kinesis.clients import (
    CALL_ERRORS,
    KinesisClients,
    code_of,
    is_throttled,
    words,
)
from statefun_runtime.connectors.kinesis.protocol import Answer, KinesisClient
from statefun_runtime.connectors.kinesis.routing import Routing
from statefun_runtime.connectors.kinesis.settings.values import KinesisIngressSettings
from statefun_runtime.connectors.kinesis.shards import BEGINNING, NO_SHARD, Shard, is_known
from statefun_runtime.connectors.kinesis.splits import Splits
from statefun_runtime.connectors.kinesis.start import (
    NOT_FOUND,
    PlaceGone,
    Restart,
    list_shards,
    never_there,
    open_iterator,
    require_kept,
    resolve,
    service_time_ms,
)
from statefun_runtime.connectors.reach import Reach
from statefun_runtime.core.model.metrics import Metric, MetricKind
from statefun_runtime.core.model.position import Position
from statefun_runtime.ports.ingress import IngressContext

log = logging.getLogger("statefun.ingress")

_RETRY_S = 1.0
_BACKOFF_FIRST_S = 0.3
_BACKOFF_MAX_S = 5.0
# So many calls in a row without an answer, though others get one, are told: that is some 20 s.
_FAILURES_ALONE = 9
_RECORDS_PER_STEP = 2000
# A stream keeps its records for a day at least: who was held back for less has lost none.
_LONG_S = 3600.0
# An answer may have 10 MB: so many of them may come in at once, however many shards there are.
_FETCHES_MAX = 8


class KinesisIngress:
    """An IngressSource whose splits are shards."""

    def __init__(
        self,
        spec: KinesisIngressSettings,
        context: IngressContext,
        restored: Mapping[str, Position],
        *,
        clients: KinesisClients,
        restarts: Mapping[str, Restart] = MappingProxyType({}),
    ) -> None:
        self._spec = spec
        self._context = context
        self._restarts = restarts
        self._clients = clients
        self._open = AsyncExitStack()
        self._client: KinesisClient | None = None
        self._streams = [route.stream for route in spec.routes]
        self._splits = Splits(spec.id, restored)
        self._routing = Routing(spec, context, self._splits.at)
        self._unresolved: dict[str, None] = {}
        self._reading: dict[str, Shard] = {}
        self._held: set[str] = set()
        self._behind_ms: dict[str, int] = {}
        self._read_s: dict[str, float] = {}
        self._complaint = Complaint(log, f"ingress {spec.id}:")
        self._answers = Answers(spec.region)
        self._reach = Reach(
            log,
            f"ingress {spec.id}",
            lambda: "nothing is read, nobody knows how much waits",
            whom="Kinesis",
        )
        self._has_changed = asyncio.Event()
        self._one_looks = asyncio.Lock()
        self._fetches = asyncio.Semaphore(_FETCHES_MAX)

    async def start(self) -> None:
        """Find out where reading begins; waits for AWS and the streams, and says so."""
        try:
            await self._resolve()
        except BaseException:
            await self.close()
            raise
        streams = [stream for stream in self._streams if stream not in self._unresolved]
        log.info(
            "ingress %s reads %d shards of %s",
            self._spec.id,
            self._splits.unread_count,
            ", ".join(streams) or "no stream yet",
        )

    async def _resolve(self) -> None:
        while True:
            try:
                if self._client is None:
                    self._client = await self._open.enter_async_context(self._clients.connect())
                for stream in self._streams:
                    await self._begin(stream)
                return
            except CALL_ERRORS as error:
                self._complaint.say(f"waits: {words(error)}", about="the start")
                await asyncio.sleep(_RETRY_S)

    async def _begin(self, stream: str) -> None:
        """Find out how to go on with a stream; one that does not exist is looked for later."""
        try:
            resolved = await resolve(
                self._calling,
                stream,
                self._splits,
                self._spec.startup,
                self._restarts.get(stream),
            )
        except CALL_ERRORS as error:
            if code_of(error) != NOT_FOUND:
                raise
            self._unresolved[stream] = None
            self._complaint.say(f"stream {stream} does not exist: it is waited for", about=stream)
            if not is_known(stream, self._splits.at):
                self._splits.take(never_there(stream))
            return
        self._unresolved.pop(stream, None)
        self._complaint.over(about=stream)
        self._splits.take(resolved)

    @property
    def _loop(self) -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()

    @property
    def _calling(self) -> KinesisClient:
        assert self._client is not None, "nothing is read before the start"
        return self._client

    async def run(self) -> None:
        """Route records until cancelled."""
        async with self._open, asyncio.TaskGroup() as tasks:
            tasks.create_task(self._reach.run(lambda: self._answers.silent(self._calling)))
            while True:
                for shard in self._splits.readable():
                    if shard.split not in self._reading:
                        self._reading[shard.split] = shard
                        tasks.create_task(self._read(shard))
                try:
                    async with asyncio.timeout(self._spec.reading.discovery_s):
                        await self._has_changed.wait()
                except TimeoutError:
                    pass
                self._has_changed.clear()
                for stream in self._streams:
                    await self._look_at(stream)
                self._splits.remind(self._loop.time())

    async def _look_at(self, stream: str) -> bool:
        """Look up the shards of a stream; if that cannot be done, return False and keep those that are known."""
        subject = f"the shards of stream {stream}"
        try:
            # Two that began with it at once would have the second undo what was read after the first.
            async with self._one_looks:
                if stream in self._unresolved:
                    await self._begin(stream)
                    return stream not in self._unresolved
                shards = await list_shards(self._calling, stream)
                if self._splits.is_other(stream, shards):
                    await self._begin(stream)
                else:
                    self._splits.listed(stream, shards)
        except CALL_ERRORS as error:
            if code_of(error):
                self._complaint.say(f"{subject}: {words(error)}", about=subject)
            return False
        self._complaint.over(about=subject)
        return True

    async def _read(self, shard: Shard) -> None:
        """Read a shard to its end, or until there is no place to read on at."""
        try:
            await self._read_on(shard)
        finally:
            del self._reading[shard.split]
        self._behind_ms.pop(shard.split, None)
        self._has_changed.set()

    async def _read_on(self, shard: Shard) -> None:
        iterator: str | None = None
        failures = 0
        while self._splits.is_read(shard):
            await self._welcome(shard)
            next_s = self._loop.time() + self._spec.reading.interval_s
            try:
                async with self._fetches:
                    if iterator is None:
                        iterator = await self._open_iterator(shard)
                    answer = await self._calling.get_records(
                        ShardIterator=iterator or "", Limit=self._spec.reading.records_max
                    )
                    self._answers.heard()
                    await self._take(shard, answer["Records"])
            except PlaceGone as gone:
                iterator = None
                failures += 1
                await self._look_into(shard, str(gone))
                await asyncio.sleep(_pause_s(failures))
                continue
            except CALL_ERRORS as error:
                failures += 1
                if code_of(error) == NOT_FOUND:
                    await self._look_into(shard, None)
                    if not self._splits.is_read(shard):
                        return
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
            await asyncio.sleep(next_s - self._loop.time())

    async def _open_iterator(self, shard: Shard) -> str | None:
        """Return a name for the place where a shard is read on; raise PlaceGone if that is not there any more."""
        position, split = self._splits.at[shard.split], shard.split
        was_idle_s = self._loop.time() - self._read_s.get(split, self._loop.time())
        read_until_ms = self._splits.read_until_ms(split)
        if was_idle_s > _LONG_S and position > BEGINNING and read_until_ms is not None:
            await require_kept(self._calling, shard, position, read_until_ms=read_until_ms)
        return await open_iterator(self._calling, shard, position)

    async def _look_into(self, shard: Shard, found: str | None) -> None:
        """What was found is no place to go on at, or with None no shard; perhaps the stream is another one by now."""
        stream = shard.stream
        if not await self._look_at(stream) or not self._splits.is_read(shard):
            return
        if found is None and self._splits.is_listed(shard.split):
            return
        self._splits.lose(shard.split, found or NO_SHARD)
        if stream in self._restarts:
            self._unresolved[stream] = None
            await self._look_at(stream)

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
        if code:
            self._answers.heard()
        # Whether Kinesis answers at all is looked at, and told, apart from this.
        is_news = bool(code) or (failures >= _FAILURES_ALONE and self._reach.is_connected)
        if is_news and not is_throttled(code):
            what = f"stream {shard.stream}, {shard.id}"
            self._complaint.say(f"{what}: {words(error)}", about=shard.stream)
        await asyncio.sleep(_pause_s(failures))

    async def _take(self, shard: Shard, records: Sequence[Answer]) -> None:
        """Route the records of an answer, in order, and let others work in between."""
        for first in range(0, len(records), _RECORDS_PER_STEP):
            if first:
                await asyncio.sleep(0)
                if not self._context.is_open():
                    await self._context.opened()
            some = records[first : first + _RECORDS_PER_STEP]
            if self._splits.is_read(shard) and self._routing.take(shard, some):
                self._held.add(shard.split)

    def _note_time(self, shard: Shard, answer: Answer) -> None:
        behind_ms = answer.get("MillisBehindLatest") or 0
        self._behind_ms[shard.split] = behind_ms
        self._read_s[shard.split] = self._loop.time()
        self._splits.is_read_until(shard.split, service_time_ms(answer) - behind_ms)

    def _finish(self, shard: Shard) -> None:
        if not self._splits.is_read(shard):
            return
        self._splits.finish(shard.split)
        log.info(
            "ingress %s: stream %s, %s is read to its end", self._spec.id, shard.stream, shard.id
        )

    def positions(self) -> dict[str, Position]:
        """Return where reading goes on in each shard, and until when each stream is read; shards.py says how."""
        return self._splits.positions()

    def why_cut_off(self) -> str | None:
        """Return that Kinesis gives no answer, and since when."""
        return self._reach.trouble

    def waits(self) -> list[str]:
        """Return what waits for a person."""
        lost = self._splits.lost_count
        return [f"has {lost} shards whose position is lost [SF3090]"] if lost else []

    def metrics(self) -> Iterator[Metric]:
        """Return what was routed and skipped, and per shard how far reading is behind."""
        yield from self._routing.metrics()
        yield from self._splits.metrics()
        yield from self._reach.metrics("ingress")
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


def _pause_s(failures: int) -> float:
    return min(_BACKOFF_MAX_S, _BACKOFF_FIRST_S * 1.5 ** (failures - 1))
