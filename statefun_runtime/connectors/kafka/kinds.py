"""The kinds of components that this connector brings."""

from statefun_runtime.config.module.kinds import ComponentKind, Kind
from statefun_runtime.config.reading.draft import Role
from statefun_runtime.connectors.kafka.settings.reading import (
    KAFKA_EGRESS,
    KAFKA_INGRESS,
    read_kafka_egress,
    read_kafka_ingress,
)

KINDS: tuple[Kind, ...] = (
    ComponentKind("io.statefun.kafka.v1/ingress", Role.INGRESS, KAFKA_INGRESS, read_kafka_ingress),
    ComponentKind("io.statefun.kafka.v1/egress", Role.EGRESS, KAFKA_EGRESS, read_kafka_egress),
)
