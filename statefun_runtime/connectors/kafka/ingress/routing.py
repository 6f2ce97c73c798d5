"""Brings the records of an ingress to the targets of their topics; what cannot be routed is handed in."""

from collections.abc import Iterator, Sequence

from aiokafka import TopicPartition

from statefun_runtime.adapters.invalid_records import InvalidRecordDesk
from statefun_runtime.adapters.protobuf_router import NotRoutable
from statefun_runtime.connectors.kafka.client.protocols import Fetched, Offsets
from statefun_runtime.connectors.kafka.ingress.position import split_name
from statefun_runtime.connectors.kafka.ingress.routes import Route, addresses
from statefun_runtime.core.model.address import Address, TypeName
from statefun_runtime.core.model.dead_letter import Origin
from statefun_runtime.core.partition.backlog import Function
from statefun_runtime.ports.ingress import IngressContext


class Routing:
    """Routes records in order; `positions` is the ingress's own, and points to a record while it is handed in."""

    def __init__(
        self,
        ingress_id: TypeName,
        context: IngressContext,
        invalid: InvalidRecordDesk,
        positions: Offsets,
    ) -> None:
        self._ingress_id = ingress_id
        self._context = context
        self._invalid = invalid
        self._positions = positions

    def by_key(
        self, topic_partition: TopicPartition, records: Sequence[Fetched], route: Route
    ) -> None:
        """Route records of a topic whose keys are the ids at its targets."""
        deliver, encode, targets = self._context.deliver, route.encoder.encode, route.targets
        function_id, is_plain = "", not route.forwards_metadata
        for record in records:
            key, value = record.key, record.value
            if key is None or value is None or route.missing:
                self._refuse(topic_partition, record, route)
                if key is None or value is None:
                    continue
            function_id = key.decode("utf-8", "replace")
            invocation = encode(value) if is_plain else route.encode(record)
            for target in targets:
                deliver(target, function_id, invocation)

    def by_content(
        self, topic_partition: TopicPartition, records: Sequence[Fetched], route: Route
    ) -> set[tuple[Function, str]]:
        """Route records of a topic with routers, which may have targets too; return who was fed."""
        fed = set()
        for record in records:
            lacks_key = route.needs_key and record.key is None
            if record.value is None or lacks_key or route.missing:
                self._refuse(topic_partition, record, route)
            if record.value is None:
                continue
            by_key = addresses([record], route)
            invocation = route.encode(record)
            found = self._look_into(topic_partition, record, route, invocation)
            for function, function_id in (*by_key, *found):
                self._context.deliver(function, function_id, invocation)
                fed.add((function, function_id))
        return fed

    def _look_into(
        self, topic_partition: TopicPartition, record: Fetched, route: Route, invocation: bytes
    ) -> Iterator[tuple[Function, str]]:
        """Return the addresses that routers find in a record; hand it in for each that finds none."""
        for router in route.routers:
            try:
                function_type, function_id = router.target(record.value or b"")
            except NotRoutable as error:
                origin, where = self._hand_in(topic_partition, record)
                self._invalid.unroutable(origin, where, reason="not-routable", defect=str(error))
                continue
            function = self._context.resolve(function_type)
            if function is not None:
                yield function, function_id
                continue
            address = Address(function_type, function_id)
            origin, where = self._hand_in(topic_partition, record)
            self._invalid.unknown_target(origin, where, address, invocation)

    def _refuse(self, topic_partition: TopicPartition, record: Fetched, route: Route) -> None:
        """Hand in a record that cannot be routed by its key, or not to everyone; may raise."""
        origin, where = self._hand_in(topic_partition, record)
        for name, content in (("key", record.key), ("value", record.value)):
            if content is None and (name == "value" or route.needs_key):
                defect = f"it has no {name}"
                self._invalid.unroutable(origin, where, reason=f"no-{name}", defect=defect)
                return
        invocation = route.encode(record)
        self._invalid.unknown_targets(origin, where, route.missing, invocation)

    def _hand_in(self, topic_partition: TopicPartition, record: Fetched) -> tuple[Origin, str]:
        """Return how a record is called that cannot be routed; if that raises, it is the next to be read."""
        self._positions[topic_partition] = record.offset
        where = f"topic {record.topic}, partition {record.partition}, offset {record.offset}"
        split = split_name(record.topic, record.partition)
        component = f"ingress {self._ingress_id}"
        return Origin(component, split, str(record.offset), record.key, record.value), where
