"""Asks Kinesis what a module needs to know of its streams, and changes nothing."""

from dataclasses import dataclass, field

from statefun_runtime.connectors.kinesis.clients import (
    CALL_ERRORS,
    AwsClients,
    KinesisClients,
    code_of,
    words,
)
from statefun_runtime.connectors.kinesis.settings.values import (
    KinesisEgressSettings,
    KinesisIngressSettings,
)
from statefun_runtime.core.module.checks import Check, counted
from statefun_runtime.errors import ConfigError


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


async def check_streams(
    subject: str, spec: KinesisIngressSettings | KinesisEgressSettings, streams: tuple[str, ...]
) -> Check:
    """Return how asking AWS about the streams of an ingress or egress went."""
    try:
        clients = AwsClients(spec.region, spec.credentials, spec.client, owner=subject)
        found = await ask_streams(clients, streams)
    except ConfigError as error:
        return Check(subject, False, error.message, error.hint)
    except KinesisAway as error:
        hint = "mend 'awsRegion' and 'awsCredentials', or what they may do"
        return Check(subject, False, str(error), hint)
    parts = [f"{s} has {counted(n, 'open shard')}" for s, n in found.shards.items()]
    if found.missing:
        missing = (f"stream {stream} does not exist" for stream in found.missing)
        text = "; ".join([*parts, *missing])
        return Check(subject, False, text, "create it; the worker would wait for it")
    return Check(subject, True, "; ".join(parts) or "answers")
