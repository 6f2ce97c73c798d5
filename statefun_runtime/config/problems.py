"""What is wrong with a file, told so that a person can act: where, what, and what to do.

A problem is printed like a compiler's message. All problems of a file are collected first and printed at
once, in the order of the file.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from enum import Enum, StrEnum

from statefun_runtime.core.printable import printable
from statefun_runtime.errors import ConfigError

_LINE_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
_SHOWN_COLUMNS_MAX = 120
# What stands behind these is no one's to read but the client's.
_SECRET = re.compile(
    r"((?:jaas\.config|\.password|client\.secret|keystore\.key)[\"']?\s*:\s*+|(?:password|clientSecret)\s*=\s*+)"
    # What stands in for a secret is none.
    r"(?![\"']?\$\{[^}]*\}[\"']?\s*$).+"
)


class Code(StrEnum):
    """The kinds of problems; each has a page under docs/reference/errors/."""

    UNREADABLE = "SF1001"
    NOT_YAML = "SF1002"
    REFUSED_YAML = "SF1003"
    DUPLICATE_KEY = "SF1004"
    NOT_A_COMPONENT = "SF1005"
    UNKNOWN_KIND = "SF1006"
    UNKNOWN_VERSION = "SF1007"
    MISSING_FIELD = "SF1009"
    WRONG_VALUE = "SF1010"
    BAD_TYPENAME = "SF1011"
    BAD_TIME = "SF1012"
    BAD_URL = "SF1013"
    NOT_A_CHOICE = "SF1014"
    CONTRADICTION = "SF1015"
    DEFINED_TWICE = "SF1016"
    NOTHING_TO_RUN = "SF1017"
    UNKNOWN_FIELD = "SF1020"
    IGNORED = "SF1021"
    UNSERVED_TARGET = "SF1022"
    DOUBTFUL_ROUTE = "SF1023"
    UNDECLARED_EGRESS = "SF1024"
    BREAKS_PROMISE = "SF1025"
    WRONG_PROPERTY = "SF1026"
    DOUBTFUL_PROPERTY = "SF1027"
    BAD_SECURITY = "SF1028"
    UNKNOWN_PROPERTY = "SF1029"
    BAD_SET = "SF1030"
    UNKNOWN_OPTION = "SF1031"
    BAD_SETTING = "SF1032"
    INCOMPLETE_LEGACY = "SF1060"
    NEWER_PROTOCOL = "SF1061"
    STATES_NOT_READ = "SF1062"
    SECTION_IGNORED = "SF1063"
    GRPC_FUNCTION = "SF1064"
    BAD_ROUTER = "SF1065"
    BAD_TARGET = "SF1066"
    NO_MODULE = "SF1070"
    NO_VARIABLE = "SF1071"
    BAD_PLACEHOLDER = "SF1072"
    BAD_SECRET_FILE = "SF1073"
    SECRET_NAME = "SF1074"
    BAD_CONFIG_FILE = "SF1075"
    BAD_PACKAGE = "SF1076"
    BAD_HEADER = "SF1095"
    BAD_LOCATION = "SF1096"
    BAD_PROXY = "SF1097"
    UNENCRYPTED = "SF1093"


class Severity(Enum):
    """Whether a module with this problem can run."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A position in a file; lines and columns count from 1, columns in characters."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong at one place; `source_line` is None where there is no line to show."""

    file: str
    line: int
    column: int
    severity: Severity
    code: Code
    message: str
    hint: str | None = None
    source_line: str | None = None

    def __str__(self) -> str:
        warning = "warning: " if self.severity is Severity.WARNING else ""
        where = f"{self.file}:{self.line}:{self.column}"
        lines = [f"{where}: {warning}{self.message} [{self.code}]"]
        if self.source_line is not None:
            shown, padding = _excerpt(self.source_line, self.column)
            margin = f"{self.line:5} | "
            lines += [f"{margin}{shown}".rstrip(), f"{' ' * len(margin)}{padding}^"]
        if self.hint:
            lines.append(f"hint: {self.hint}")
        return "\n".join(lines)


def _excerpt(source_line: str, column: int) -> tuple[str, str]:
    """Return what to show of a line and what to put before the caret, tabs kept so that both align."""
    printable = "".join(c if c.isprintable() or c == "\t" else "\ufffd" for c in source_line)
    start = max(0, column - 1 - _SHOWN_COLUMNS_MAX // 2)
    if len(printable) <= _SHOWN_COLUMNS_MAX:
        start = 0
    end = start + _SHOWN_COLUMNS_MAX
    before = "…" if start else ""
    after = "…" if end < len(printable) else ""
    padding = "".join("\t" if c == "\t" else " " for c in before + printable[start : column - 1])
    return f"{before}{printable[start:end]}{after}", padding


@dataclass(frozen=True, slots=True)
class Source:
    """A file's name and text; makes the problems of that file."""

    file: str
    text: str
    _lines: list[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_lines", _LINE_BREAK.split(self.text))

    def at(self, place: Place) -> str:
        return f"{self.file}:{place.line}:{place.column}"

    def find(self, text: str, start: Place) -> Place:
        """Return where a text stands in the line at or behind a place; that place if it is not in the line."""
        line = self._lines[start.line - 1] if start.line <= len(self._lines) else ""
        at = line.find(text, start.column - 1)
        return start if at < 0 else Place(start.line, at + 1)

    def place(self, offset: int) -> Place:
        """Return the place of the character with this offset in the text."""
        before = _LINE_BREAK.split(self.text[:offset])
        return Place(len(before), len(before[-1]) + 1)

    def problem(
        self,
        place: Place,
        code: Code,
        message: str,
        *,
        hint: str | None = None,
        severity: Severity = Severity.ERROR,
    ) -> Problem:
        line = self._lines[place.line - 1] if place.line <= len(self._lines) else None
        if line:
            line = _SECRET.sub(r"\1***", line)
        message = printable(_SECRET.sub(r"\1***", message))
        return Problem(
            self.file, place.line, place.column, severity, code, message, hint, line or None
        )


class ModuleError(ConfigError):
    """A module cannot run; `str()` shows every problem and a line that sums up."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        errors = [p for p in problems if p.severity is Severity.ERROR]
        assert errors, "a module without errors can run"
        super().__init__(summary(problems), code=errors[0].code)
        self.problems = tuple(problems)

    def __str__(self) -> str:
        return f"{render(self.problems)}\n\n{self.message}"


def as_errors(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Return the problems with every warning made an error, as --strict wants it."""
    return tuple(replace(p, severity=Severity.ERROR) for p in problems)


def has_errors(problems: Iterable[Problem]) -> bool:
    return any(p.severity is Severity.ERROR for p in problems)


def render(problems: Iterable[Problem]) -> str:
    return "\n\n".join(str(problem) for problem in problems)


def summary(problems: Sequence[Problem]) -> str:
    """Return one line that counts the problems and says how they are explained."""
    errors = sum(p.severity is Severity.ERROR for p in problems)
    warnings = len(problems) - errors
    counts = [_count(n, noun) for n, noun in ((errors, "error"), (warnings, "warning")) if n]
    files = ", ".join(dict.fromkeys(p.file for p in problems))
    return f"{' and '.join(counts)} in {files} ({explained_by(problems)})"


def explained_by(problems: Iterable[Problem]) -> str:
    """Return the command that explains problems."""
    return f"statefun-worker explain {' '.join(sorted({p.code.value for p in problems}))}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that a person most likely meant, if one is near; case is no difference."""
    by_folded = {candidate.casefold(): candidate for candidate in known}
    near = get_close_matches(name.casefold(), by_folded, n=1, cutoff=0.7)
    return by_folded[near[0]] if near else None


def did_you_mean(name: str, known: Iterable[str]) -> str | None:
    near = nearest(name, known)
    return f"did you mean {near!r}?" if near else None
