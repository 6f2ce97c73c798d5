"""What the adapters use of botocore's Kinesis client, awaited; it has no types, and tests have another one."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NotRequired, Protocol, TypedDict

# What AWS answers, by its own names.
Answer = Mapping[str, Any]


class Where(TypedDict):
    """A place in a shard."""

    ShardIteratorType: str
    StartingSequenceNumber: NotRequired[str]
    Timestamp: NotRequired[datetime]


class KinesisClient(Protocol):
    """Calls Kinesis; any call may raise one of CALL_ERRORS."""

    async def list_streams(self, *, Limit: int) -> Answer: ...

    async def describe_stream_summary(self, *, StreamName: str) -> Answer: ...

    async def list_shards(self, *, StreamName: str = ..., NextToken: str = ...) -> Answer: ...

    async def get_shard_iterator(
        self,
        *,
        StreamName: str,
        ShardId: str,
        ShardIteratorType: str,
        StartingSequenceNumber: str = ...,
        Timestamp: datetime = ...,
    ) -> Answer: ...

    async def get_records(self, *, ShardIterator: str, Limit: int = ...) -> Answer: ...

    async def put_records(
        self, *, StreamName: str, Records: Sequence[Mapping[str, bytes | str]]
    ) -> Answer: ...
