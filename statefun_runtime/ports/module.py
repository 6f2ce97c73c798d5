"""What a module declares: endpoints as values, ingresses and egresses as what each connector makes of its own kinds."""

from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from statefun_runtime.core.model.address import TypeName
from statefun_runtime.core.model.dead_letter import DeadLetter
from statefun_runtime.core.module.checks import Attempt
from statefun_runtime.core.module.specs import DeadLetterRoute, EndpointSpec

if TYPE_CHECKING:
    from statefun_runtime.ports.contexts import EgressBuildContext, IngressBuildContext
    from statefun_runtime.ports.egress import EgressSink
    from statefun_runtime.ports.ingress import IngressSource


class BuildsIngress(Protocol):
    """The least that is to be known of a declared ingress: a frozen value, without secrets of the file in wrappers."""

    @property
    def id(self) -> TypeName:
        """What the module calls it."""
        ...

    def build(self, context: "IngressBuildContext") -> "IngressSource":
        """Return the ingress; raise ConfigError for what an operator can mend."""
        ...


class IngressSpec(BuildsIngress, Protocol):
    """A declared ingress."""

    @property
    def dead_letters(self) -> DeadLetterRoute | None:
        """Where records go that cannot be routed."""
        ...

    @property
    def targets(self) -> tuple[TypeName, ...]:
        """The function types that records are known to go to."""
        ...

    def describe(self, host: str) -> str:
        """Return where its records come from, for people; `host` is what the worker's ports listen on."""
        ...

    def checks(self) -> Iterable[tuple[str, Attempt]]:
        """Yield what can be tried of what it needs outside: what it is, and how."""
        ...


@runtime_checkable
class ReadsTopics(Protocol):
    """What a declared ingress has besides whose positions a person can give up by the name of a topic or stream."""

    @property
    def topics(self) -> tuple[str, ...]:
        """The topics or streams that it reads."""
        ...


@runtime_checkable
class IsShared(Protocol):
    """What a declared ingress has besides whose splits several workers read, each its own; others have one reader."""

    @property
    def is_shared(self) -> bool:
        """Whether it is so."""
        ...


@runtime_checkable
class HasPort(Protocol):
    """What a declared ingress or egress has besides that others come to."""

    @property
    def id(self) -> TypeName:
        """What the module calls it."""
        ...

    @property
    def own_port(self) -> int:
        """The port that it listens on; 0 is any free one."""
        ...


@runtime_checkable
class ReadsBeside(Protocol):
    """What a declared ingress has besides that can be read beside its original, which does not notice."""

    @property
    def sources(self) -> tuple[str, ...]:
        """The names of the topics or streams it reads."""
        ...

    def shadow(self) -> "IngressSpec":
        """Return it under names of its own."""
        ...


@runtime_checkable
class WritesBeside(Protocol):
    """What a declared egress has besides that can write to other topics than those that functions name."""

    def shadow(self, suffix: str) -> "EgressSpec":
        """Return it with `suffix` behind the name of each topic or stream that belongs to others, too."""
        ...


class BuildsEgress(Protocol):
    """The least that is to be known of a declared egress: a frozen value, without secrets of the file in wrappers."""

    @property
    def id(self) -> TypeName:
        """What the module calls it."""
        ...

    def build(self, context: "EgressBuildContext") -> "EgressSink[Any]":
        """Return the egress; raise ConfigError for what an operator can mend."""
        ...


class EgressSpec(BuildsEgress, Protocol):
    """A declared egress."""

    @property
    def dead_letters(self) -> DeadLetterRoute | None:
        """Where records go that will never be taken."""
        ...

    def describe(self, host: str) -> str:
        """Return where its records go, for people; `host` is what the worker's ports listen on."""
        ...

    def checks(self) -> Iterable[tuple[str, Attempt]]:
        """Yield what can be tried of what it needs outside: what it is, and how."""
        ...

    def letter(self, topic: str, letter: DeadLetter) -> tuple[str, bytes]:
        """Return the typed value that carries a dead letter to a topic: its typename and its bytes."""
        ...

    def why_no_topic(self, topic: str) -> str | None:
        """Return why it can have no such topic or stream, or None; more may be known when it runs."""
        ...

    def letters(self, topic: str) -> AsyncIterator[bytes] | None:
        """Return the letters that lie in a topic now; None if they can only be read with other tools."""
        ...


@dataclass(frozen=True, slots=True)
class ModuleSpec:
    """A whole application, checked: no duplicate patterns or ids, at least one ingress and one endpoint."""

    endpoints: tuple[EndpointSpec, ...]
    ingresses: tuple[IngressSpec, ...]
    egresses: tuple[EgressSpec, ...]

    def endpoint_for(self, function_type: TypeName) -> EndpointSpec | None:
        """Return the endpoint of a function type: an exact binding first, else that of its namespace."""
        namespace_wide = None
        for endpoint in self.endpoints:
            if endpoint.pattern.namespace != function_type.namespace:
                continue
            if endpoint.pattern.name == function_type.name:
                return endpoint
            if endpoint.pattern.name is None:
                namespace_wide = endpoint
        return namespace_wide
