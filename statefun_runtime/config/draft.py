"""What has been read of a module so far: its components, its problems, and who defined what where."""

from dataclasses import dataclass, field
from enum import Enum

from statefun_runtime.config.problems import (
    Code,
    Place,
    Problem,
    Severity,
    Source,
    did_you_mean,
)
from statefun_runtime.core.address import TypeName
from statefun_runtime.core.specs import (
    EgressSpec,
    EndpointSpec,
    FunctionPattern,
    IngressSpec,
    KafkaIngressSpec,
    ModuleSpec,
    PlaygroundIngressSpec,
)

ComponentSpec = EndpointSpec | IngressSpec | EgressSpec

_PATTERNS_SHOWN_MAX = 8


class Role(Enum):
    """What a component is to the application; the values are how messages say it."""

    ENDPOINT = "endpoint"
    INGRESS = "ingress"
    EGRESS = "egress"


_NEEDED = (
    (Role.INGRESS, "io.statefun.kafka.v1/ingress"),
    (Role.ENDPOINT, "io.statefun.endpoints.v2/http"),
)


@dataclass(slots=True)
class ModuleDraft:
    """Collects what the readers of components find; they report here and go on.

    The files of an application are read one after another; `source` is the one that is read now.
    A component with errors still counts with its role, and its ids still count as defined, so that one
    mistake does not make others look like mistakes.
    """

    source: Source = field(default_factory=lambda: Source("", ""))
    problems: list[Problem] = field(default_factory=list)
    _components: list[ComponentSpec] = field(default_factory=list)
    _roles: set[Role] = field(default_factory=set)
    _defined: dict[tuple[str, str], str] = field(default_factory=dict)
    _patterns: list[FunctionPattern] = field(default_factory=list)
    _targets: list[tuple[TypeName, Source, Place]] = field(default_factory=list)
    _dead_letters: list[tuple[TypeName, Source, Place]] = field(default_factory=list)
    _is_every_pattern_known: bool = True
    _files: dict[str, Source] = field(default_factory=dict)

    def begin(self, source: Source) -> None:
        """Read another file from here on."""
        self.source = source
        self._files[source.file] = source

    def in_order(self) -> tuple[Problem, ...]:
        """Return the problems in the order of the files, and within a file from top to bottom.

        Each is there once, even if what is wrong is read several times, as with aliases.
        """
        ranks = {file: rank for rank, file in enumerate(self._files)}
        return tuple(
            sorted(dict.fromkeys(self.problems), key=lambda p: (ranks[p.file], p.line, p.column))
        )

    def error(self, place: Place, code: Code, message: str, hint: str | None = None) -> None:
        self.problems.append(self.source.problem(place, code, message, hint=hint))

    def warn(self, place: Place, code: Code, message: str, hint: str | None = None) -> None:
        self.problems.append(
            self.source.problem(place, code, message, hint=hint, severity=Severity.WARNING)
        )

    def has_role(self, role: Role) -> None:
        """Note that the file has a component of this role, whether it could be read or not."""
        self._roles.add(role)

    def add(self, spec: ComponentSpec) -> None:
        self._components.append(spec)

    def define(self, noun: str, name: str, place: Place) -> None:
        """Note that something is defined here; report it if it was defined before."""
        first = self._defined.get((noun, name))
        if first is None:
            self._defined[noun, name] = self.source.at(place)
        else:
            message = f"{noun} {name!r} is defined twice; first at {first}"
            self.error(place, Code.DEFINED_TWICE, message)

    def serve(self, pattern: FunctionPattern | None, place: Place) -> None:
        """Note what an endpoint serves; None if its pattern could not be read."""
        if pattern is None:
            self._is_every_pattern_known = False
            return
        self.define("function pattern", str(pattern), place)
        self._patterns.append(pattern)

    def route(self, target: TypeName, place: Place) -> None:
        """Note that an ingress sends messages to a function type."""
        self._targets.append((target, self.source, place))

    def send_dead_letters(self, egress: TypeName, place: Place) -> None:
        """Note that dead letters go to an egress."""
        self._dead_letters.append((egress, self.source, place))

    def check_whole(self) -> None:
        """Report what can only be seen when every component of every file has been read."""
        files = list(self._files.values())
        for role, example in _NEEDED:
            if role not in self._roles:
                self.problems.append(self._nothing_to_run(files, role, example))
        for egress, source, place in self._dead_letters:
            self._check_egress(egress, source, place)
        if self._patterns and self._is_every_pattern_known:
            for target, source, place in self._targets:
                self._check_served(target, source, place)

    def _check_egress(self, egress: TypeName, source: Source, place: Place) -> None:
        known = [name for noun, name in self._defined if noun == "egress id"]
        if str(egress) not in known:
            message = f"dead letters go to egress {str(egress)!r}, which is not declared"
            near = did_you_mean(str(egress), known)
            hint = near or f"the egresses are {', '.join(known) or 'none'}"
            self.problems.append(source.problem(place, Code.UNDECLARED_EGRESS, message, hint=hint))

    @staticmethod
    def _nothing_to_run(files: list[Source], role: Role, example: str) -> Problem:
        message = f"no {role.value} is defined"
        if len(files) > 1:
            message += f" in these {len(files)} files"
        hint = f"add a component of a kind such as {example}"
        return files[0].problem(Place(1, 1), Code.NOTHING_TO_RUN, message, hint=hint)

    def _check_served(self, target: TypeName, source: Source, place: Place) -> None:
        namespaces = {p.namespace for p in self._patterns if p.name is None}
        patterns = list(dict.fromkeys(map(str, self._patterns)))
        if target.namespace in namespaces or str(target) in patterns:
            return
        shown = ", ".join(patterns[:_PATTERNS_SHOWN_MAX])
        if len(patterns) > _PATTERNS_SHOWN_MAX:
            shown += ", …"
        hint = did_you_mean(str(target), patterns)
        hint = f"{hint} endpoints serve {shown}" if hint else f"endpoints serve {shown}"
        message = f"no endpoint serves the target {str(target)!r}"
        problem = source.problem(
            place, Code.UNSERVED_TARGET, message, hint=hint, severity=Severity.WARNING
        )
        self.problems.append(problem)

    def spec(self) -> ModuleSpec:
        """Return the module; only to be called when nothing was an error."""
        endpoints: list[EndpointSpec] = []
        ingresses: list[IngressSpec] = []
        egresses: list[EgressSpec] = []
        for component in self._components:
            match component:
                case EndpointSpec():
                    endpoints.append(component)
                case KafkaIngressSpec() | PlaygroundIngressSpec():
                    ingresses.append(component)
                case _:
                    egresses.append(component)
        return ModuleSpec(tuple(endpoints), tuple(ingresses), tuple(egresses))
