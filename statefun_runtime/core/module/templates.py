"""Where a router sends a record: a target in which the fields of the record's message may stand.

shop.fns/order/{{$.customer.id}}      namespace, name and id; the last two slashes divide them
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

_FRAGMENT = re.compile(r"\{\{\s*(.*?)\s*\}\}", re.DOTALL)
_STEP = re.compile(r"\.([A-Za-z_][A-Za-z0-9_]*)|\[([0-9]{1,9})\]")
TEMPLATE_FORM = "write it like shop.fns/order/{{$.customer.id}}"


@dataclass(frozen=True, slots=True)
class FieldPath:
    """The way from a message to one of its fields: names, and the index where a field is a list."""

    steps: tuple[str | int, ...]

    def __str__(self) -> str:
        return "$" + "".join(f"[{s}]" if isinstance(s, int) else f".{s}" for s in self.steps)


Part = tuple[str | FieldPath, ...]


@dataclass(frozen=True, slots=True)
class TargetTemplate:
    """The address of a target, in parts of text and fields."""

    namespace: Part
    name: Part
    id: Part

    @property
    def function_type(self) -> tuple[str, str] | None:
        """Namespace and name, if no field stands in them."""
        texts = [
            "".join(str(piece) for piece in part)
            for part in (self.namespace, self.name)
            if all(isinstance(piece, str) for piece in part)
        ]
        return (texts[0], texts[1]) if len(texts) == 2 else None

    def paths(self) -> tuple[FieldPath, ...]:
        parts = (*self.namespace, *self.name, *self.id)
        return tuple(piece for piece in parts if isinstance(piece, FieldPath))


def parse_target(text: str) -> TargetTemplate:
    """Read a template; raise ValueError, with words for the person who wrote it, if it is none."""
    paths: list[FieldPath] = []
    whole = _FRAGMENT.sub(lambda match: _marked(match[1], paths), text)
    if "{{" in whole or "}}" in whole:
        raise ValueError(f"target {text!r} has braces without a partner")
    pieces = whole.rsplit("/", 2)
    if len(pieces) != 3 or not pieces[1] or not pieces[2]:
        raise ValueError(f"target {text!r} is not of the form 'namespace/name/id'")
    remaining = iter(paths)
    namespace, name, function_id = (_part(piece, remaining) for piece in pieces)
    return TargetTemplate(namespace, name, function_id)


# Stands for a field while a template is divided; YAML lets it into no file.
_MARK = "\0"


def _marked(expression: str, paths: list[FieldPath]) -> str:
    paths.append(_parse_path(expression))
    return _MARK


def _parse_path(expression: str) -> FieldPath:
    steps: list[str | int] = []
    end = 1
    for match in _STEP.finditer(expression, 1):
        if match.start() != end:
            break
        end = match.end()
        steps.append(match[1] if match[1] is not None else int(match[2]))
    if not expression.startswith("$") or end != len(expression) or not steps:
        raise ValueError(f"{expression!r} is not a path to a field, such as $.customer.id")
    return FieldPath(tuple(steps))


def _part(piece: str, paths: Iterator[FieldPath]) -> Part:
    found: list[str | FieldPath] = []
    for index, literal in enumerate(piece.split(_MARK)):
        if index:
            found.append(next(paths))
        if literal:
            found.append(literal)
    return tuple(found)
