"""`io.statefun.playground.v1/ingress` and `io.statefun.playground.v1/egress`: HTTP in and out."""

from statefun_runtime.config.reading.fields import Fields, Shape
from statefun_runtime.core.module.specs import (
    PLAYGROUND_EGRESS,
    PLAYGROUND_INGRESS,
    PlaygroundEgressSpec,
    PlaygroundIngressSpec,
)

INGRESS_SHAPE = Shape(
    "playground ingress", ("port",), advice={"id": f"it is always {PLAYGROUND_INGRESS}"}
)
EGRESS_SHAPE = Shape(
    "playground egress",
    ("port", "topics", "cursorTopics"),
    advice={"id": f"it is always {PLAYGROUND_EGRESS}"},
)
_PORT_MAX = 65_535


def read_playground_ingress(fields: Fields) -> PlaygroundIngressSpec:
    fields.draft.define("ingress id", str(PLAYGROUND_INGRESS), fields.place)
    return PlaygroundIngressSpec(fields.integer("port", low=0, high=_PORT_MAX) or 0)


def read_playground_egress(fields: Fields) -> PlaygroundEgressSpec | None:
    fields.draft.define("egress id", str(PLAYGROUND_EGRESS), fields.place)
    is_there = fields.find("port", required=True) is not None
    port = fields.integer("port", low=0, high=_PORT_MAX) if is_there else None
    topics = fields.texts("topics")
    by_cursor = tuple(scalar.text for scalar in fields.texts("cursorTopics", required=False) or ())
    if port is None or topics is None:
        return None
    names = dict.fromkeys((*(scalar.text for scalar in topics), *by_cursor))
    return PlaygroundEgressSpec(port, tuple(names), frozenset(by_cursor))
