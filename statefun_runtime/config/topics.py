"""`topics` of a Kafka ingress: which records go to which functions."""

from collections.abc import Mapping

from statefun_runtime.config.fields import Fields, Shape
from statefun_runtime.config.positions import MapNode
from statefun_runtime.config.problems import Code
from statefun_runtime.config.routers import read_routers
from statefun_runtime.core.address import TypeName
from statefun_runtime.core.specs import TopicRoute

TOPIC_SHAPE = Shape(
    "topic",
    ("topic", "valueType", "targets", "routers", "forwardMetadata"),
    advice={"typeUrl": "it is called 'valueType' now"},
)


def read_routes(fields: Fields) -> tuple[TopicRoute, ...]:
    """Read the topics in the order of the file; of two entries for one topic the last one counts."""
    items = fields.items("topics", required=True)
    if items is not None and not items:
        message = f"{fields.label} reads no topic: 'topics' is empty"
        fields.draft.error(fields.value_place("topics"), Code.MISSING_FIELD, message)
    routes: dict[str, TopicRoute] = {}
    for item in items or ():
        if not isinstance(item, MapNode):
            hint = "write 'topic:', 'valueType:' and 'targets:'"
            fields.wrong("topics", item, "a list of mappings", hint)
            continue
        entry = Fields(item, f"{TOPIC_SHAPE.noun} of {fields.label}", fields.draft)
        entry.allow_only(TOPIC_SHAPE)
        route = _read_route(entry, routes)
        if route is not None:
            routes[route.topic] = route
    return tuple(routes.values())


def _read_route(entry: Fields, earlier: Mapping[str, TopicRoute]) -> TopicRoute | None:
    topic = entry.scalar("topic", required=True)
    value_type = entry.strict_text("valueType", required=True)
    routers = read_routers(entry)
    targets = _read_targets(entry, required=entry.find("routers") is None)
    forwards = entry.choice("forwardMetadata", ("true", "false"), ignore_case=True)
    if topic is None:
        return None
    entry.draft.public_name(topic.text, topic.place)
    if topic.text in earlier:
        message = f"topic {topic.text!r} is there twice in this ingress; this last one counts"
        hint = "write all targets below one 'topic'"
        entry.draft.warn(topic.place, Code.DOUBTFUL_ROUTE, message, hint)
    return TopicRoute(topic.text, value_type or "", targets, routers, forwards == "true")


def _read_targets(entry: Fields, *, required: bool) -> tuple[TypeName, ...]:
    scalars = entry.texts("targets", required=required)
    if scalars == () and required:
        message = f"{entry.label} has no targets: its records are read and dropped"
        entry.draft.warn(entry.value_place("targets"), Code.DOUBTFUL_ROUTE, message)
    targets = []
    for scalar in scalars or ():
        target = entry.parse_typename("target", scalar)
        if target is not None:
            entry.draft.route(target, scalar.place)
            targets.append(target)
    return tuple(targets)
