"""Placeholders in a module: `${NAME}`, `${NAME:-default}` and `${file:/run/secrets/x}`.

They stand in the scalars below `spec`, any number in each; `$${` is the text `${`. What is put in for them comes
from outside the file and is secret; see `secrets`.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from statefun_runtime.config.problems import Code, Place, Source, did_you_mean
from statefun_runtime.config.reading.locations import local_path
from statefun_runtime.config.reading.secrets import Secret
from statefun_runtime.config.yaml.positions import (
    Entry,
    ListNode,
    MapNode,
    Node,
    Scalar,
    ScalarKind,
    plain_scalar,
)

FORM = "write ${NAME}, ${NAME:-default} or ${file:PATH}; $${ is the text ${"
_FILE = "file:"
_FILE_BYTES_MAX = 65_536
_OPENING = re.compile(r"\$?\$\{")
_INSIDE = re.compile(r"(?P<name>file:[^}]*?|[A-Za-z_][A-Za-z0-9_.-]*?)(?::-(?P<default>[^}]*))?\}")


@dataclass(frozen=True, slots=True)
class Placeholder:
    """One placeholder; `written` is the whole of it as it stands in the file."""

    written: str
    name: str
    default: str | None


class Malformed(Exception):
    """A text has a `${` that begins no placeholder; `rest` is where it stands, to its end."""

    def __init__(self, rest: str) -> None:
        super().__init__(rest)
        self.rest = rest


def pieces(text: str) -> Iterator[str | Placeholder]:
    """Return a text divided into what stays and its placeholders; raises Malformed."""
    at = 0
    while (opening := _OPENING.search(text, at)) is not None:
        yield text[at : opening.start()]
        at = opening.end()
        if opening[0] == "$${":
            yield "${"
            continue
        inside = _INSIDE.match(text, at)
        if inside is None or "${" in (inside["default"] or "") or inside["name"] == _FILE:
            raise Malformed(text[opening.start() :])
        at = inside.end()
        yield Placeholder(text[opening.start() : at], inside["name"], inside["default"])
    yield text[at:]


class Reporter(Protocol):
    """Who is told what is wrong; a ModuleDraft is one."""

    @property
    def source(self) -> Source:
        """The file that is read now."""
        ...

    def error(self, place: Place, code: Code, message: str, hint: str | None = None) -> None:
        """Report an error."""
        ...


@dataclass(slots=True)
class Filler:
    """Fills in the placeholders of an application from its variables, and remembers what it filled in.

    `used` are the names that placeholders have; `secrets` are pairs of a value and what is shown for it.
    """

    variables: Mapping[str, str] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)
    secrets: dict[str, str] = field(default_factory=dict)
    _filled: dict[tuple[str, Place], Secret] = field(default_factory=dict)
    _unfilled: set[tuple[str, Place]] = field(default_factory=set)

    def fill(self, node: Node, report: Reporter) -> Node:
        """Return a node with every placeholder in it replaced; reports those that cannot be."""
        return self._fill(node, report, {})

    def filled_at(self, file: str, place: Place) -> Secret | None:
        """Return the text with placeholders that stands at a place."""
        return self._filled.get((file, place))

    def is_unfilled(self, file: str, place: Place) -> bool:
        """Return whether a text at a place lacks a value; what is wrong with it has been reported."""
        return (file, place) in self._unfilled

    def _fill(self, node: Node, report: Reporter, done: dict[int, Node]) -> Node:
        # Aliases share nodes: each is filled, and complained about, once.
        known = done.get(id(node))
        if known is not None:
            return known
        result: Node
        match node:
            case Scalar():
                result = self._fill_scalar(node, report)
            case ListNode(place, items):
                result = ListNode(place, tuple(self._fill(item, report, done) for item in items))
            case MapNode(place, entries):
                result = MapNode(
                    place,
                    {
                        name: Entry(name, entry.place, self._fill(entry.value, report, done))
                        for name, entry in entries.items()
                    },
                )
        done[id(node)] = result
        return result

    def _fill_scalar(self, scalar: Scalar, report: Reporter) -> Scalar:
        if "${" not in scalar.text:
            return scalar
        try:
            parts = list(pieces(scalar.text))
        except Malformed as error:
            rest = error.rest.split("\n", 1)[0]
            message = f"{_shortened(rest)!r} is not a placeholder"
            place = report.source.find(rest, scalar.place)
            report.error(place, Code.BAD_PLACEHOLDER, message, FORM)
            return self._leave(scalar, report)
        lookup = _Lookup(scalar, report, self)
        values = [part if isinstance(part, str) else lookup.value(part) for part in parts]
        if any(value is None for value in values):
            return self._leave(scalar, report)
        text = "".join(value for value in values if value is not None)
        if not lookup.is_outside:
            return _as_written(scalar, text)
        secret = Secret(text, scalar.text, is_from_file=lookup.is_from_file)
        self.secrets[text] = scalar.text
        self._filled[report.source.file, scalar.place] = secret
        return _as_written(scalar, secret)

    def _leave(self, scalar: Scalar, report: Reporter) -> Scalar:
        self._unfilled.add((report.source.file, scalar.place))
        return scalar


def _as_written(scalar: Scalar, text: str) -> Scalar:
    """Return the scalar as if this text stood there."""
    if scalar.is_plain:
        return plain_scalar(scalar.place, text)
    return Scalar(scalar.place, ScalarKind.TEXT, text)


def _shortened(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:40]}…"


@dataclass(slots=True)
class _Lookup:
    """Finds the values for the placeholders of one scalar; `is_outside` if one did not stand in the file."""

    scalar: Scalar
    report: Reporter
    filler: Filler
    is_outside: bool = False
    is_from_file: bool = False

    def value(self, placeholder: Placeholder) -> str | None:
        """Return what to put in; None if there is nothing, which is then reported."""
        if placeholder.name.startswith(_FILE):
            found = self._from_file(placeholder)
        else:
            found = self._from_variables(placeholder)
        if found is None:
            return None
        value, is_outside = found
        if is_outside:
            self.is_outside = True
            self.filler.secrets.setdefault(value, placeholder.written)
        return value

    def _from_variables(self, placeholder: Placeholder) -> tuple[str, bool] | None:
        variables = self.filler.variables
        self.filler.used.add(placeholder.name)
        value = variables.get(placeholder.name)
        if placeholder.default is not None and not value:
            return placeholder.default, False
        if value is None:
            message = f"{placeholder.written} has no value: {placeholder.name} is not set"
            hint = did_you_mean(placeholder.name, variables)
            hint = hint or (
                f"set it in the environment or with --set {placeholder.name}=VALUE, "
                f"or give a default: ${{{placeholder.name}:-VALUE}}"
            )
            self._error(placeholder, Code.NO_VARIABLE, message, hint)
            return None
        if any("\ud800" <= c <= "\udfff" for c in value):
            message = f"the value of {placeholder.written} is not UTF-8"
            self._error(placeholder, Code.NO_VARIABLE, message)
            return None
        return value, True

    def _from_file(self, placeholder: Placeholder) -> tuple[str, bool] | None:
        location = placeholder.name.removeprefix(_FILE)
        try:
            text = _read_secret(Path(self.report.source.file).parent / local_path(location))
        except FileNotFoundError as error:
            if placeholder.default is not None:
                return placeholder.default, False
            reason = error.strerror or ""
        except OSError as error:
            reason = error.strerror or ""
        except ValueError as error:
            reason = str(error)
        else:
            self.is_from_file = True
            return text, True
        message = (
            f"{placeholder.written}: the file cannot be read: {reason[:1].lower()}{reason[1:]}"
        )
        hint = "a path that does not begin with '/' is looked up beside the module"
        self._error(placeholder, Code.BAD_SECRET_FILE, message, hint)
        return None

    def _error(
        self, placeholder: Placeholder, code: Code, message: str, hint: str | None = None
    ) -> None:
        place = self.report.source.find(placeholder.written, self.scalar.place)
        self.report.error(place, code, message, hint)


def _read_secret(path: Path) -> str:
    """Return the content of a file without the line break at its end; raises OSError or ValueError."""
    with path.open("rb") as file:
        content = file.read(_FILE_BYTES_MAX + 1)
    if len(content) > _FILE_BYTES_MAX:
        raise ValueError(f"it has more than {_FILE_BYTES_MAX:,} bytes")
    try:
        text = content.decode()
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8") from None
    return text.removesuffix("\n").removesuffix("\r")
