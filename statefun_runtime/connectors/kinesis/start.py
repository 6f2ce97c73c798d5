"""How a Kinesis ingress begins with its streams, or goes on with them: checkpoint first, then `startupPosition`.

    what the stream has fits what was read ─▶ goes on
    it contradicts it ─▶ the stream was made anew: all that it holds came later, so it is read from its beginning
    a place is not there ─▶ lost: that shard waits for a person, and all others go on ── --restart-topic ─▶ read again

Nothing is skipped that nobody was told of. What a shard of before ended in is read when it is.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from statefun_runtime.connectors.kinesis.clients import CALL_ERRORS, code_of, words
from statefun_runtime.connectors.kinesis.protocol import Answer, KinesisClient, Where
from statefun_runtime.connectors.kinesis.shards import (
    BEGINNING,
    FINISHED,
    Positions,
    Shard,
    find_vanished,
    first_positions,
    is_known,
    read_until,
    time_ms_of,
    with_descendants,
)
from statefun_runtime.connectors.kinesis.splits import Resolved, Splits
from statefun_runtime.core.module.specs import Date, Earliest, Latest

NOT_FOUND = "ResourceNotFoundException"
_NO_SUCH_PLACE = "InvalidArgumentException"
_HOUR_MS = 3_600_000
_ANSWERS_MAX = 10

Restart = Earliest | Latest
"""Where a person says that a stream is gone on with if a position is lost."""


class PlaceGone(Exception):
    """The place that a position stands for is not there; the text says what was found."""


def never_there(stream: str) -> Resolved:
    """Return how a stream is begun with that does not exist: all that it ever holds comes later."""
    return Resolved(stream, [], {read_until(stream): BEGINNING})


async def list_shards(client: KinesisClient, stream: str) -> list[Shard]:
    """Return all shards of a stream, closed ones too as long as they hold records, and older ones first."""
    shards: list[Shard] = []
    arguments: dict[str, str] = {"StreamName": stream}
    while True:
        page = await client.list_shards(**arguments)
        shards += [_read_shard(stream, shard) for shard in page["Shards"]]
        if not page.get("NextToken"):
            return shards
        arguments = {"NextToken": page["NextToken"]}


def _read_shard(stream: str, shard: Answer) -> Shard:
    parents = (shard.get("ParentShardId"), shard.get("AdjacentParentShardId"))
    sequences, hashes = shard["SequenceNumberRange"], shard["HashKeyRange"]
    return Shard(
        stream,
        shard["ShardId"],
        tuple(parent for parent in parents if parent),
        sequences.get("EndingSequenceNumber") is None,
        int(sequences["StartingSequenceNumber"]),
        int(hashes["StartingHashKey"]),
        int(hashes["EndingHashKey"]),
    )


async def resolve(
    client: KinesisClient,
    stream: str,
    splits: Splits,
    startup: Earliest | Latest | Date,
    restart: Restart | None,
) -> Resolved:
    """Return how each shard of a stream is begun with, or gone on with."""
    shards = await list_shards(client, stream)
    before = splits.of(stream)
    if not is_known(stream, before):
        return Resolved(stream, shards, await _from_startup(client, stream, shards, startup))
    if splits.is_other(stream, shards):
        begun = await _from_startup(client, stream, shards, restart or Earliest())
        return Resolved(stream, shards, begun, was_made_anew=True)
    lost = {
        **find_vanished(stream, shards, before),
        **await _find_dropped(client, stream, shards, before),
        **splits.lost_of(stream),
    }
    if not lost or restart is None:
        return Resolved(stream, shards, {}, lost)
    changed = await _restarted(client, stream, shards, before, list(lost), restart)
    return Resolved(stream, shards, changed, restarted=tuple(lost))


async def _restarted(
    client: KinesisClient,
    stream: str,
    shards: list[Shard],
    before: Positions,
    lost: list[str],
    restart: Restart,
) -> Positions:
    """Go on without what is lost; a shard that is not there any more has nothing else, and its children begin."""
    listed = {shard.split: shard for shard in shards}
    touched = [listed[split] for split in lost if split in listed]
    if isinstance(restart, Latest):
        # What goes on where a lost one ended is as old, unless some of it was read.
        touched = [
            shard
            for split, shard in with_descendants(lost, shards).items()
            if split in lost or before.get(split, BEGINNING) == BEGINNING
        ]
    gone = {split: FINISHED for split in lost if split not in listed}
    return {**gone, **await _from_startup(client, stream, touched, restart)}


async def _find_dropped(
    client: KinesisClient, stream: str, shards: Iterable[Shard], before: Positions
) -> dict[str, str]:
    """Return the splits whose next records were dropped unread, and what was found instead."""
    read_ms = before.get(read_until(stream))
    found: dict[str, str] = {}
    for shard in shards:
        position = before.get(shard.split, BEGINNING)
        if read_ms is not None and position > BEGINNING:
            try:
                await require_kept(client, shard, position, read_until_ms=read_ms)
            except PlaceGone as gone:
                found[shard.split] = str(gone)
    return found


async def require_kept(
    client: KinesisClient, shard: Shard, position: int, *, read_until_ms: int
) -> None:
    """Raise PlaceGone if records behind a position were dropped; all that came before that time is read."""
    summary = await client.describe_stream_summary(StreamName=shard.stream)
    kept_hours = summary["StreamDescriptionSummary"]["RetentionPeriodHours"]
    if service_time_ms(summary) - read_until_ms <= kept_hours * _HOUR_MS:
        return
    if await _is_dropped(client, shard, position):
        raise PlaceGone(
            f"it is not there any more, and nothing was read for longer than the {kept_hours} hours "
            "that the stream keeps records"
        )


async def _is_dropped(client: KinesisClient, shard: Shard, position: int) -> bool:
    """Return whether the record at a position is gone and there are others behind it: then more may be gone."""
    where: Where = {
        "ShardIteratorType": "AT_SEQUENCE_NUMBER",
        "StartingSequenceNumber": str(position),
    }
    iterator = await _get_iterator(client, shard, position, where)
    for _ in range(_ANSWERS_MAX):
        if iterator is None:
            break
        answer = await client.get_records(ShardIterator=iterator, Limit=1)
        if answer["Records"]:
            return int(answer["Records"][0]["SequenceNumber"]) != position
        if not answer.get("MillisBehindLatest"):
            break
        iterator = answer.get("NextShardIterator")
    return False


async def _from_startup(
    client: KinesisClient, stream: str, shards: list[Shard], startup: Earliest | Latest | Date
) -> Positions:
    summary = await client.describe_stream_summary(StreamName=stream)
    positions = first_positions(shards, startup, now_ms=service_time_ms(summary))
    if isinstance(startup, Latest):
        for shard in shards:
            if shard.is_open:
                positions[shard.split] = await _end(client, shard, positions[shard.split])
    return positions


def service_time_ms(answer: Answer) -> int:
    """Return the service's time in whole seconds: it refuses to read from a time that it has not reached."""
    date = parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"])
    return int(date.timestamp() * 1000)


async def _end(client: KinesisClient, shard: Shard, position: int) -> int:
    """Return the position behind what is in a shard already; `position` is about a second before its end."""
    iterator = await open_iterator(client, shard, position)
    for _ in range(_ANSWERS_MAX):
        if iterator is None:
            break
        answer = await client.get_records(ShardIterator=iterator)
        if answer["Records"]:
            position = int(answer["Records"][-1]["SequenceNumber"])
        if not answer.get("MillisBehindLatest"):
            break
        iterator = answer.get("NextShardIterator")
    return position


async def open_iterator(client: KinesisClient, shard: Shard, position: int) -> str | None:
    """Return the service's own name for the place behind a position, good for five minutes.

    Raise PlaceGone if there is no such place.
    """
    where: Where
    timestamp_ms = time_ms_of(position)
    if timestamp_ms is not None:
        moment = datetime.fromtimestamp(timestamp_ms / 1000, UTC)
        where = {"ShardIteratorType": "AT_TIMESTAMP", "Timestamp": moment}
    elif position == BEGINNING:
        where = {"ShardIteratorType": "TRIM_HORIZON"}
    else:
        where = {
            "ShardIteratorType": "AFTER_SEQUENCE_NUMBER",
            "StartingSequenceNumber": str(position),
        }
    return await _get_iterator(client, shard, position, where)


async def _get_iterator(
    client: KinesisClient, shard: Shard, position: int, where: Where
) -> str | None:
    try:
        answer = await client.get_shard_iterator(StreamName=shard.stream, ShardId=shard.id, **where)
    except CALL_ERRORS as error:
        if position > BEGINNING and code_of(error) == _NO_SUCH_PLACE:
            raise PlaceGone(words(error)) from error
        raise
    iterator: str | None = answer.get("ShardIterator")
    return iterator
