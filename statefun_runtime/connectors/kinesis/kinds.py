"""The kinds of components that this connector brings."""

from statefun_runtime.config.module.kinds import ComponentKind, Kind
from statefun_runtime.config.reading.draft import Role
from statefun_runtime.connectors.kinesis.settings.reading import (
    KINESIS_EGRESS,
    KINESIS_INGRESS,
    read_kinesis_egress,
    read_kinesis_ingress,
)

KINDS: tuple[Kind, ...] = (
    ComponentKind(
        "io.statefun.kinesis.v1/ingress", Role.INGRESS, KINESIS_INGRESS, read_kinesis_ingress
    ),
    ComponentKind(
        "io.statefun.kinesis.v1/egress", Role.EGRESS, KINESIS_EGRESS, read_kinesis_egress
    ),
)
