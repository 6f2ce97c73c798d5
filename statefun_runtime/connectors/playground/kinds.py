"""The kinds of components that this connector brings; neither of them has a name of its own."""

from statefun_runtime.config.module.kinds import ComponentKind, Kind
from statefun_runtime.config.reading.draft import Role
from statefun_runtime.connectors.playground.specs import (
    EGRESS_SHAPE,
    INGRESS_SHAPE,
    read_playground_egress,
    read_playground_ingress,
)

KINDS: tuple[Kind, ...] = (
    ComponentKind(
        "io.statefun.playground.v1/ingress",
        Role.INGRESS,
        INGRESS_SHAPE,
        read_playground_ingress,
        named_by=None,
    ),
    ComponentKind(
        "io.statefun.playground.v1/egress",
        Role.EGRESS,
        EGRESS_SHAPE,
        read_playground_egress,
        named_by=None,
    ),
)
