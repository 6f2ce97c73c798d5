"""Kinds of ingresses and egresses that installed packages bring, found by their entry points.

A package names a `ComponentKind`, several of them, or a function that returns either, in the group
`statefun_runtime.components`. A package that fails does not stop those that do not need it.
"""

from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from statefun_runtime.config.module.kinds import ComponentKind, Installed, Kind
from statefun_runtime.config.problems import Code
from statefun_runtime.config.reading.draft import ComponentSpec, Role
from statefun_runtime.config.reading.fields import Fields
from statefun_runtime.core.model.address import TypeName
from statefun_runtime.core.model.dead_letter import KAFKA_RECORD, DeadLetter, keyed_record_for
from statefun_runtime.core.module.checks import Attempt
from statefun_runtime.core.module.specs import DeadLetterRoute
from statefun_runtime.errors import ConfigError, StatefunError
from statefun_runtime.ports.contexts import EgressBuildContext, IngressBuildContext
from statefun_runtime.ports.egress import EgressSink
from statefun_runtime.ports.ingress import IngressSource
from statefun_runtime.ports.module import BuildsEgress, BuildsIngress

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "statefun_runtime.components"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class InstalledIngress:
    """An ingress of a kind that a package brings: `spec` is what the package read."""

    spec: BuildsIngress
    kind: str
    package: str

    @property
    def id(self) -> TypeName:
        """What the module calls it."""
        return self.spec.id

    @property
    def dead_letters(self) -> DeadLetterRoute | None:
        """It makes none."""
        return None

    @property
    def targets(self) -> tuple[TypeName, ...]:
        """Only the package knows."""
        return ()

    def describe(self, host: str) -> str:
        """Return what it is."""
        return f"{self.kind} of {self.package}"

    def checks(self) -> Iterator[tuple[str, Attempt]]:
        """Nothing is known of what it needs."""
        return iter(())

    def build(self, context: IngressBuildContext) -> IngressSource:
        """Return what the package makes; raise ConfigError if it fails, or makes something else than an ingress."""
        return _checked(self, "ingress", lambda: self.spec.build(context), IngressSource)


@dataclass(frozen=True, slots=True)
class InstalledEgress:
    """An egress of a kind that a package brings: `spec` is what the package read."""

    spec: BuildsEgress
    kind: str
    package: str

    @property
    def id(self) -> TypeName:
        """What the module calls it."""
        return self.spec.id

    @property
    def dead_letters(self) -> DeadLetterRoute | None:
        """It makes none."""
        return None

    def describe(self, host: str) -> str:
        """Return what it is."""
        return f"{self.kind} of {self.package}"

    def checks(self) -> Iterator[tuple[str, Attempt]]:
        """Nothing is known of what it needs."""
        return iter(())

    def letter(self, topic: str, letter: DeadLetter) -> tuple[str, bytes]:
        """Return the form that egresses of StateFun share; one that does not take it refuses the route at the start."""
        return KAFKA_RECORD, keyed_record_for(topic, letter)

    def why_no_topic(self, topic: str) -> str | None:
        """Only the package knows."""
        return None

    def letters(self, topic: str) -> AsyncIterator[bytes] | None:
        """They are read with other tools."""
        return None

    def build(self, context: EgressBuildContext) -> EgressSink[Any]:
        """Return what the package makes; raise ConfigError if it fails, or makes something else than an egress."""
        return _checked(self, "egress", lambda: self.spec.build(context), EgressSink)


def _checked(
    spec: InstalledIngress | InstalledEgress, noun: str, build: Callable[[], T], port: type
) -> T:
    try:
        made = build()
    except StatefunError:
        raise
    except Exception as error:
        raise _refusal(spec, noun, f"{type(error).__name__}: {error}") from error
    missing = [name for name in _promises(port) if not hasattr(made, name)]
    if missing:
        what = f"what it made is a {type(made).__name__} without {', '.join(missing)}"
        raise _refusal(spec, noun, what)
    return made


def _promises(port: type) -> list[str]:
    return sorted(name for name in vars(port) if not name.startswith("_"))


def _refusal(spec: InstalledIngress | InstalledEgress, noun: str, what: str) -> ConfigError:
    return ConfigError(
        f"{spec.package} could not make the {noun} '{spec.id}': {what}",
        code="SF1077",
        hint="this is a mistake in the package: tell those who made it, or install another version",
    )


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


def _kinds_of(entry_point: "EntryPoint") -> Iterator[ComponentKind[Any]]:
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


def _as_kind(kind: ComponentKind[Any], package: str) -> Kind:
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
        if content is None or component_id is None:
            return None
        if not isinstance(component_id, TypeName):
            message = f"{package} read an id that is no typename: {component_id!r}"
            fields.draft.error(fields.place, Code.BAD_PACKAGE, message, _ASK)
            return None
        if kind.role is Role.INGRESS:
            return InstalledIngress(content, kind.name, package)
        return InstalledEgress(content, kind.name, package)

    return ComponentKind(kind.name, kind.role, kind.shape, read)


_ASK = "this is a mistake in the package: tell those who made it, or install another version"
