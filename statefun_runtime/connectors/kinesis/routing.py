"""The way of a record of a stream to the targets of that stream; its partition key is the function id."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from statefun_runtime.adapters.invalid_records import InvalidRecordDesk
from statefun_runtime.connectors.kinesis.aggregation import unpack
from statefun_runtime.connectors.kinesis.protocol import Answer
from statefun_runtime.connectors.kinesis.settings.values import KinesisIngressSettings, StreamRoute
from statefun_runtime.connectors.kinesis.shards import Positions, Shard
from statefun_runtime.core.model.address import TypeName
from statefun_runtime.core.model.dead_letter import Origin
from statefun_runtime.core.model.messages import IngressEncoder
from statefun_runtime.core.model.metrics import Metric, MetricKind
from statefun_runtime.core.partition.backlog import Function
from statefun_runtime.ports.ingress import IngressContext


@dataclass(frozen=True, slots=True)
class _Route:
    """A stream's records: how they are encoded, and to whom they go."""

    encoder: IngressEncoder
    targets: tuple[Function, ...]
    missing: tuple[TypeName, ...]


class Routing:
    """Hands the records of an ingress in, and moves the positions of their shards."""

    def __init__(
        self, spec: KinesisIngressSettings, context: IngressContext, positions: Positions
    ) -> None:
        self._spec = spec
        self._context = context
        self._positions = positions
        self._routes = {route.stream: self._route(route) for route in spec.routes}
        self._received = 0
        self._invalid = InvalidRecordDesk(spec.id, spec.invalid_records, context)

    def _route(self, route: StreamRoute) -> _Route:
        found = [(target, self._context.resolve(target)) for target in route.targets]
        return _Route(
            IngressEncoder(route.value_type),
            tuple(function for _, function in found if function is not None),
            tuple(target for target, function in found if function is None),
        )

    def take(self, shard: Shard, records: Sequence[Answer]) -> bool:
        """Route records in order; return whether an address of theirs has so much to do that the shard shall wait."""
        route = self._routes[shard.stream]
        deliver, encode, targets = self._context.deliver, route.encoder.encode, route.targets
        keys = set()
        for record in records:
            for key, data in unpack(
                record["PartitionKey"],
                record["Data"],
                first_hash=shard.first_hash,
                last_hash=shard.last_hash,
            ):
                invocation = encode(data)
                if route.missing:
                    self._refuse(shard, record["SequenceNumber"], route, key, data, invocation)
                keys.add(key)
                self._received += 1
                for target in targets:
                    deliver(target, key, invocation)
            self._positions[shard.split] = int(record["SequenceNumber"])
        return self._context.is_tight() and any(
            self._context.holds_back(target, key) for key in keys for target in targets
        )

    def _refuse(
        self, shard: Shard, sequence: str, route: _Route, key: str, data: bytes, invocation: bytes
    ) -> None:
        """Hand in a record that cannot be routed to everyone; may raise, and then it is the next to be read."""
        where = f"stream {shard.stream}, {shard.id}, sequence number {sequence}"
        origin = Origin(f"ingress {self._spec.id}", shard.split, sequence, key.encode(), data)
        self._invalid.unknown_targets(origin, where, route.missing, invocation)

    def metrics(self) -> Iterator[Metric]:
        """Return what was routed and skipped."""
        yield Metric(
            "statefun_ingress_records", MetricKind.COUNTER, "records routed", self._received
        )
        yield from self._invalid.metrics()
