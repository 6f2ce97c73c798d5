"""`topics` of a Kafka ingress, `streams` of a Kinesis ingress: which records go to which functions."""

import re
from collections.abc import Callable, Collection
from typing import TypeVar

from statefun_runtime.config.module.routers import UNSERVED_ADVICE, read_routers
from statefun_runtime.config.problems import Code
from statefun_runtime.config.reading.fields import Fields, Shape
from statefun_runtime.config.yaml.positions import MapNode
from statefun_runtime.core.model.address import TypeName
from statefun_runtime.core.module.specs import StreamRoute, TopicRoute

TOPIC_SHAPE = Shape(
    "topic",
    ("topic", "valueType", "targets", "unservedTargets", "routers", "forwardMetadata"),
    advice={"typeUrl": "it is called 'valueType' now"},
)
STREAM_SHAPE = Shape(
    "stream",
    ("stream", "valueType", "targets", "unservedTargets"),
    advice={"typeUrl": "it is called 'valueType' now"},
)
# A slash would also make the names of shards in checkpoints unreadable.
_STREAM_NAME = re.compile(r"[A-Za-z0-9_.-]{1,128}")
R = TypeVar("R", TopicRoute, StreamRoute)


def read_routes(fields: Fields) -> tuple[TopicRoute, ...]:
    """Read the topics in the order of the file."""
    return _read_routes(fields, TOPIC_SHAPE, _read_topic)


def read_stream_routes(fields: Fields) -> tuple[StreamRoute, ...]:
    """Read the streams, as topics are read."""
    return _read_routes(fields, STREAM_SHAPE, _read_stream)


def _read_routes(
    fields: Fields, shape: Shape, read: Callable[[Fields, Collection[str]], tuple[str, R] | None]
) -> tuple[R, ...]:
    listed = f"{shape.noun}s"
    items = fields.items(listed, required=True)
    if items is not None and not items:
        message = f"{fields.label} reads no {shape.noun}: {listed!r} is empty"
        fields.draft.error(fields.value_place(listed), Code.MISSING_FIELD, message)
    routes: dict[str, R] = {}
    for item in items or ():
        if not isinstance(item, MapNode):
            hint = f"write '{shape.noun}:', 'valueType:' and 'targets:'"
            fields.wrong(listed, item, "a list of mappings", hint)
            continue
        entry = Fields(item, f"{shape.noun} of {fields.label}", fields.draft)
        entry.allow_only(shape)
        route = read(entry, routes)
        if route is not None:
            routes[route[0]] = route[1]
    return tuple(routes.values())


def _read_topic(entry: Fields, earlier: Collection[str]) -> tuple[str, TopicRoute] | None:
    topic = _read_name(entry, "topic", earlier)
    value_type = entry.strict_text("valueType", required=True)
    unserved = _read_unserved(entry)
    routers = read_routers(entry, unserved)
    targets = _read_targets(entry, unserved, required=entry.find("routers") is None)
    forwards = entry.choice("forwardMetadata", ("true", "false"), ignore_case=True)
    if topic is None:
        return None
    return topic, TopicRoute(topic, value_type or "", targets, routers, forwards == "true")


def _read_stream(entry: Fields, earlier: Collection[str]) -> tuple[str, StreamRoute] | None:
    stream = _read_name(entry, "stream", earlier)
    value_type = entry.strict_text("valueType", required=True)
    targets = _read_targets(entry, _read_unserved(entry), required=True)
    if stream is None:
        return None
    if not _STREAM_NAME.fullmatch(stream):
        message = f"{stream!r} is not the name of a stream"
        entry.draft.error(entry.value_place("stream"), Code.WRONG_VALUE, message)
    return stream, StreamRoute(stream, value_type or "", targets)


def _read_name(entry: Fields, noun: str, earlier: Collection[str]) -> str | None:
    scalar = entry.scalar(noun, required=True)
    if scalar is None:
        return None
    entry.draft.public_name(scalar.text, scalar.place)
    if scalar.text in earlier:
        message = f"{noun} {scalar.text!r} is there twice in this ingress"
        hint = f"write all targets below one {noun!r}"
        entry.draft.error(scalar.place, Code.DEFINED_TWICE, message, hint)
    return scalar.text


def _read_unserved(entry: Fields) -> Collection[TypeName]:
    """Read which targets may be without an endpoint: those of an application that is still growing."""
    return tuple(
        typename
        for scalar in entry.texts("unservedTargets", required=False) or ()
        if (typename := entry.parse_typename("unserved target", scalar)) is not None
    )


def _read_targets(
    entry: Fields, unserved: Collection[TypeName], *, required: bool
) -> tuple[TypeName, ...]:
    scalars = entry.texts("targets", required=required)
    if scalars == () and required:
        message = f"{entry.label} has no targets: its records are read and dropped"
        entry.draft.warn(entry.value_place("targets"), Code.DOUBTFUL_ROUTE, message)
    targets = []
    for scalar in scalars or ():
        target = entry.parse_typename("target", scalar)
        if target is not None:
            targets.append(target)
            if target not in unserved:
                entry.draft.route(target, scalar.place, UNSERVED_ADVICE)
    return tuple(targets)
