"""What a module declares, as values: endpoints, ingresses, egresses.

`config` makes these from module.yaml, whatever format the file was written in; `app` builds the worker from
them. Durations are seconds unless the name says otherwise.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from statefun_runtime.core.aws import (
    AwsClientSettings,
    AwsCredentials,
    AwsRegion,
    DefaultCredentials,
    DefaultRegion,
)
from statefun_runtime.core.model.address import TypeName
from statefun_runtime.core.module.templates import TargetTemplate


@dataclass(frozen=True, slots=True)
class FunctionPattern:
    """The function types an endpoint serves: one type, or with `name` None a whole namespace."""

    namespace: str
    name: str | None

    def __str__(self) -> str:
        return f"{self.namespace}/{'*' if self.name is None else self.name}"


@dataclass(frozen=True, slots=True)
class TlsSpec:
    """PEM files for https endpoints; every field is a path."""

    trust_cacerts: str | None = None
    client_cert: str | None = None
    client_key: str | None = None
    client_key_password: str | None = None


@dataclass(frozen=True, slots=True)
class AsyncTransport:
    """`io.statefun.transports.v1/async`: every failure is retried until `call_s` has passed.

    `pool_size` is for all function types of the endpoint together.
    """

    call_s: float = 120.0
    connect_s: float = 20.0
    pool_ttl_s: float = 15.0
    pool_size: int = 256
    payload_max_bytes: int = 32 * 1024 * 1024
    tls: TlsSpec = field(default_factory=TlsSpec)


@dataclass(frozen=True, slots=True)
class OkHttpTransport:
    """`io.statefun.transports.v1/okhttp`: I/O errors and some statuses are retried until `call_s` has passed."""

    call_s: float = 60.0
    connect_s: float = 10.0
    read_s: float = 10.0
    write_s: float = 10.0
    pool_ttl_s: float = 60.0
    pool_size: int = 256
    proxy: str | None = field(default=None, repr=False)
    tls: TlsSpec = field(default_factory=TlsSpec)


Transport = AsyncTransport | OkHttpTransport


@dataclass(frozen=True, slots=True)
class HeaderSpec:
    """A header that requests carry: its value, or the path of the file that holds it. Values are secrets."""

    name: str
    value: str | None = field(default=None, repr=False)
    file: str | None = None


@dataclass(frozen=True, slots=True)
class SigV4Spec:
    """Requests are signed as AWS wants it, for a service in a region."""

    region: str
    service: str


class OnFailure(Enum):
    """What becomes of an invocation that its address cannot get past."""

    PARK = "park"
    DEAD_LETTER = "dead-letter"
    SKIP = "skip"
    FAIL = "fail"


class OnInvalidRecord(Enum):
    """What becomes of an ingress record that cannot be routed."""

    SKIP = "skip"
    FAIL = "fail"
    FORWARD = "forward"


@dataclass(frozen=True, slots=True)
class DeadLetterRoute:
    """Where dead letters go: an egress of the module, and a topic (a stream) of it."""

    egress: TypeName
    topic: str


@dataclass(frozen=True, slots=True)
class EndpointSpec:
    """Where the functions of a pattern are served, and how they are called.

    `batch_threshold` is maxNumBatchRequests: from so many waiting messages on an address counts as blocked;
    0 or less means never. `dead_letters` is there with OnFailure.DEAD_LETTER; with the others it may be, for
    what an operator skips.
    """

    pattern: FunctionPattern
    url_template: str
    batch_threshold: int = 1000
    transport: Transport = field(default_factory=AsyncTransport)
    on_failure: OnFailure = OnFailure.PARK
    dead_letters: DeadLetterRoute | None = None
    headers: tuple[HeaderSpec, ...] = ()
    auth: SigV4Spec | None = None


@dataclass(frozen=True, slots=True)
class GroupOffsets:
    """Start at the committed offsets of the consumer group."""


@dataclass(frozen=True, slots=True)
class Earliest:
    """Start at the beginning of every topic partition."""


@dataclass(frozen=True, slots=True)
class Latest:
    """Start behind what is there already."""


@dataclass(frozen=True, slots=True)
class SpecificOffsets:
    """Start at given offsets: (topic, topic partition, offset); the others at the group's offsets."""

    offsets: tuple[tuple[str, int, int], ...]


@dataclass(frozen=True, slots=True)
class Date:
    """Start at the first record whose timestamp is not before `timestamp_ms`; at the end if there is none."""

    timestamp_ms: int


StartupPosition = GroupOffsets | Earliest | Latest | SpecificOffsets | Date


class OffsetReset(Enum):
    """Where to go when a position does not exist at an application's first start."""

    EARLIEST = "earliest"
    LATEST = "latest"


@dataclass(frozen=True, slots=True)
class ProtobufRouter:
    """Sends each record to the one address that fields of its protobuf message make out.

    `descriptor_set` is the path of a file that protoc wrote, in which `message_type` is described.
    """

    target: TargetTemplate
    message_type: str
    descriptor_set: str


@dataclass(frozen=True, slots=True)
class TopicRoute:
    """Each record of `topic` goes, as a value of type `value_type`, to every target in this order.

    Its key is the id at the `targets`; `routers` do not look at the key. With `forward_metadata` its headers, time
    and place go with it, in a field that the contract does not have.
    """

    topic: str
    value_type: str
    targets: tuple[TypeName, ...]
    routers: tuple[ProtobufRouter, ...] = ()
    forward_metadata: bool = False


@dataclass(frozen=True, slots=True)
class InvalidRecords:
    """What an ingress does with a record that it cannot route; `dead_letters` is there with FORWARD."""

    outcome: OnInvalidRecord = OnInvalidRecord.SKIP
    dead_letters: DeadLetterRoute | None = None


@dataclass(frozen=True, slots=True)
class KafkaIngressSpec:
    """A Kafka ingress; `properties` are written for the Java client, in the order of the file; they hold secrets."""

    id: TypeName
    bootstrap_servers: str
    group_id: str
    routes: tuple[TopicRoute, ...]
    offset_reset: OffsetReset = OffsetReset.LATEST
    startup: StartupPosition = field(default_factory=Latest)
    properties: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    invalid_records: InvalidRecords = field(default_factory=InvalidRecords)


class DeliverySemantic(Enum):
    """What a Kafka egress promises."""

    NONE = "none"
    AT_LEAST_ONCE = "at-least-once"
    EXACTLY_ONCE = "exactly-once"


@dataclass(frozen=True, slots=True)
class KafkaEgressSpec:
    """A Kafka egress; `transaction_timeout_ms` is there with exactly-once only.

    `dead_letters` is where records go that the broker refuses for good.
    """

    id: TypeName
    bootstrap_servers: str
    delivery: DeliverySemantic = DeliverySemantic.AT_LEAST_ONCE
    transaction_timeout_ms: int | None = None
    properties: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    dead_letters: DeadLetterRoute | None = None


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
class KinesisIngressSpec:
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
class KinesisEgressSpec:
    """A Kinesis egress; at most `outstanding_max` records are on their way at once."""

    id: TypeName
    region: AwsRegion = field(default_factory=DefaultRegion)
    credentials: AwsCredentials = field(default_factory=DefaultCredentials)
    outstanding_max: int = 1000
    client: AwsClientSettings = field(default_factory=AwsClientSettings)
    dead_letters: DeadLetterRoute | None = None


PLAYGROUND_INGRESS = TypeName("io.statefun.playground", "ingress")
PLAYGROUND_EGRESS = TypeName("io.statefun.playground", "egress")


@dataclass(frozen=True, slots=True)
class PlaygroundIngressSpec:
    """`PUT /namespace/name/id` on `port` (0: any free one)."""

    port: int = 0
    id: TypeName = PLAYGROUND_INGRESS


@dataclass(frozen=True, slots=True)
class PlaygroundEgressSpec:
    """Topics that are read over HTTP on `port`: destructively, but by cursor if they are in `cursor_topics`."""

    port: int
    topics: tuple[str, ...]
    cursor_topics: frozenset[str] = frozenset()
    id: TypeName = PLAYGROUND_EGRESS


@dataclass(frozen=True, slots=True)
class OwnIngressSpec:
    """An ingress of a kind that a package brings: `build` makes it of the `content` that the package read."""

    id: TypeName
    kind: str
    package: str
    content: Any
    build: Callable[[Any, Any], Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class OwnEgressSpec:
    """An egress of a kind that a package brings: `build` makes it of the `content` that the package read."""

    id: TypeName
    kind: str
    package: str
    content: Any
    build: Callable[[Any, Any], Any] = field(repr=False)


IngressSpec = KafkaIngressSpec | KinesisIngressSpec | PlaygroundIngressSpec | OwnIngressSpec
EgressSpec = KafkaEgressSpec | KinesisEgressSpec | PlaygroundEgressSpec | OwnEgressSpec


@dataclass(frozen=True, slots=True)
class ModuleSpec:
    """A whole application, checked: no duplicate patterns or ids, at least one ingress and one endpoint."""

    endpoints: tuple[EndpointSpec, ...]
    ingresses: tuple[IngressSpec, ...]
    egresses: tuple[EgressSpec, ...]

    def endpoint_for(self, function_type: TypeName) -> EndpointSpec | None:
        """Return the endpoint of a function type: an exact binding first, else that of its namespace."""
        namespace_wide = None
        for endpoint in self.endpoints:
            if endpoint.pattern.namespace != function_type.namespace:
                continue
            if endpoint.pattern.name == function_type.name:
                return endpoint
            if endpoint.pattern.name is None:
                namespace_wide = endpoint
        return namespace_wide
