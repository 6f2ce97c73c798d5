"""What `promtool check metrics` says of names, as far as names go: promlint's rules."""

import re

_ABBREVIATED = {"s", "ms", "us", "ns", "sec", "b", "kb", "mb", "gb", "tb", "pb", "m", "h", "d"}
_UNITS = (
    "second",
    "minute",
    "hour",
    "day",
    "week",
    "byte",
    "bit",
    "celsius",
    "meter",
    "metre",
    "gram",
)
_BASES = {"seconds", "bytes", "celsius", "meters", "metres", "grams"}
_KINDS = {"counter", "gauge", "histogram", "summary", "untyped"}
_FAMILY = re.compile(r"^# (HELP|TYPE) (\S+) ?(.*)$", re.M)
_LABEL = re.compile(r'[{,]([A-Za-z_][A-Za-z0-9_]*)="')


def families(page: str) -> dict[str, tuple[str, str]]:
    """Return type and help of each family on a metrics page."""
    found: dict[str, dict[str, str]] = {}
    for what, name, text in _FAMILY.findall(page):
        found.setdefault(name, {})[what] = text
    return {name: (parts["TYPE"], parts.get("HELP", "")) for name, parts in found.items()}


def complaints(name: str, kind: str, doc: str) -> list[str]:
    """Return what promlint says of a family."""
    words = name.split("_")
    said = []
    if not doc:
        said.append("no help text")
    if kind == "counter" and not name.endswith("_total"):
        said.append('counter metrics should have "_total" suffix')
    if kind != "counter" and name.endswith("_total"):
        said.append('non-counter metrics should not have "_total" suffix')
    if name.endswith(("_bucket", "_count", "_sum")):
        said.append("a suffix of histograms")
    if re.search("[a-z][A-Z]", name):
        said.append("metric names should be written in 'snake_case' not 'camelCase'")
    if ":" in name:
        said.append("metric names should not contain ':'")
    if _KINDS.intersection(words[1:]):
        said.append("metric name should not include its type")
    if _ABBREVIATED.intersection(words[1:]):
        said.append("metric names should not contain abbreviated units")
    for word in words:
        if word not in _BASES and any(word.rstrip("s").endswith(unit) for unit in _UNITS):
            said.append(f"use base unit instead of {word!r}")
    return said


def labels(page: str) -> set[str]:
    """Return the names of all labels on a page."""
    return set(_LABEL.findall(page))
