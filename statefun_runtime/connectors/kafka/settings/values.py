"""What a Kafka ingress or egress declares, as values."""

from dataclasses import dataclass, field
from enum import Enum

from statefun_runtime.core.model.address import TypeName
from statefun_runtime.core.module.specs import (
    Date,
    DeadLetterRoute,
    Earliest,
    InvalidRecords,
    Latest,
    ProtobufRouter,
)


@dataclass(frozen=True, slots=True)
class GroupOffsets:
    """Start at the committed offsets of the consumer group."""


@dataclass(frozen=True, slots=True)
class SpecificOffsets:
    """Start at given offsets: (topic, topic partition, offset); the others at the group's offsets."""

    offsets: tuple[tuple[str, int, int], ...]


StartupPosition = GroupOffsets | Earliest | Latest | SpecificOffsets | Date


class OffsetReset(Enum):
    """Where to go when a position does not exist at an application's first start."""

    EARLIEST = "earliest"
    LATEST = "latest"


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
class KafkaIngressSettings:
    """A Kafka ingress; `properties` are written for the Java client, in the order of the file; they hold secrets."""

    id: TypeName
    bootstrap_servers: str
    group_id: str
    routes: tuple[TopicRoute, ...]
    offset_reset: OffsetReset = OffsetReset.LATEST
    startup: StartupPosition = field(default_factory=Latest)
    properties: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    invalid_records: InvalidRecords = field(default_factory=InvalidRecords)

    @property
    def topics(self) -> tuple[str, ...]:
        """Return the topics it reads, in the order of the file."""
        return tuple(route.topic for route in self.routes)


class DeliverySemantic(Enum):
    """What a Kafka egress promises."""

    NONE = "none"
    AT_LEAST_ONCE = "at-least-once"
    EXACTLY_ONCE = "exactly-once"


@dataclass(frozen=True, slots=True)
class KafkaEgressSettings:
    """A Kafka egress; `transaction_timeout_ms` is there with exactly-once only.

    `dead_letters` is where records go that the broker refuses for good. `topic_suffix` comes behind the name of each
    topic that a function names.
    """

    id: TypeName
    bootstrap_servers: str
    delivery: DeliverySemantic = DeliverySemantic.AT_LEAST_ONCE
    transaction_timeout_ms: int | None = None
    properties: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    dead_letters: DeadLetterRoute | None = None
    topic_suffix: str = ""
