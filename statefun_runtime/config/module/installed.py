"""Kinds of ingresses and egresses that installed packages bring, found by their entry points.

A package names a `ComponentKind`, several of them, or a function that returns either, in the group
`statefun_runtime.components`. A package that fails does not stop those that do not need it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from statefun_runtime.config.module.kinds import Installed, Kind
from statefun_runtime.config.problems import Code
from statefun_runtime.config.reading.draft import ComponentSpec, Role
from statefun_runtime.config.reading.fields import Fields, Shape
from statefun_runtime.core.model.address import TypeName
from statefun_runtime.core.module.specs import OwnEgressSpec, OwnIngressSpec

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "statefun_runtime.components"


@dataclass(frozen=True, slots=True)
class ComponentKind:
    """A kind of ingress or egress.

    `read` makes a frozen dataclass with an `id` of the fields below `spec`, or reports what is wrong with them and
    returns None. `build` makes an IngressSource of that and an IngressBuildContext, or an EgressSink of it and an EgressBuildContext.
    """

    name: str
    role: Role
    shape: Shape
    read: Callable[[Fields], Any]
    build: Callable[[Any, Any], Any]


class _Unusable(Exception):
    """A package brings something that is no kind; the text says what."""


def installed_kinds() -> Installed:
    """Return the kinds of all installed packages."""
    # It takes long to import, and is needed for a kind that is not built in only.
    from importlib.metadata import entry_points

    kinds: dict[str, Kind] = {}
    brought_by: dict[str, str] = {}
    failures: list[str] = []
    for entry_point in sorted(entry_points(group=GROUP), key=lambda each: each.value):
        package = _package(entry_point)
        try:
            found = list(_kinds_of(entry_point))
        except Exception as error:  # noqa: BLE001
            # Whatever a package does wrong must not look like a mistake of this worker.
            what = (
                str(error) if isinstance(error, _Unusable) else f"{type(error).__name__}: {error}"
            )
            failures.append(f"{package} cannot be used, {entry_point.value!r}: {what}")
            continue
        for kind in found:
            if kind.name in kinds and brought_by[kind.name] != package:
                failures.append(
                    f"{package} and {brought_by[kind.name]} both bring the kind {kind.name!r}"
                )
            kinds[kind.name] = _as_kind(kind, package)
            brought_by[kind.name] = package
    return Installed(kinds, tuple(failures))


def _package(entry_point: "EntryPoint") -> str:
    distribution = entry_point.dist
    if distribution is None:
        return "a package without a name"
    return f"the package {distribution.name!r} {distribution.version}"


def _kinds_of(entry_point: "EntryPoint") -> Iterator[ComponentKind]:
    loaded = entry_point.load()
    if callable(loaded) and not isinstance(loaded, ComponentKind):
        loaded = loaded()
    for kind in loaded if isinstance(loaded, list | tuple) else (loaded,):
        if not isinstance(kind, ComponentKind):
            raise _Unusable(f"it gives {type(kind).__name__}, not a ComponentKind")
        if kind.role is Role.ENDPOINT:
            raise _Unusable(
                f"the kind {kind.name!r} is an endpoint; only ingresses and egresses can be added"
            )
        if str(TypeName.parse(kind.name)) != kind.name:
            raise _Unusable(f"the kind {kind.name!r} is not of the form 'namespace/name'")
        yield kind


def _as_kind(kind: ComponentKind, package: str) -> Kind:
    def read(fields: Fields) -> ComponentSpec | None:
        try:
            content = kind.read(fields)
            component_id = None if content is None else content.id
        except Exception as error:  # noqa: BLE001
            message = (
                f"{package} failed to read this {kind.shape.noun}: {type(error).__name__}: {error}"
            )
            fields.draft.error(fields.place, Code.BAD_PACKAGE, message, _ASK)
            return None
        if component_id is None:
            return None
        if not isinstance(component_id, TypeName):
            message = f"{package} read an id that is no typename: {component_id!r}"
            fields.draft.error(fields.place, Code.BAD_PACKAGE, message, _ASK)
            return None
        if kind.role is Role.INGRESS:
            return OwnIngressSpec(component_id, kind.name, package, content, kind.build)
        return OwnEgressSpec(component_id, kind.name, package, content, kind.build)

    return Kind(kind.name, kind.role, kind.shape, named_by="id", read=read)


_ASK = "this is a mistake in the package: tell those who made it, or install another version"
