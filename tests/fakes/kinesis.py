"""Kinesis in memory, as strict as the service is said to be: shards that end, iterators that expire, old records gone.

Its clients have the methods of botocore's that the adapters call. Time is that of the running loop.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from hashlib import md5
from typing import Any

from botocore.exceptions import ClientError, ReadTimeoutError

START_S = 1_700_000_000
HASHES = 2**128
_FIRST_SEQUENCE = 49_590_338_271_490_256_608_559_692_538_361_571_095_921_575_989_136_588_898
_ITERATOR_S = 300.0
_PAGE = 2
_TIMEOUT_S = 50.0


@dataclass
class FakeRecord:
    sequence: int
    partition_key: str
    data: bytes
    arrived_s: float


@dataclass
class FakeShard:
    id: str
    first_hash: int
    last_hash: int
    first_sequence: int
    parents: tuple[str, ...] = ()
    last_sequence: int | None = None
    records: list[FakeRecord] = field(default_factory=list)


def error(code: str, operation: str = "Call") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": f"{code} was asked for"}}, operation)


class FakeKinesis:
    """Streams, and a KinesisClients for them; `faults` are raised by the next calls of a method, in order."""

    def __init__(self) -> None:
        self.streams: dict[str, list[FakeShard]] = {}
        self.kept_hours = 24
        self.faults: dict[str, deque[Exception]] = {}
        # Says for a record of a PutRecords call whether it is taken, or the error code of its refusal.
        self.judge: Callable[[str, str, bytes], str] = lambda stream, key, data: ""
        self.calls: list[str] = []
        # Calls get no answer: each ends as one whose connection times out.
        self.is_silent = False
        self.open_clients = 0
        self._sequence = _FIRST_SEQUENCE
        self._iterators: dict[str, tuple[str, FakeShard, Callable[[FakeRecord], bool], float]] = {}

    def now_s(self) -> float:
        return START_S + asyncio.get_running_loop().time()

    def fail(self, method: str, *codes: str) -> None:
        self.faults.setdefault(method, deque()).extend(error(code, method) for code in codes)

    # ── what happens to streams ──

    def create(self, stream: str, shards: int = 1) -> None:
        step = HASHES // shards
        self.streams[stream] = []
        for number in range(shards):
            last = HASHES - 1 if number == shards - 1 else (number + 1) * step - 1
            self._add(stream, number * step, last)

    def _add(self, stream: str, first: int, last: int, *parents: str) -> FakeShard:
        number = len(self.streams[stream])
        shard = FakeShard(f"shardId-{number:012}", first, last, self._next_sequence(), parents)
        self.streams[stream].append(shard)
        return shard

    def _next_sequence(self) -> int:
        self._sequence += 1
        return self._sequence

    def put(self, stream: str, key: str, data: bytes, *, shard: int | None = None) -> int:
        hash_key = int.from_bytes(md5(key.encode()).digest())
        open_shards = [s for s in self.streams[stream] if s.last_sequence is None]
        chosen = (
            next(s for s in open_shards if s.first_hash <= hash_key <= s.last_hash)
            if shard is None
            else self.streams[stream][shard]
        )
        record = FakeRecord(self._next_sequence(), key, data, self.now_s())
        chosen.records.append(record)
        return record.sequence

    def split(self, stream: str, number: int) -> None:
        parent = self._close(stream, number)
        middle = (parent.first_hash + parent.last_hash) // 2
        self._add(stream, parent.first_hash, middle, parent.id)
        self._add(stream, middle + 1, parent.last_hash, parent.id)

    def merge(self, stream: str, one: int, other: int) -> None:
        first, second = self._close(stream, one), self._close(stream, other)
        self._add(stream, first.first_hash, second.last_hash, first.id, second.id)

    def _close(self, stream: str, number: int) -> FakeShard:
        shard = self.streams[stream][number]
        assert shard.last_sequence is None
        shard.last_sequence = self._next_sequence()
        return shard

    def drop_old(self) -> None:
        """Records older than the retention go, and closed shards that have none left."""
        oldest_s = self.now_s() - self.kept_hours * 3600
        for stream, shards in self.streams.items():
            for shard in shards:
                shard.records = [r for r in shard.records if r.arrived_s >= oldest_s]
            self.streams[stream] = [s for s in shards if s.records or s.last_sequence is None]

    def values(self, stream: str, key: str) -> list[bytes]:
        """Return what lies under a key, in the order of arrival."""
        records = [r for s in self.streams[stream] for r in s.records if r.partition_key == key]
        return [record.data for record in sorted(records, key=lambda r: r.sequence)]

    # ── the client ──

    def connect(self) -> AbstractAsyncContextManager["FakeKinesis"]:
        return self._connected()

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator["FakeKinesis"]:
        if self.faults.get("connect"):
            raise self.faults["connect"].popleft()
        self.open_clients += 1
        try:
            yield self
        finally:
            self.open_clients -= 1

    async def _called(self, method: str, stream: str | None = None) -> None:
        assert self.open_clients, f"{method} after the client was closed"
        self.calls.append(method)
        await asyncio.sleep(0.005)
        if self.is_silent:
            await asyncio.sleep(_TIMEOUT_S)
            raise ReadTimeoutError(endpoint_url="https://kinesis")
        if self.faults.get(method):
            raise self.faults[method].popleft()
        if stream is not None and stream not in self.streams:
            raise error("ResourceNotFoundException", method)

    def _answer(self, **answer: Any) -> dict[str, Any]:
        date = format_datetime(datetime.fromtimestamp(self.now_s(), UTC), usegmt=True)
        return {**answer, "ResponseMetadata": {"HTTPHeaders": {"date": date}}}

    async def list_streams(self, *, Limit: int) -> dict[str, Any]:
        await self._called("list_streams")
        return self._answer(StreamNames=list(self.streams)[:Limit])

    async def describe_stream_summary(self, *, StreamName: str) -> dict[str, Any]:
        await self._called("describe_stream_summary", StreamName)
        return self._answer(StreamDescriptionSummary={"RetentionPeriodHours": self.kept_hours})

    async def list_shards(
        self, *, StreamName: str | None = None, NextToken: str | None = None
    ) -> dict[str, Any]:
        await self._called("list_shards", StreamName)
        stream, first = StreamName, 0
        if NextToken is not None:
            assert StreamName is None, "the service refuses both"
            stream, _, number = NextToken.partition("/")
            first = int(number)
        assert stream is not None
        shards = self.streams[stream]
        answer: dict[str, Any] = {"Shards": list(map(_describe, shards[first : first + _PAGE]))}
        if first + _PAGE < len(shards):
            answer["NextToken"] = f"{stream}/{first + _PAGE}"
        return answer

    async def get_shard_iterator(
        self,
        *,
        StreamName: str,
        ShardId: str,
        ShardIteratorType: str,
        StartingSequenceNumber: str = "0",
        Timestamp: datetime | None = None,
    ) -> dict[str, Any]:
        await self._called("get_shard_iterator", StreamName)
        shard = self._shard(StreamName, ShardId)
        sequence = int(StartingSequenceNumber)
        if "SEQUENCE" in ShardIteratorType and not shard.first_sequence <= sequence:
            raise error("InvalidArgumentException", "get_shard_iterator")
        since_s = 0.0 if Timestamp is None else Timestamp.timestamp()
        if since_s > self.now_s():
            raise error("InvalidArgumentException", "get_shard_iterator")
        wanted: dict[str, Callable[[FakeRecord], bool]] = {
            "TRIM_HORIZON": lambda record: True,
            "AT_TIMESTAMP": lambda record: record.arrived_s >= since_s,
            "AT_SEQUENCE_NUMBER": lambda record: record.sequence >= sequence,
            "AFTER_SEQUENCE_NUMBER": lambda record: record.sequence > sequence,
        }
        iterator = self._iterator(StreamName, shard, wanted[ShardIteratorType])
        return {"ShardIterator": iterator}

    def _shard(self, stream: str, shard_id: str) -> FakeShard:
        for shard in self.streams[stream]:
            if shard.id == shard_id:
                return shard
        raise error("ResourceNotFoundException")

    def _iterator(self, stream: str, shard: FakeShard, wanted: Callable[[FakeRecord], bool]) -> str:
        name = f"iterator-{len(self._iterators)}"
        self._iterators[name] = (stream, shard, wanted, self.now_s() + _ITERATOR_S)
        return name

    async def get_records(self, *, ShardIterator: str, Limit: int = 10_000) -> dict[str, Any]:
        await self._called("get_records")
        stream, shard, wanted, expires_s = self._iterators[ShardIterator]
        if self.now_s() > expires_s:
            raise error("ExpiredIteratorException", "get_records")
        if all(one is not shard for one in self.streams.get(stream, ())):
            # Another shard of this name is none of its business.
            raise error("ResourceNotFoundException", "get_records")
        found = [record for record in shard.records if wanted(record)]
        records, rest = found[:Limit], found[Limit:]
        behind_s = rest[-1].arrived_s - records[-1].arrived_s + 0.001 if rest else 0.0
        answer = self._answer(
            Records=[
                {
                    "SequenceNumber": str(r.sequence),
                    "PartitionKey": r.partition_key,
                    "Data": r.data,
                }
                for r in records
            ],
            MillisBehindLatest=int(behind_s * 1000),
        )
        if rest or shard.last_sequence is None:
            if records:
                reached = records[-1].sequence
                wanted = lambda record: record.sequence > reached  # noqa: E731
            answer["NextShardIterator"] = self._iterator(stream, shard, wanted)
        return answer

    async def put_records(
        self, *, StreamName: str, Records: Sequence[Mapping[str, Any]]
    ) -> dict[str, Any]:
        await self._called("put_records", StreamName)
        assert 1 <= len(Records) <= 500
        codes = [self.judge(StreamName, r["PartitionKey"], r["Data"]) for r in Records]
        if "ValidationException" in codes:
            # One wrong record has the whole request refused.
            raise error("ValidationException", "put_records")
        results = []
        for record, code in zip(Records, codes, strict=True):
            key, data = record["PartitionKey"], record["Data"]
            if code:
                results.append({"ErrorCode": code, "ErrorMessage": "as the judge says"})
            else:
                self.put(StreamName, key, data)
                results.append({"SequenceNumber": "1"})
        return self._answer(Records=results)


def _describe(shard: FakeShard) -> dict[str, Any]:
    described: dict[str, Any] = {
        "ShardId": shard.id,
        "HashKeyRange": {
            "StartingHashKey": str(shard.first_hash),
            "EndingHashKey": str(shard.last_hash),
        },
        "SequenceNumberRange": {"StartingSequenceNumber": str(shard.first_sequence)},
    }
    if shard.last_sequence is not None:
        described["SequenceNumberRange"]["EndingSequenceNumber"] = str(shard.last_sequence)
    for name, parent in zip(
        ("ParentShardId", "AdjacentParentShardId"), shard.parents, strict=False
    ):
        described[name] = parent
    return described
