"""Where the records of one topic go, and how they are encoded."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from statefun_runtime.adapters.protobuf_router import RecordRouter
from statefun_runtime.connectors.kafka.client.protocols import Fetched
from statefun_runtime.connectors.kafka.settings.values import TopicRoute
from statefun_runtime.core.model.address import TypeName
from statefun_runtime.core.model.messages import IngressEncoder
from statefun_runtime.core.model.record_metadata import record_metadata
from statefun_runtime.core.partition.backlog import Function
from statefun_runtime.ports.ingress import IngressContext


@dataclass(frozen=True, slots=True)
class Route:
    """A topic's records: how they are encoded, and to whom they go."""

    encoder: IngressEncoder
    targets: tuple[Function, ...]
    missing: tuple[TypeName, ...]
    routers: tuple[RecordRouter, ...]
    forwards_metadata: bool

    @property
    def needs_key(self) -> bool:
        return bool(not self.routers or self.targets or self.missing)

    def encode(self, record: Fetched) -> bytes:
        """Return the invocation that a record becomes, with its metadata if they go with it."""
        if not self.forwards_metadata:
            return self.encoder.encode(record.value or b"")
        metadata = record_metadata(
            record.topic, record.partition, record.offset, record.timestamp, record.headers
        )
        return self.encoder.encode_with(record.value or b"", metadata)


def make_route(route: TopicRoute, context: IngressContext) -> Route:
    """Return a topic's route, with the function types that are served and those that are not."""
    found = [(target, context.resolve(target)) for target in route.targets]
    return Route(
        IngressEncoder(route.value_type),
        tuple(function for _, function in found if function is not None),
        tuple(target for target, function in found if function is None),
        tuple(map(RecordRouter, route.routers)),
        route.forward_metadata,
    )


def addresses(records: Sequence[Fetched], route: Route) -> Iterator[tuple[Function, str]]:
    """Return whom records go to by their keys, each once."""
    for key in {record.key for record in records if record.key is not None}:
        function_id = key.decode("utf-8", "replace")
        yield from ((target, function_id) for target in route.targets)
