"""Nodes as YAML again, a line per entry, each of which knows the lines of the file that it comes from."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from yaml import ScalarNode
from yaml.resolver import Resolver

from statefun_runtime.config.yaml.positions import (
    Entry,
    ListNode,
    MapNode,
    Node,
    Scalar,
    ScalarKind,
    is_null,
    plain_kind,
)

_STEP = 2
# Longer ones are no keys to a YAML parser, unless a '?' stands in front of them.
_KEY_MAX = 1000
_NOT_FIRST = "-?:,[]{}#&*!|>'\"%@`"
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r", "\0": "\\0"}


@dataclass(frozen=True, slots=True)
class Line:
    """A line to write; `sources` are the lines of the file whose content it carries on."""

    indent: int
    text: str
    sources: tuple[int, ...]


def write_map(node: MapNode, indent: int = 0) -> list[Line]:
    """Return the lines of a mapping that has entries."""
    return [line for entry in node.entries.values() for line in _entry_lines(entry, indent)]


def _entry_lines(entry: Entry, indent: int) -> Iterator[Line]:
    key, sources = write_text(entry.key), (entry.place.line,)
    if len(key) > _KEY_MAX:
        yield Line(indent, f"? {key}", sources)
        key = ""
    value = entry.value
    if isinstance(value, Scalar):
        text = "" if is_null(value) else write_scalar(value)
        yield Line(indent, f"{key}: {text}".rstrip(" "), (*sources, value.place.line))
    elif isinstance(value, MapNode):
        yield Line(indent, f"{key}:" if value.entries else f"{key}: {{}}", sources)
        if value.entries:
            yield from write_map(value, indent + _STEP)
    else:
        yield Line(indent, f"{key}:" if value.items else f"{key}: []", sources)
        yield from _list_lines(value, indent + _STEP)


def _list_lines(node: ListNode, indent: int) -> Iterator[Line]:
    for item in node.items:
        first, *rest = _item_lines(item, indent + _STEP)
        yield Line(indent, f"- {first.text}", first.sources or (item.place.line,))
        yield from rest


def _item_lines(node: Node, indent: int) -> list[Line]:
    if isinstance(node, Scalar):
        return [Line(indent, write_scalar(node), ())]
    if isinstance(node, MapNode):
        return write_map(node, indent) if node.entries else [Line(indent, "{}", ())]
    return list(_list_lines(node, indent)) or [Line(indent, "[]", ())]


def write_scalar(scalar: Scalar) -> str:
    """Return a scalar so that it is read with the same kind and text."""
    if scalar.kind is ScalarKind.NULL:
        return "null"
    if scalar.kind is not ScalarKind.TEXT:
        return scalar.text
    text = write_text(scalar.text)
    # What a placeholder stands for may be a number, but not where there are quotes.
    needs_quotes = "${" in text and not scalar.is_plain and text[0] not in "'\""
    return f"'{text}'" if needs_quotes else text


def write_text(text: str) -> str:
    """Return a text as plainly as no reader of YAML could take it for something else."""
    if not text.isprintable():
        return '"' + "".join(map(_escaped, text)) + '"'
    return text if _is_plain(text) else "'" + text.replace("'", "''") + "'"


def _is_plain(text: str) -> bool:
    if not text or text[0] in _NOT_FIRST or text != text.strip(" ") or text.endswith(":"):
        return False
    if ": " in text or " #" in text:
        return False
    # A merge key, a date or an octal number is no text to some reader or other.
    tag: str = _resolver().resolve(ScalarNode, text, (True, False))
    return tag == "tag:yaml.org,2002:str" and plain_kind(text) is ScalarKind.TEXT


@lru_cache(1)
def _resolver() -> Any:
    return Resolver()


def _escaped(char: str) -> str:
    if char in _ESCAPES:
        return _ESCAPES[char]
    if char.isprintable():
        return char
    number = ord(char)
    if number <= 0xFF:
        return f"\\x{number:02X}"
    return f"\\u{number:04X}" if number <= 0xFFFF else f"\\U{number:08X}"
