"""Components: how one document of a module becomes the spec of its kind; the kinds of endpoints."""

from collections.abc import Callable, Mapping

from statefun_runtime.config.module.embedded import EMBEDDED, read_embedded
from statefun_runtime.config.module.endpoints import (
    ENDPOINT_V1,
    ENDPOINT_V2,
    read_endpoint_v1,
    read_endpoint_v2,
)
from statefun_runtime.config.module.kinds import ComponentKind, Kind, KindTable
from statefun_runtime.config.problems import Code, nearest
from statefun_runtime.config.reading.draft import ComponentSpec, ModuleDraft, Role
from statefun_runtime.config.reading.fields import Fields, Shape
from statefun_runtime.config.yaml.positions import MapNode, Node, Scalar, describe, is_null
from statefun_runtime.core.model.address import TypeName

COMPONENT = Shape("a component", ("kind", "spec"))
_FORM = "a component is a mapping with the fields 'kind' and 'spec'"


ENDPOINT_KINDS: tuple[Kind, ...] = (
    ComponentKind(
        "io.statefun.endpoints.v2/http", Role.ENDPOINT, ENDPOINT_V2, read_endpoint_v2, "functions"
    ),
    ComponentKind(
        "io.statefun.endpoints.v1/http", Role.ENDPOINT, ENDPOINT_V1, read_endpoint_v1, "functions"
    ),
    ComponentKind(
        "io.statefun.endpoints.v1/python", Role.ENDPOINT, EMBEDDED, read_embedded, "functions"
    ),
)


def read_component(document: Node, kinds: Mapping[str, Kind], draft: ModuleDraft) -> None:
    """Read one document that is not null, and add what it declares to the draft."""
    if not isinstance(document, MapNode):
        message = f"this document is {describe(document)}, not a component"
        draft.error(document.place, Code.NOT_A_COMPONENT, message, _FORM)
        return
    kind = _read_kind(document, kinds, draft)
    spec = _read_spec(document, draft)
    Fields(document, COMPONENT.noun, draft).allow_only(COMPONENT)
    if kind is None:
        return
    draft.has_role(kind.role)
    if spec is not None:
        _read_as(kind, spec, kind.read, draft)


def _read_as(
    kind: Kind,
    spec: MapNode,
    read: Callable[[Fields], ComponentSpec | None],
    draft: ModuleDraft,
) -> None:
    name = spec.entries.get(kind.named_by or "")
    label = kind.shape.noun
    if name is not None and isinstance(name.value, Scalar) and not is_null(name.value):
        label = f"{label} {name.value.text!r}"
    fields = Fields(spec, label, draft)
    fields.allow_only(kind.shape)
    component = read(fields)
    if component is not None:
        draft.add(component, kind.role)


def _read_kind(document: MapNode, kinds: Mapping[str, Kind], draft: ModuleDraft) -> Kind | None:
    entry = document.entries.get("kind")
    if entry is None or is_null(entry.value):
        place = document.place if entry is None else entry.place
        draft.error(place, Code.NOT_A_COMPONENT, "this document has no 'kind'", _FORM)
        return None
    if not isinstance(entry.value, Scalar):
        message = f"'kind' must be text, found {describe(entry.value)}"
        draft.error(entry.value.place, Code.WRONG_VALUE, message)
        return None
    return _find_kind(entry.value, kinds, draft)


def _find_kind(scalar: Scalar, kinds: Mapping[str, Kind], draft: ModuleDraft) -> Kind | None:
    try:
        name = str(TypeName.parse(scalar.text))
    except ValueError as error:
        draft.error(scalar.place, Code.BAD_TYPENAME, f"kind {error}")
        name = scalar.text
    else:
        if name in kinds:
            return kinds[name]
        near = nearest(name, kinds)
        hint = f"did you mean {near!r}?" if near else f"the kinds are {', '.join(kinds)}"
        draft.error(scalar.place, Code.UNKNOWN_KIND, f"unknown kind {scalar.text!r}", hint)
        _report_packages(scalar, kinds, draft)
    _count_as_nearest(name, kinds, draft)
    return None


def _report_packages(scalar: Scalar, kinds: Mapping[str, Kind], draft: ModuleDraft) -> None:
    """Report the packages that cannot be used: one of them may have been meant to bring an unknown kind."""
    for failure in kinds.installed.failures if isinstance(kinds, KindTable) else ():
        hint = "install another version of it, or take it away"
        draft.error(scalar.place, Code.BAD_PACKAGE, failure, hint)


def _count_as_nearest(name: str, kinds: Mapping[str, Kind], draft: ModuleDraft) -> None:
    """Let a misspelt kind count with the role it was most likely meant to have."""
    near = nearest(name, kinds)
    if near is not None:
        draft.has_role(kinds[near].role)


def _read_spec(document: MapNode, draft: ModuleDraft) -> MapNode | None:
    entry = document.entries.get("spec")
    if entry is None:
        draft.error(document.place, Code.NOT_A_COMPONENT, "this document has no 'spec'", _FORM)
    elif is_null(entry.value):
        is_beside = len(document.entries) > len(COMPONENT.fields)
        hint = "indent the fields of 'spec' so that they stand below it" if is_beside else _FORM
        draft.error(entry.place, Code.NOT_A_COMPONENT, "'spec' has no value", hint)
    elif isinstance(entry.value, MapNode):
        filled = draft.filler.fill(entry.value, draft)
        assert isinstance(filled, MapNode)
        return filled
    else:
        message = f"'spec' must be a mapping, found {describe(entry.value)}"
        draft.error(entry.value.place, Code.WRONG_VALUE, message)
    return None
