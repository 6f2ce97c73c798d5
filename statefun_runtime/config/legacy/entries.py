"""The entries of a legacy module: functions, endpoints, ingresses and egresses, each as a component."""

from collections.abc import Mapping

from statefun_runtime.config.legacy.entry import Meta, open_spec
from statefun_runtime.config.legacy.nodes import (
    called,
    component,
    map_node,
    missing,
    rename_in_items,
    text_node,
)
from statefun_runtime.config.legacy.routers import Routers
from statefun_runtime.config.problems import Code
from statefun_runtime.config.reading.draft import ModuleDraft
from statefun_runtime.config.reading.fields import Fields, Shape
from statefun_runtime.config.yaml.positions import (
    Entry,
    ListNode,
    MapNode,
    Node,
    Scalar,
    is_null,
)

_PROTOBUF_INGRESS = "statefun.kafka.io/protobuf-ingress"
_KINDS = {
    "http": "io.statefun.endpoints.v1/http",
    "io.statefun.kafka/ingress": "io.statefun.kafka.v1/ingress",
    "io.statefun.kafka/egress": "io.statefun.kafka.v1/egress",
    "io.statefun.kinesis/ingress": "io.statefun.kinesis.v1/ingress",
    "io.statefun.kinesis/egress": "io.statefun.kinesis.v1/egress",
}
_OLD_KINDS = {
    "statefun.kafka.io/routable-protobuf-ingress": "io.statefun.kafka.v1/ingress",
    "statefun.kinesis.io/routable-protobuf-ingress": "io.statefun.kinesis.v1/ingress",
    "statefun.kafka.io/generic-egress": "io.statefun.kafka.v1/egress",
    "statefun.kinesis.io/generic-egress": "io.statefun.kinesis.v1/egress",
}
_OLD_NAMES = {"typeUrl": "valueType"}
_TIMEOUTS = {
    "timeout": "call",
    "connectTimeout": "connect",
    "readTimeout": "read",
    "writeTimeout": "write",
}
FUNCTION_SHAPE = Shape("function", ("endpoint", "states", "maxNumBatchRequests", *_TIMEOUTS))


class FunctionsReader:
    """Reads the functions of one module; what is true of all of them is said once."""

    def __init__(self, draft: ModuleDraft, *, calls_old: bool) -> None:
        self._draft = draft
        self._is_said = not calls_old

    def read(self, entry: MapNode) -> MapNode | None:
        """Return the endpoint of one function type."""
        meta = Meta(entry, "function", self._draft)
        kind = meta.scalar("kind", "http")
        function_type = meta.entry("type", "shop.fns/order")
        spec = open_spec(entry, "function", self._draft)
        if kind is not None and kind.text.lower() != "http":
            self._refuse(kind)
            return None
        self._warn_of_protocol(entry)
        if kind is None or function_type is None or spec is None:
            self._draft.serve(None, entry.place)
            return None
        self._check_spec(spec)
        endpoint = _endpoint_spec(spec, function_type)
        if "endpoint" not in spec.entries:
            hint = "write the URL where it is served, like endpoint: http://functions:8000/statefun"
            missing(self._draft, spec.place, "this function", "spec.endpoint", hint)
            self._draft.serve(None, entry.place)
            return None
        return component(entry, text_node(kind.place, _KINDS["http"]), endpoint)

    def _refuse(self, kind: Scalar) -> None:
        self._draft.serve(None, kind.place)
        if kind.text.lower() == "grpc":
            message = "a function of kind 'grpc' cannot be called, here as in StateFun"
            hint = "serve it over HTTP, and write kind: http and below 'spec' its URL as 'endpoint'"
            self._draft.error(kind.place, Code.GRPC_FUNCTION, message, hint)
            return
        message = f"function kind {kind.text!r} is not 'http'"
        self._draft.error(kind.place, Code.NOT_A_CHOICE, message, "write kind: http")

    def _warn_of_protocol(self, entry: MapNode) -> None:
        if self._is_said:
            return
        self._is_said = True
        message = "functions are called with the protocol of StateFun 3, which one built with an SDK of 2.x does not know"
        hint = "build the functions with an SDK of StateFun 3; they may stay at their URLs"
        self._draft.warn(entry.place, Code.NEWER_PROTOCOL, message, hint)

    def _check_spec(self, spec: MapNode) -> None:
        Fields(spec, "this function", self._draft).allow_only(FUNCTION_SHAPE)
        states = spec.entries.get("states")
        if states is None or is_null(states.value):
            return
        names = ", ".join(_state_names(states.value)) or "none"
        message = f"the list of states is not used: functions declare theirs themselves ({names})"
        hint = (
            "declare each state and its expiration in the function, where the SDK has value specs"
        )
        self._draft.warn(states.place, Code.STATES_NOT_READ, message, hint)


def _state_names(states: Node) -> list[str]:
    names = []
    for item in states.items if isinstance(states, ListNode) else ():
        name = item.entries.get("name") if isinstance(item, MapNode) else None
        node = item if name is None else name.value
        if isinstance(node, Scalar):
            names.append(node.text)
    return names


def _endpoint_spec(spec: MapNode, function_type: Entry) -> MapNode:
    timeouts = [
        called(spec.entries[old], new) for old, new in _TIMEOUTS.items() if old in spec.entries
    ]
    place = timeouts[0].place if timeouts and timeouts[0] is not None else spec.place
    return map_node(
        spec.place,
        (
            called(function_type, "functions"),
            called(spec.entries.get("endpoint"), "urlPathTemplate"),
            spec.entries.get("maxNumBatchRequests"),
            Entry("timeouts", place, map_node(place, timeouts)) if timeouts else None,
        ),
    )


def read_endpoint(entry: MapNode, draft: ModuleDraft) -> MapNode | None:
    kind = Meta(entry, "endpoint", draft).scalar("kind", "http")
    spec = open_spec(entry, "endpoint", draft)
    if kind is None or spec is None:
        draft.serve(None, entry.place)
        return None
    if kind.text.lower() == "grpc":
        draft.serve(None, entry.place)
        message = "an endpoint of kind 'grpc' cannot be called, here as in StateFun"
        hint = "serve its functions over HTTP, and write kind: http"
        draft.error(kind.place, Code.GRPC_FUNCTION, message, hint)
        return None
    return component(entry, _kind(kind, _KINDS), spec)


def read_ingress(entry: MapNode, routers: Routers | None, draft: ModuleDraft) -> MapNode | None:
    """Return an ingress; `routers` are there if names are those of StateFun 2.x."""
    opened = _read_io(entry, "ingress", "io.statefun.kafka/ingress", draft)
    if opened is None:
        return None
    kind, ingress_id, spec = opened
    if routers is None:
        return _of_version_3(entry, kind, _with_id(spec, ingress_id), "ingress", draft)
    if kind.text.lower() == _PROTOBUF_INGRESS:
        translated = routers.route(_with_id(spec, ingress_id), draft)
        return component(
            entry, text_node(kind.place, _KINDS["io.statefun.kafka/ingress"]), translated
        )
    spec = _with_id(spec, ingress_id)
    if kind.text.lower() in _OLD_KINDS:
        lists = (
            rename_in_items(e, _OLD_NAMES) if e.key in ("topics", "streams") else e
            for e in spec.entries.values()
        )
        spec = map_node(spec.place, lists)
    return component(entry, _kind(kind, _KINDS | _OLD_KINDS), spec)


def read_egress(entry: MapNode, draft: ModuleDraft, *, has_old_names: bool) -> MapNode | None:
    opened = _read_io(entry, "egress", "io.statefun.kafka/egress", draft)
    if opened is None:
        return None
    kind, egress_id, spec = opened
    if has_old_names:
        return component(entry, _kind(kind, _KINDS | _OLD_KINDS), _with_id(spec, egress_id))
    return _of_version_3(entry, kind, _with_id(spec, egress_id), "egress", draft)


def _of_version_3(
    entry: MapNode, kind: Scalar, spec: MapNode, role: str, draft: ModuleDraft
) -> MapNode | None:
    """Return an ingress or egress of version 3.0, which dropped the names of StateFun 2.x."""
    name = kind.text.lower()
    if name not in _OLD_KINDS and name != _PROTOBUF_INGRESS:
        return component(entry, _kind(kind, _KINDS), spec)
    message = f"{kind.text!r} is a type of versions 1.0 and 2.0, not of 3.0"
    hint = f"write io.statefun.{'kinesis' if 'kinesis' in name else 'kafka'}/{role}"
    if role == "ingress":
        hint += ", with 'valueType' and 'targets' for its records"
    draft.error(kind.place, Code.UNKNOWN_KIND, message, hint)
    return None


def _read_io(
    entry: MapNode, key: str, example: str, draft: ModuleDraft
) -> tuple[Scalar, Entry, MapNode] | None:
    meta = Meta(entry, key, draft)
    kind = meta.scalar("type", example)
    found = meta.entry("id", f"shop.io/{key}")
    spec = open_spec(entry, key, draft)
    return None if kind is None or found is None or spec is None else (kind, found, spec)


def _with_id(spec: MapNode, found: Entry) -> MapNode:
    return map_node(spec.place, (found, *(e for e in spec.entries.values() if e.key != "id")))


def _kind(scalar: Scalar, kinds: Mapping[str, str]) -> Scalar:
    """Return today's kind of a legacy type; a type that is not known is taken as a kind."""
    return text_node(scalar.place, kinds.get(scalar.text.lower(), scalar.text))
