"""What a Kinesis ingress or egress declares, as values."""

from dataclasses import dataclass, field

from statefun_runtime.connectors.kinesis.settings.aws import (
    AwsClientSettings,
    AwsCredentials,
    AwsRegion,
    DefaultCredentials,
    DefaultRegion,
)
from statefun_runtime.core.model.address import TypeName
from statefun_runtime.core.module.specs import (
    Date,
    DeadLetterRoute,
    Earliest,
    InvalidRecords,
    Latest,
)


@dataclass(frozen=True, slots=True)
class StreamRoute:
    """Each record of `stream` goes, as a value of type `value_type`, to every target in this order."""

    stream: str
    value_type: str
    targets: tuple[TypeName, ...]


@dataclass(frozen=True, slots=True)
class ShardReading:
    """How often a shard is read and how much at once, and how often the shards of a stream are looked up."""

    interval_s: float = 0.2
    records_max: int = 10_000
    discovery_s: float = 10.0


@dataclass(frozen=True, slots=True)
class KinesisIngressSettings:
    """A Kinesis ingress."""

    id: TypeName
    routes: tuple[StreamRoute, ...]
    region: AwsRegion = field(default_factory=DefaultRegion)
    credentials: AwsCredentials = field(default_factory=DefaultCredentials)
    startup: Earliest | Latest | Date = field(default_factory=Latest)
    client: AwsClientSettings = field(default_factory=AwsClientSettings)
    reading: ShardReading = field(default_factory=ShardReading)
    invalid_records: InvalidRecords = field(default_factory=InvalidRecords)


@dataclass(frozen=True, slots=True)
class KinesisEgressSettings:
    """A Kinesis egress; at most `outstanding_max` records are on their way at once.

    `stream_suffix` comes behind the name of each stream that a function names.
    """

    id: TypeName
    region: AwsRegion = field(default_factory=DefaultRegion)
    credentials: AwsCredentials = field(default_factory=DefaultCredentials)
    outstanding_max: int = 1000
    client: AwsClientSettings = field(default_factory=AwsClientSettings)
    dead_letters: DeadLetterRoute | None = None
    stream_suffix: str = ""
