"""What `validate` says, for people, for programs, and for GitHub's pages of a change."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from statefun_runtime.config.module.loading import LoadedModule
from statefun_runtime.config.problems import Problem, Severity, explained_by
from statefun_runtime.core.module.checks import Check
from statefun_runtime.ports.module import ModuleSpec

FORMATS = ("text", "json", "github")


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that is known of an application; `checks` is None if nothing outside was tried."""

    loaded: LoadedModule
    remarks: Sequence[str] = ()
    checks: Sequence[Check] | None = None


def report_lines(report: Report, form: str) -> Iterator[str]:
    """Return a report in one of FORMATS."""
    match form:
        case "json":
            yield json.dumps(_as_json(report), indent=2, ensure_ascii=False)
        case "github":
            yield from _github_lines(report)
        case _:
            yield from _text_lines(report)


def contents(spec: ModuleSpec) -> str:
    """Return what is in a module, in words."""
    parts = (
        (len(spec.endpoints), "endpoint", "endpoints"),
        (len(spec.ingresses), "ingress", "ingresses"),
        (len(spec.egresses), "egress", "egresses"),
    )
    return ", ".join(f"{number} {one if number == 1 else more}" for number, one, more in parts)


def _text_lines(report: Report) -> Iterator[str]:
    for remark in report.remarks:
        yield f"warning: {remark}\n"
    for problem in report.loaded.problems:
        yield f"{problem}\n"
    for check in report.checks or ():
        yield f"{'good  ' if check.is_good else 'failed'}  {check.subject}: {check.found}"
        if check.hint:
            yield f"        hint: {check.hint}"
    yield _verdict(report)


def _verdict(report: Report) -> str:
    loaded = report.loaded
    files = ", ".join(loaded.files)
    if loaded.spec is None:
        errors = sum(problem.severity is Severity.ERROR for problem in loaded.problems)
        count = "1 error" if errors == 1 else f"{errors} errors"
        return f"{files}: bad: {count} ({explained_by(loaded.problems)})"
    failed = sum(not check.is_good for check in report.checks or ())
    if failed:
        return f"{files}: good, but {failed} of {len(report.checks or ())} checks outside failed"
    return f"{files}: good: {contents(loaded.spec)}"


def _as_json(report: Report) -> dict[str, Any]:
    loaded = report.loaded
    document: dict[str, Any] = {
        "files": list(loaded.files),
        "good": loaded.spec is not None,
        "problems": [_problem_as_json(problem) for problem in loaded.problems],
        "remarks": list(report.remarks),
    }
    if loaded.spec is not None:
        names = ("endpoints", "ingresses", "egresses")
        document["contents"] = {name: len(getattr(loaded.spec, name)) for name in names}
    if report.checks is not None:
        document["checks"] = [asdict(check) for check in report.checks]
    return document


def _problem_as_json(problem: Problem) -> dict[str, Any]:
    return {**asdict(problem), "severity": problem.severity.value, "code": problem.code.value}


def _github_lines(report: Report) -> Iterator[str]:
    """Return workflow commands, which GitHub shows beside the lines of a change."""
    for remark in report.remarks:
        yield f"::warning::{_escaped(remark)}"
    for problem in report.loaded.problems:
        places = {"file": problem.file, "line": problem.line, "col": problem.column}
        properties = {**places, "title": problem.code.value}
        written = ",".join(f"{name}={_escaped_property(str(v))}" for name, v in properties.items())
        message = f"{problem.message}\nhint: {problem.hint}" if problem.hint else problem.message
        yield f"::{problem.severity.value} {written}::{_escaped(message)}"
    for check in report.checks or ():
        if not check.is_good:
            yield f"::error title=connect::{_escaped(f'{check.subject}: {check.found}')}"
    # A line that is no command, and must not be taken for one.
    yield _escaped(_verdict(report)).lstrip(":")


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _escaped_property(text: str) -> str:
    return _escaped(text).replace(":", "%3A").replace(",", "%2C")
