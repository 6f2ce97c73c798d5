"""Asks Kinesis what a module needs to know of its streams, and changes nothing."""

from dataclasses import dataclass, field

from statefun_runtime.connectors.kinesis.clients import CALL_ERRORS, KinesisClients, code_of, words


class KinesisAway(Exception):
    """Kinesis cannot be asked; the text says why."""


@dataclass(frozen=True, slots=True)
class Streams:
    """What Kinesis said: the open shards of each stream that was asked for, and which are not there."""

    shards: dict[str, int] = field(default_factory=dict)
    missing: tuple[str, ...] = ()


async def ask_streams(clients: KinesisClients, streams: tuple[str, ...]) -> Streams:
    """Return what Kinesis says of some streams; with none it is only called. Raise KinesisAway, or ConfigError."""
    shards: dict[str, int] = {}
    missing: list[str] = []
    try:
        async with clients.connect() as client:
            if not streams:
                await client.list_streams(Limit=1)
            for stream in streams:
                try:
                    answer = await client.describe_stream_summary(StreamName=stream)
                    shards[stream] = answer["StreamDescriptionSummary"]["OpenShardCount"]
                except CALL_ERRORS as error:
                    if code_of(error) != "ResourceNotFoundException":
                        raise
                    missing.append(stream)
    except CALL_ERRORS as error:
        raise KinesisAway(words(error)) from error
    return Streams(shards, tuple(missing))
