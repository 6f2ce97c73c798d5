"""Writing a module of any format in today's: the same application, as components of the newest kinds."""

import operator
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from statefun_runtime.config.legacy.formats import components_of
from statefun_runtime.config.legacy.nodes import map_node, text_node
from statefun_runtime.config.module.endpoints import ENDPOINT_V1, ENDPOINT_V2
from statefun_runtime.config.module.kinds import Kind
from statefun_runtime.config.module.loading import load_part
from statefun_runtime.config.module.transports import OKHTTP, TIMEOUTS
from statefun_runtime.config.problems import Code, Place, Problem, Source, has_errors
from statefun_runtime.config.reading.draft import ModuleDraft
from statefun_runtime.config.reading.fields import parse_integer
from statefun_runtime.config.yaml.comments import find_comments, set_comments
from statefun_runtime.config.yaml.positions import Entry, MapNode, Node, Scalar, compose, is_null
from statefun_runtime.config.yaml.writing import Line, write_map
from statefun_runtime.errors import ConfigError

_ENDPOINT_V1 = "io.statefun.endpoints.v1/http"
_ENDPOINT_V2 = "io.statefun.endpoints.v2/http"
_KAFKA_EGRESS = "io.statefun.kafka.v1/egress"
_UNITS_MS = (("h", 3_600_000), ("min", 60_000), ("s", 1000), ("ms", 1))
_NEW_IN_V2 = tuple(name for name in ENDPOINT_V2.fields if name not in ENDPOINT_V1.fields)
_KNOWN_ELSEWHERE = (Code.NO_VARIABLE, Code.BAD_SECRET_FILE)
# Of what no line of the file is the origin; no comment belongs to it.
_NOWHERE = Place(0, 0)


@dataclass(frozen=True, slots=True)
class Upgraded:
    """A module in today's format, None if one of its problems is an error."""

    file: str
    text: str | None
    problems: tuple[Problem, ...]


def upgrade_module(location: str, kinds: Mapping[str, Kind]) -> Upgraded:
    """Read a module from a path or a `file:` URL, and write it anew.

    It may be one of several files of an application: what it lacks is not missed. Placeholders are kept, and what
    they stand for may be known elsewhere.
    """
    loaded = load_part(location, kinds)
    file = loaded.files[0]
    problems = tuple(p for p in loaded.problems if p.code not in _KNOWN_ELSEWHERE)
    if has_errors(problems):
        return Upgraded(file, None, problems)
    return Upgraded(file, upgrade_text(Path(file).read_bytes().decode("utf-8-sig")), problems)


def write_module(text: str, path: Path) -> None:
    """Write a module so that at every moment either the old file is there or the new one, whole."""
    path = path.resolve()
    new = path.with_name(f".{path.name}.new")
    try:
        new.write_text(text, "utf-8", newline="")
        if path.exists():
            shutil.copymode(path, new)
        new.replace(path)
    except OSError as error:
        new.unlink(missing_ok=True)
        message = f"the module cannot be written to {path}: {error.strerror or error}"
        raise ConfigError(
            message, code="SF1068", hint="name a folder that can be written to"
        ) from error


def upgrade_text(text: str) -> str:
    """Return a module without errors in today's format; as it is, if it is in that format."""
    source = Source("", text)
    draft = ModuleDraft()
    draft.begin(source)
    documents = [document for document in compose(source).documents if not is_null(document)]
    components = [
        component for document in documents for component in components_of(document, draft) or ()
    ]
    newest = [_newest(component) for component in components]
    if len(newest) == len(documents) and all(map(operator.is_, newest, documents)):
        return text
    return set_comments([_write_component(component) for component in newest], find_comments(text))


def _write_component(component: MapNode) -> list[Line]:
    first, *rest = write_map(component)
    return [replace(first, sources=(*first.sources, component.place.line)), *rest]


def _newest(component: Node) -> MapNode:
    """Return the component in its newest kind and spelling; itself if that is what it is."""
    assert isinstance(component, MapNode), "a module without errors has only mappings"
    entries = component.entries
    kind, spec = entries["kind"], entries["spec"]
    assert isinstance(spec.value, MapNode), "a component without errors has a spec"
    assert isinstance(kind.value, Scalar), "a component without errors has a kind"
    name = kind.value.text.rstrip("/")
    if name == _ENDPOINT_V1:
        new_kind = Entry("kind", kind.place, text_node(kind.value.place, _ENDPOINT_V2))
        return _with(component, new_kind, _with_transport(spec.value))
    if name == _KAFKA_EGRESS:
        return _with(component, kind, _with_timeout(spec.value))
    return component


def _with(component: MapNode, kind: Entry, spec: MapNode) -> MapNode:
    old = component.entries["spec"]
    if spec is old.value:
        return component
    new = {"kind": kind, "spec": Entry("spec", old.place, spec)}
    return MapNode(component.place, component.entries | new)


def _with_transport(spec: MapNode) -> MapNode:
    """Return the spec of a v1 endpoint as one of v2, with the transport that v1 always has."""
    timeouts = spec.entries.get(TIMEOUTS)
    if timeouts is not None and _is_made(timeouts):
        timeouts = Entry(TIMEOUTS, _NOWHERE, timeouts.value)
    kind = Entry("type", _NOWHERE, text_node(_NOWHERE, OKHTTP))
    transport = Entry("transport", _NOWHERE, map_node(_NOWHERE, (kind, timeouts)))
    # What v1 ignores must not begin to mean something.
    kept = (e for e in spec.entries.values() if e.key not in (TIMEOUTS, *_NEW_IN_V2))
    return map_node(spec.place, (*kept, transport))


def _is_made(timeouts: Entry) -> bool:
    """Return whether the timeouts of a function were put together, and stand where the first of them does."""
    places = [entry.place for entry in getattr(timeouts.value, "entries", {}).values()]
    return timeouts.place in places


def _with_timeout(spec: MapNode) -> MapNode:
    """Return the spec of a Kafka egress with a duration instead of milliseconds."""
    semantic = spec.entries.get("deliverySemantic")
    if semantic is None or not isinstance(semantic.value, MapNode):
        return spec
    millis = semantic.value.entries.get("transactionTimeoutMillis")
    number = None if millis is None else parse_integer(millis.value)
    if millis is None or number is None:
        return spec
    duration = Entry(
        "transactionTimeout", millis.place, text_node(millis.value.place, _duration(number))
    )
    kept = (
        e for e in semantic.value.entries.values() if not e.key.startswith("transactionTimeout")
    )
    new = map_node(semantic.value.place, (*kept, duration))
    return map_node(
        spec.place,
        (
            Entry(e.key, e.place, new) if e.key == "deliverySemantic" else e
            for e in spec.entries.values()
        ),
    )


def _duration(millis: int) -> str:
    """Return milliseconds in the largest unit in which they are a whole number."""
    unit, size = next(found for found in _UNITS_MS if millis % found[1] == 0)
    return f"{millis // size}{unit}"
