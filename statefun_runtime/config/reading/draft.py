"""What has been read of a module so far: its components, its problems, and who defined what where."""

from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

from statefun_runtime.config.problems import (
    Code,
    Place,
    Problem,
    Severity,
    Source,
    did_you_mean,
)
from statefun_runtime.config.reading.placeholders import Filler
from statefun_runtime.config.reading.secrets import reveal
from statefun_runtime.core.model.address import TypeName
from statefun_runtime.core.module.specs import EndpointSpec, FunctionPattern
from statefun_runtime.ports.module import EgressSpec, IngressSpec, ModuleSpec

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


@dataclass(frozen=True, slots=True)
class _Reference:
    """A function type or egress that is sent to; `shown` is how messages call it."""

    typename: TypeName
    shown: str
    source: Source
    place: Place
    advice: str | None = None


@dataclass(frozen=True, slots=True)
class _Definition:
    """Where something is defined; `shown` is how messages call it."""

    shown: str
    where: str


@dataclass(slots=True)
class ModuleDraft:
    """Collects what the readers of components find; they report here and go on.

    The files of an application are read one after another; `source` is the one that is read now.
    A component with errors still counts with its role, and its ids still count as defined, so that one
    mistake does not make others look like mistakes.
    """

    source: Source = field(default_factory=lambda: Source("", ""))
    problems: list[Problem] = field(default_factory=list)
    filler: Filler = field(default_factory=Filler)
    _endpoints: list[EndpointSpec] = field(default_factory=list)
    _ingresses: list[IngressSpec] = field(default_factory=list)
    _egresses: list[EgressSpec] = field(default_factory=list)
    _roles: set[Role] = field(default_factory=set)
    _defined: dict[tuple[str, str], _Definition] = field(default_factory=dict)
    _patterns: dict[FunctionPattern, str] = field(default_factory=dict)
    _targets: list[_Reference] = field(default_factory=list)
    _dead_letters: list[_Reference] = field(default_factory=list)
    _letter_topics: list[tuple[TypeName, str, Source, Place]] = field(default_factory=list)
    _uncommitted: list[tuple[Source, Place]] = field(default_factory=list)
    _has_exactly_once: bool = False
    _nouns_unknown: set[str] = field(default_factory=set)
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
        self._report(place, code, message, hint, Severity.ERROR)

    def secret_error(self, place: Place, code: Code, message: str, hint: str | None = None) -> None:
        """Report an error on a line that must not be shown, because it may hold a secret."""
        problem = self.source.problem(place, code, message, hint=hint)
        self.problems.append(replace(problem, source_line=None))

    def warn(self, place: Place, code: Code, message: str, hint: str | None = None) -> None:
        self._report(place, code, message, hint, Severity.WARNING)

    def _report(
        self, place: Place, code: Code, message: str, hint: str | None, severity: Severity
    ) -> None:
        # A placeholder without a value is one mistake, and has been told.
        if not self.is_unfilled(place):
            problem = self.source.problem(place, code, message, hint=hint, severity=severity)
            self.problems.append(problem)

    def is_unfilled(self, place: Place) -> bool:
        """Return whether a text at a place lacks a value; what is wrong with it has been reported."""
        return self.filler.is_unfilled(self.source.file, place)

    def has_role(self, role: Role) -> None:
        """Note that the file has a component of this role, whether it could be read or not."""
        self._roles.add(role)

    def add(self, spec: ComponentSpec, role: Role) -> None:
        """Take a component; what is secret in it is a plain text from here on."""
        parts: dict[Role, list[Any]] = {
            Role.ENDPOINT: self._endpoints,
            Role.INGRESS: self._ingresses,
            Role.EGRESS: self._egresses,
        }
        parts[role].append(reveal(spec))

    def public_name(self, name: str, place: Place) -> str:
        """Return what messages call something that is named here; a name may not come from a secret file."""
        filled = self.filler.filled_at(self.source.file, place)
        if filled is None:
            return name
        if filled.is_from_file:
            message = f"{filled!r} is a name, and cannot come from a file of secrets"
            hint = "names are shown in metrics and stored in checkpoints; use ${NAME}"
            self.error(place, Code.SECRET_NAME, message, hint)
        return filled.written

    def define(self, noun: str, name: str, place: Place) -> None:
        """Note that something is defined here; report it if it was defined before."""
        if self.is_unfilled(place):
            self._nouns_unknown.add(noun)
            return
        first = self._defined.get((noun, name))
        shown = self.public_name(name, place)
        if first is None:
            self._defined[noun, name] = _Definition(shown, self.source.at(place))
        else:
            message = f"{noun} {shown!r} is defined twice; first at {first.where}"
            self.error(place, Code.DEFINED_TWICE, message)

    def serve(self, pattern: FunctionPattern | None, place: Place) -> None:
        """Note what an endpoint serves; None if its pattern could not be read."""
        if pattern is None or self.is_unfilled(place):
            self._is_every_pattern_known = False
            return
        pattern = reveal(pattern)
        assert pattern is not None
        self.define("function pattern", str(pattern), place)
        filled = self.filler.filled_at(self.source.file, place)
        self._patterns[pattern] = filled.written if filled is not None else str(pattern)

    def route(self, target: TypeName, place: Place, advice: str | None = None) -> None:
        """Note that an ingress sends messages to a function type, which an endpoint must serve.

        `advice` is what to do if it is meant that none does.
        """
        if self.is_unfilled(place):
            return
        self._targets.append(replace(self._reference(target, place), advice=advice))

    def send_dead_letters(
        self, egress: TypeName, place: Place, topic: str | None, topic_place: Place
    ) -> None:
        """Note that dead letters go to a topic of an egress."""
        if not self.is_unfilled(place):
            self._dead_letters.append(self._reference(egress, place))
        if topic is not None and not self.is_unfilled(topic_place):
            self._letter_topics.append((egress, topic, self.source, topic_place))

    def _reference(self, typename: TypeName, place: Place) -> _Reference:
        return _Reference(typename, self.public_name(str(typename), place), self.source, place)

    def read_uncommitted(self, place: Place) -> None:
        """Note that an ingress is told to read records of aborted transactions."""
        self._uncommitted.append((self.source, place))

    def publish_exactly_once(self) -> None:
        """Note that an egress publishes each record once."""
        self._has_exactly_once = True

    def check_whole(self) -> None:
        """Report what can only be seen when every component of every file has been read."""
        files = list(self._files.values())
        for role, example in _NEEDED:
            if role not in self._roles:
                self.problems.append(self._nothing_to_run(files, role, example))
        if "egress id" not in self._nouns_unknown:
            for egress in self._dead_letters:
                self._check_egress(egress)
        self._check_letter_topics()
        if self._has_exactly_once:
            for source, place in self._uncommitted:
                self.problems.append(_uncommitted_input(source, place))
        if self._patterns and self._is_every_pattern_known:
            for target in self._targets:
                self._check_served(target)

    def _check_egress(self, egress: _Reference) -> None:
        if ("egress id", str(egress.typename)) in self._defined:
            return
        known = [each.shown for (noun, _), each in self._defined.items() if noun == "egress id"]
        message = f"dead letters go to egress {egress.shown!r}, which is not declared"
        near = did_you_mean(egress.shown, known)
        hint = near or f"the egresses are {', '.join(known) or 'none'}"
        problem = egress.source.problem(egress.place, Code.UNDECLARED_EGRESS, message, hint=hint)
        self.problems.append(problem)

    def _check_letter_topics(self) -> None:
        """Report topics of dead letters that their egress cannot have; such a letter would wait for ever."""
        egresses = {egress.id: egress for egress in self._egresses}
        for egress, topic, source, place in self._letter_topics:
            spec = egresses.get(egress)
            defect = None if spec is None else spec.why_no_topic(topic)
            if defect is not None:
                self.problems.append(source.problem(place, Code.WRONG_VALUE, defect))

    @staticmethod
    def _nothing_to_run(files: list[Source], role: Role, example: str) -> Problem:
        message = f"no {role.value} is defined"
        if len(files) > 1:
            message += f" in these {len(files)} files"
        hint = f"add a component of a kind such as {example}"
        return files[0].problem(Place(1, 1), Code.NOTHING_TO_RUN, message, hint=hint)

    def _check_served(self, target: _Reference) -> None:
        function_type = target.typename
        namespace_wide = FunctionPattern(function_type.namespace, None)
        exact = FunctionPattern(function_type.namespace, function_type.name)
        if namespace_wide in self._patterns or exact in self._patterns:
            return
        patterns = list(self._patterns.values())
        shown = ", ".join(patterns[:_PATTERNS_SHOWN_MAX])
        if len(patterns) > _PATTERNS_SHOWN_MAX:
            shown += ", …"
        hint = did_you_mean(target.shown, patterns)
        hint = f"{hint} endpoints serve {shown}" if hint else f"endpoints serve {shown}"
        hint = f"{hint}; {target.advice}" if target.advice else hint
        message = f"no endpoint serves the target {target.shown!r}"
        problem = target.source.problem(target.place, Code.UNSERVED_TARGET, message, hint=hint)
        self.problems.append(problem)

    def spec(self) -> ModuleSpec:
        """Return the module; only to be called when nothing was an error."""
        return ModuleSpec(tuple(self._endpoints), tuple(self._ingresses), tuple(self._egresses))


def _uncommitted_input(source: Source, place: Place) -> Problem:
    message = "records of aborted transactions are read, and an egress publishes what comes of them exactly once"
    hint = "write 'read_committed', if the topics are written in transactions"
    return source.problem(
        place, Code.DOUBTFUL_PROPERTY, message, hint=hint, severity=Severity.WARNING
    )
