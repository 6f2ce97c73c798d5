"""Protobuf routers of StateFun 2.x: each becomes part of the topics of its ingress."""

from dataclasses import dataclass, field

from statefun_runtime.config.legacy.entry import Meta, open_spec
from statefun_runtime.config.legacy.nodes import map_node, text_node
from statefun_runtime.config.problems import Code, did_you_mean
from statefun_runtime.config.reading.draft import ModuleDraft
from statefun_runtime.config.reading.fields import Fields, Shape
from statefun_runtime.config.yaml.positions import Entry, ListNode, MapNode, Node, Scalar

_ROUTER_TYPE = "org.apache.flink.statefun.sdk/protobuf-router"
_TYPE_URL = "type.googleapis.com/"
_FIELDS = ("target", "messageType", "descriptorSet")
_SHAPE = Shape("router", ("ingress", *_FIELDS))
_OWN = ("messageType", "descriptorSet")


@dataclass(frozen=True, slots=True)
class _Router:
    ingress: Scalar
    message_type: Entry | None
    node: MapNode


@dataclass(slots=True)
class Routers:
    """The routers of one module, by the id of their ingress."""

    by_ingress: dict[str, list[_Router]] = field(default_factory=dict)
    _used: set[str] = field(default_factory=set)

    def route(self, spec: MapNode, draft: ModuleDraft) -> MapNode:
        """Return the spec of a protobuf ingress, with its routers in each of its topics."""
        entries = spec.entries
        ingress_id = entries["id"].value
        name = ingress_id.text if isinstance(ingress_id, Scalar) else ""
        self._used.add(name)
        routers = self.by_ingress.get(name, [])
        fields = Fields(spec, f"Kafka ingress {name!r}", draft)
        message_type = fields.scalar("messageType", required=True)
        fields.scalar("descriptorSet", required=True)
        _check_types(routers, message_type, draft)
        topics = entries.get("topics")
        if topics is not None and isinstance(topics.value, ListNode):
            items = tuple(_topic(t, message_type, routers) for t in topics.value.items)
            topics = Entry("topics", topics.place, ListNode(topics.value.place, items))
        kept = (
            topics if entry.key == "topics" else entry
            for entry in entries.values()
            if entry.key not in _OWN
        )
        return map_node(spec.place, kept)

    def check_all_used(self, draft: ModuleDraft) -> None:
        """Report routers whose ingress is not there, or routes by itself."""
        for name, routers in self.by_ingress.items():
            if name in self._used:
                continue
            for router in routers:
                message = f"no protobuf ingress of this module has the id {name!r}"
                hint = did_you_mean(name, sorted(self._used))
                hint = (
                    hint
                    or "a router needs an ingress of type statefun.kafka.io/protobuf-ingress; others route by themselves"
                )
                draft.error(router.ingress.place, Code.BAD_ROUTER, message, hint)


def open_routers(entries: list[MapNode], draft: ModuleDraft) -> Routers:
    routers = Routers()
    for entry in entries:
        router = _read_router(entry, draft)
        if router is not None:
            routers.by_ingress.setdefault(router.ingress.text, []).append(router)
    return routers


def _read_router(entry: MapNode, draft: ModuleDraft) -> _Router | None:
    kind = Meta(entry, "router", draft).scalar("type", _ROUTER_TYPE)
    if kind is not None and kind.text.lower() != _ROUTER_TYPE:
        message = f"unknown router type {kind.text!r}"
        draft.error(kind.place, Code.BAD_ROUTER, message, f"the only one is {_ROUTER_TYPE}")
    spec = open_spec(entry, "router", draft)
    return None if spec is None else _router(spec, draft)


def _router(spec: MapNode, draft: ModuleDraft) -> _Router | None:
    fields = Fields(spec, "this router", draft)
    fields.allow_only(_SHAPE)
    ingress = fields.scalar("ingress", required=True)
    if ingress is None:
        return None
    entries = (spec.entries.get(name) for name in _FIELDS)
    return _Router(ingress, spec.entries.get("messageType"), map_node(spec.place, entries))


def _check_types(routers: list[_Router], message_type: Scalar | None, draft: ModuleDraft) -> None:
    for router in routers:
        own = None if router.message_type is None else router.message_type.value
        if message_type is None or not isinstance(own, Scalar) or own.text == message_type.text:
            continue
        message = f"the router reads {own.text!r}, its ingress {message_type.text!r}"
        hint = "write one 'messageType' in both"
        draft.error(own.place, Code.BAD_ROUTER, message, hint)


def _topic(topic: Node, message_type: Scalar | None, routers: list[_Router]) -> Node:
    """Return the entry of a topic, of which the old format has the name only."""
    if not isinstance(topic, Scalar):
        return topic
    place = topic.place
    entries = [Entry("topic", place, topic)]
    if message_type is not None:
        type_url = text_node(message_type.place, _TYPE_URL + message_type.text)
        entries.append(Entry("valueType", message_type.place, type_url))
    nodes = tuple(router.node for router in routers)
    entries.append(Entry("routers" if nodes else "targets", place, ListNode(place, nodes)))
    return map_node(place, entries)
