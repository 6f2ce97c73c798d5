"""`statefun init`, with its flags read: a folder with a project in it, from the templates of a language.

In a template a line `#if WORD …` begins lines that are there if one of the words is true of the project, and `#end` ends
them; `@NAME@`, `@LANGUAGE@` and `@SDK@` stand for what is asked for. What comes out empty is no file.
"""

import argparse
import re
import sys
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

LANGUAGES = {"python": "Python", "go": "Go", "javascript": "JavaScript"}
# In a clone, the SDKs of the other languages are beside this one.
_BESIDE = Path(__file__).resolve().parents[3]
_FOLDERS = {"go": "go", "javascript": "js"}
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_MARK = "dot"


class InitError(Exception):
    """The project cannot be made; the text says why."""


def init(options: argparse.Namespace) -> int:
    """Make the project; return the exit status."""
    try:
        made = make_project(
            Path(options.name), options.language, has_kafka=options.kafka, sdk=options.sdk
        )
    except (InitError, OSError) as error:
        print(f"statefun: {error}", file=sys.stderr)
        return 2
    print(f"made {options.name}: {', '.join(made)}")
    print(f"next: cd {options.name}, and as README.md says")
    return 0


def make_project(
    folder: Path, language: str, *, has_kafka: bool, sdk: str | None = None
) -> list[str]:
    """Make a folder with a project, and return the names of its files; raise InitError if it cannot be had."""
    if not _NAME.fullmatch(folder.name):
        raise InitError(
            f"{folder.name!r} is no name for a project: functions have it as their namespace; "
            "use small letters, digits and single dashes, like 'flower-shop'"
        )
    if folder.exists() and any(folder.iterdir()):
        raise InitError(f"{folder} is there already, and not empty")
    words = {language, "kafka" if has_kafka else "http"}
    values = {
        "NAME": folder.name,
        "LANGUAGE": LANGUAGES[language],
        "SDK": _sdk(language, sdk),
    }
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for name, template in _templates(language):
        text = _render(template, words, values)
        if text.strip():
            (folder / name).write_text(text)
            made.append(name)
    return sorted(made)


def _sdk(language: str, given: str | None) -> str:
    """Return where the SDK is, as the language's own tool wants it: a folder, or a version of a registry."""
    if language == "python":
        return ""
    beside = _BESIDE / _FOLDERS[language]
    if given is None and beside.is_dir():
        given = str(beside)
    if given is not None:
        folder = Path(given).resolve()
        if not folder.is_dir():
            raise InitError(
                f"there is no SDK at {folder}: --sdk names the folder sdk/{_FOLDERS[language]} of a clone"
            )
        return f"file:{folder}" if language == "javascript" else str(folder)
    if language == "javascript":
        return "^0.1.0"
    raise InitError(
        "the SDK for Go has no address to be fetched from yet: say with --sdk where sdk/go of a clone is"
    )


def _templates(language: str) -> Iterator[tuple[str, str]]:
    for part in ("common", language):
        for entry in (files("statefun.starting") / "templates" / part).iterdir():
            name = entry.name.removesuffix(".tmpl").removeprefix(_MARK)
            yield name, entry.read_text(encoding="utf-8")


def _render(template: str, words: set[str], values: dict[str, str]) -> str:
    lines, shown = [], [True]
    for line in template.splitlines(keepends=True):
        if line.startswith("#if "):
            shown.append(shown[-1] and not words.isdisjoint(line.split()[1:]))
        elif line.rstrip() == "#end":
            shown.pop()
        elif shown[-1]:
            lines.append(line)
    assert shown == [True], "a condition does not end"
    return re.sub(r"@(NAME|LANGUAGE|SDK)@", lambda match: values[match[1]], "".join(lines))
