"""Where a Kinesis ingress begins to read: checkpoint first, then `startupPosition`."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from statefun_runtime.connectors.kinesis.clients import CALL_ERRORS, code_of, words
from statefun_runtime.connectors.kinesis.protocol import Answer, KinesisClient, Where
from statefun_runtime.connectors.kinesis.settings.values import KinesisIngressSettings
from statefun_runtime.connectors.kinesis.shards import (
    BEGINNING,
    Positions,
    Shard,
    find_vanished,
    first_positions,
    is_known,
    may_lack_records,
    new_positions,
    time_ms_of,
)
from statefun_runtime.core.module.specs import Latest
from statefun_runtime.errors import UnavailableError

_GONE = ("ResourceNotFoundException", "InvalidArgumentException")
_HOUR_MS = 3_600_000
_ANSWERS_MAX = 10


class PositionVanished(UnavailableError):
    """A position of a checkpoint does not exist any more; waiting does not help."""


def vanished(spec: KinesisIngressSettings, split: str, position: int, why: str) -> PositionVanished:
    """Return the error for a position that cannot be gone on at."""
    return PositionVanished(
        f"ingress '{spec.id}' cannot go on at stream {split.replace('/', ', ')}, "
        f"sequence number {position}: {why}",
        code="SF3090",
        hint="records are lost, or the stream was made anew; to go on without them, start with a new state "
        "folder (--state-dir) and a startupPosition of your choice",
    )


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


async def resolve_start(
    client: KinesisClient, spec: KinesisIngressSettings, restored: Positions
) -> tuple[Positions, list[Shard]]:
    """Return the position and the description of each shard; raise PositionVanished if one cannot be gone on at."""
    positions: Positions = {}
    all_shards: list[Shard] = []
    for route in spec.routes:
        shards = await list_shards(client, route.stream)
        all_shards += shards
        if is_known(route.stream, restored):
            mine = {s: p for s, p in restored.items() if s.startswith(f"{route.stream}/")}
            await _check_restored(client, spec, route.stream, shards, mine)
            positions.update({**mine, **new_positions(shards, mine)})
        else:
            positions.update(await _first_start(client, spec, route.stream, shards))
    return positions, all_shards


async def _check_restored(
    client: KinesisClient,
    spec: KinesisIngressSettings,
    stream: str,
    shards: list[Shard],
    restored: Positions,
) -> None:
    found = find_vanished(stream, shards, restored)
    if found is not None:
        raise vanished(spec, found[0], restored[found[0]], found[1])
    summary = await client.describe_stream_summary(StreamName=stream)
    kept_hours = summary["StreamDescriptionSummary"]["RetentionPeriodHours"]
    kept_ms, now_ms = kept_hours * _HOUR_MS, service_time_ms(summary)
    if may_lack_records(stream, restored, now_ms=now_ms, kept_ms=kept_ms):
        for shard in shards:
            position = restored.get(shard.split, BEGINNING)
            if position > BEGINNING and await _is_dropped(client, spec, shard, position):
                why = f"it is not there any more, and nothing was read for longer than the {kept_hours} hours that the stream keeps records"
                raise vanished(spec, shard.split, position, why)


async def _is_dropped(
    client: KinesisClient, spec: KinesisIngressSettings, shard: Shard, position: int
) -> bool:
    """Return whether the record at a position is gone and there are others behind it: then more may be gone."""
    where: Where = {
        "ShardIteratorType": "AT_SEQUENCE_NUMBER",
        "StartingSequenceNumber": str(position),
    }
    iterator = await _get_iterator(client, spec, shard, position, where)
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


async def _first_start(
    client: KinesisClient, spec: KinesisIngressSettings, stream: str, shards: list[Shard]
) -> Positions:
    summary = await client.describe_stream_summary(StreamName=stream)
    positions = first_positions(shards, spec.startup, now_ms=service_time_ms(summary))
    if isinstance(spec.startup, Latest):
        for shard in shards:
            if shard.is_open:
                positions[shard.split] = await _end(client, spec, shard, positions[shard.split])
    return positions


def service_time_ms(answer: Answer) -> int:
    """Return the service's time in whole seconds: it refuses to read from a time that it has not reached."""
    date = parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"])
    return int(date.timestamp() * 1000)


async def _end(
    client: KinesisClient, spec: KinesisIngressSettings, shard: Shard, position: int
) -> int:
    """Return the position behind what is in a shard already; `position` is about a second before its end."""
    iterator = await open_iterator(client, spec, shard, position)
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


async def open_iterator(
    client: KinesisClient, spec: KinesisIngressSettings, shard: Shard, position: int
) -> str | None:
    """Return the service's own name for the place behind a position, good for five minutes.

    Raise PositionVanished if there is no such place.
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
    return await _get_iterator(client, spec, shard, position, where)


async def _get_iterator(
    client: KinesisClient, spec: KinesisIngressSettings, shard: Shard, position: int, where: Where
) -> str | None:
    try:
        answer = await client.get_shard_iterator(StreamName=shard.stream, ShardId=shard.id, **where)
    except CALL_ERRORS as error:
        if position > BEGINNING and code_of(error) in _GONE:
            raise vanished(spec, shard.split, position, words(error)) from error
        raise
    iterator: str | None = answer.get("ShardIterator")
    return iterator
