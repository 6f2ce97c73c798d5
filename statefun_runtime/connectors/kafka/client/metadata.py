"""Kafka's metadata request as newer brokers take it: with the ids of topics, which aiokafka's own does not have.

A topic that is deleted and made anew has another id. Brokers tell it from version 10 of the request on (Kafka 2.8).
"""

import base64
from collections.abc import Iterator, Sequence
from io import BytesIO
from typing import Any

from aiokafka.protocol.abstract import AbstractType
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.metadata import (
    MetadataRequest,
    MetadataRequest_v0,
    MetadataRequest_v1,
    MetadataRequest_v2,
    MetadataRequest_v3,
    MetadataRequest_v4,
    MetadataRequest_v5,
)
from aiokafka.protocol.types import (
    Boolean,
    CompactArray,
    CompactString,
    Int16,
    Int32,
    Schema,
    TaggedFields,
)

from statefun_runtime.connectors.kafka.client.protocols import Topic

_NOBODY = bytes(16)


class Uuid(AbstractType):  # type: ignore[misc]
    """An id as Kafka's tools print it; no id is all zeros."""

    @classmethod
    def encode(cls, value: str | None) -> bytes:
        return _NOBODY if value is None else base64.urlsafe_b64decode(f"{value}==")

    @classmethod
    def decode(cls, data: BytesIO) -> str | None:
        found = data.read(len(_NOBODY))
        if found == _NOBODY:
            return None
        return base64.urlsafe_b64encode(found).decode().rstrip("=")


_BROKER = (
    ("node_id", Int32),
    ("host", CompactString("utf-8")),
    ("port", Int32),
    ("rack", CompactString("utf-8")),
    ("tags", TaggedFields),
)
_PARTITION = (
    ("error_code", Int16),
    ("partition", Int32),
    ("leader", Int32),
    ("leader_epoch", Int32),
    ("replicas", CompactArray(Int32)),
    ("isr", CompactArray(Int32)),
    ("offline_replicas", CompactArray(Int32)),
    ("tags", TaggedFields),
)
_TOPIC = (
    ("error_code", Int16),
    ("topic", CompactString("utf-8")),
    ("id", Uuid),
    ("is_internal", Boolean),
    ("partitions", CompactArray(*_PARTITION)),
    ("authorized_operations", Int32),
    ("tags", TaggedFields),
)


class MetadataResponse_v10(Response):  # type: ignore[misc]
    """What a broker answers."""

    API_KEY = 3
    API_VERSION = 10
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("brokers", CompactArray(*_BROKER)),
        ("cluster_id", CompactString("utf-8")),
        ("controller_id", Int32),
        ("topics", CompactArray(*_TOPIC)),
        ("authorized_operations", Int32),
        ("tags", TaggedFields),
    )


class MetadataRequest_v10(RequestStruct):  # type: ignore[misc]
    """What is asked; a topic is asked for by its name."""

    API_KEY = 3
    API_VERSION = 10
    RESPONSE_TYPE = MetadataResponse_v10
    FLEXIBLE_VERSION = True
    SCHEMA = Schema(
        (
            "topics",
            CompactArray(("id", Uuid), ("topic", CompactString("utf-8")), ("tags", TaggedFields)),
        ),
        ("allow_auto_topic_creation", Boolean),
        ("include_cluster_authorized_operations", Boolean),
        ("include_topic_authorized_operations", Boolean),
        ("tags", TaggedFields),
    )


_Versions = (
    MetadataRequest_v0
    | MetadataRequest_v1
    | MetadataRequest_v2
    | MetadataRequest_v3
    | MetadataRequest_v4
    | MetadataRequest_v5
    | MetadataRequest_v10
)


class TopicsRequest(Request[_Versions]):  # type: ignore[misc]
    """Asks for topics in the newest version that both sides know."""

    API_KEY = 3

    def __init__(self, topics: Sequence[str], *, may_create: bool) -> None:
        self._topics = list(topics)
        self._may_create = may_create

    def build(self, struct: Any) -> Any:
        """Return the request in one of the versions."""
        if struct is not MetadataRequest_v10:
            return MetadataRequest(self._topics, self._may_create).build(struct)
        named: list[tuple[None, str, dict[int, bytes]]] = [(None, t, {}) for t in self._topics]
        return struct(named, self._may_create, False, False, {})


def topics_in(response: Any) -> Iterator[tuple[str, int, Topic]]:
    """Yield what a response of any version says of topics: name, error code (0 for none), and what there is."""
    for topic in response.to_object()["topics"]:
        partitions = topic["partitions"]
        yield (
            topic["topic"],
            topic["error_code"],
            Topic(
                len(partitions),
                topic.get("id"),
                min((len(one["replicas"]) for one in partitions), default=0),
                min((len(one["isr"]) for one in partitions), default=0),
            ),
        )
