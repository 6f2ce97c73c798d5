"""`topics` of a Kafka ingress: which records go to which functions."""

from collections.abc import Collection

from statefun_runtime.config.module.routers import read_routers
from statefun_runtime.config.module.routes import (
    read_name,
    read_routes,
    read_targets,
    read_unserved,
)
from statefun_runtime.config.problems import Code
from statefun_runtime.config.reading.fields import Fields, Shape
from statefun_runtime.connectors.kafka.settings.names import TOPIC_FORM, why_no_topic
from statefun_runtime.connectors.kafka.settings.values import TopicRoute

TOPIC_SHAPE = Shape(
    "topic",
    ("topic", "valueType", "targets", "unservedTargets", "routers", "forwardMetadata"),
    advice={"typeUrl": "it is called 'valueType' now"},
)


def read_topics(fields: Fields) -> tuple[TopicRoute, ...]:
    """Read the topics in the order of the file."""
    return read_routes(fields, TOPIC_SHAPE, _read_topic)


def _read_topic(entry: Fields, earlier: Collection[str]) -> tuple[str, TopicRoute] | None:
    topic = read_name(entry, "topic", earlier)
    value_type = entry.strict_text("valueType", required=True)
    unserved = read_unserved(entry)
    routers = read_routers(entry, unserved)
    targets = read_targets(entry, unserved, required=entry.find("routers") is None)
    forwards = entry.choice("forwardMetadata", ("true", "false"), ignore_case=True)
    if topic is None:
        return None
    defect = why_no_topic(topic)
    if defect is not None:
        entry.draft.error(entry.value_place("topic"), Code.WRONG_VALUE, defect, TOPIC_FORM)
    return topic, TopicRoute(topic, value_type or "", targets, routers, forwards == "true")
