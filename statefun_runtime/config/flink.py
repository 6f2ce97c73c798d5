"""Flink's configuration file: flat lines `key: value` (flink-conf.yaml), or nested YAML (config.yaml)."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from statefun_runtime.config.problems import Code, Problem, Source
from statefun_runtime.config.yaml.positions import (
    ListNode,
    MapNode,
    Node,
    Scalar,
    compose,
    is_null,
)
from statefun_runtime.errors import ConfigError

_NAMES = ("config.yaml", "flink-conf.yaml")
_FLAT_LINE = re.compile(r"(?P<key>[A-Za-z0-9][^\s:#]*):[ \t]+(?P<value>\S.*)")
# What only YAML begins a value with.
_YAML_VALUES = "{[|>&*!"
_QUOTED = re.compile(r"'(.*)'|\"(.*)\"")


@dataclass(frozen=True, slots=True)
class ConfigEntry:
    """One option of a configuration file; `where` is its place, as a message says it."""

    key: str
    text: str
    where: str


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """A configuration file: its options in order, and what makes it unreadable."""

    name: str
    entries: tuple[ConfigEntry, ...] = ()
    errors: tuple[ConfigError, ...] = ()


def read_config(location: str) -> ConfigFile:
    """Read a configuration file, or the one in a folder `conf`. Never raises for what is wrong with it."""
    try:
        name = _name(Path(location))
        text = Path(name).read_text("utf-8-sig")
    except UnicodeDecodeError:
        return _unreadable(location, "it is not UTF-8")
    except (OSError, ValueError) as error:
        reason = (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
        return _unreadable(location, f"{reason[:1].lower()}{reason[1:]}")
    return parse_config(text, name)


def parse_config(text: str, name: str) -> ConfigFile:
    """Read the text of a configuration file; as Flink does, of two flat lines for a key the last counts."""
    source = Source(name, text)
    flat = list(_flat_entries(source))
    if None not in flat:
        return ConfigFile(name, tuple(entry for entry in flat if entry is not None))
    composed = compose(source)
    problems = list(composed.problems)
    documents = [document for document in composed.documents if not is_null(document)]
    if composed.is_whole and (
        len(documents) > 1 or not all(isinstance(d, MapNode) for d in documents)
    ):
        problems.append(
            source.problem(
                documents[0].place, Code.BAD_CONFIG_FILE, "the file is not one mapping of options"
            )
        )
    entries = [entry for document in documents for entry in _nested_entries(document, "", source)]
    return ConfigFile(name, tuple(entries), tuple(map(_as_error, problems)))


def _name(path: Path) -> str:
    if not path.is_dir():
        return str(path)
    for name in _NAMES:
        if (path / name).is_file():
            return str(path / name)
    raise ValueError(f"the folder has no {' and no '.join(_NAMES)}")


def _unreadable(location: str, reason: str) -> ConfigFile:
    message = f"--config {location} cannot be read: {reason}"
    return ConfigFile(location, errors=(ConfigError(message, code=Code.BAD_CONFIG_FILE),))


def _as_error(problem: Problem) -> ConfigError:
    message = f"{problem.file}:{problem.line}:{problem.column}: {problem.message}"
    return ConfigError(message, code=Code.BAD_CONFIG_FILE, hint=problem.hint)


def _flat_entries(source: Source) -> Iterator[ConfigEntry | None]:
    """Return the options of a flat file; None for a line that a flat file cannot have."""
    for number, line in enumerate(source.text.splitlines(), start=1):
        # Flink cuts a line at its first '#', wherever it stands.
        found = line.partition("#")[0].rstrip()
        if not found:
            continue
        match = _FLAT_LINE.fullmatch(found)
        if match is None or match["value"][0] in _YAML_VALUES:
            yield None
            return
        value = match["value"]
        quoted = _QUOTED.fullmatch(value)
        if quoted is not None:
            value = quoted[1] or quoted[2] or ""
        yield ConfigEntry(match["key"], value, f"{source.file}:{number}:1")


def _nested_entries(node: Node, key: str, source: Source) -> Iterator[ConfigEntry]:
    """Return the options of a nested file, their keys joined with dots."""
    if not isinstance(node, MapNode):
        return
    for entry in node.entries.values():
        name = f"{key}.{entry.key}" if key else entry.key
        match entry.value:
            case MapNode():
                yield from _nested_entries(entry.value, name, source)
            case ListNode(items=items):
                text = ";".join(item.text for item in items if isinstance(item, Scalar))
                yield ConfigEntry(name, text, source.at(entry.place))
            case Scalar() if not is_null(entry.value):
                yield ConfigEntry(name, entry.value.text, source.at(entry.place))
