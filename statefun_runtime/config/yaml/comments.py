"""Comments: found in a file, and set into lines that are written from its nodes.

A comment belongs to the line that it stands behind, or else to the next line with content below it.
"""

import re
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass

import yaml

from statefun_runtime.config.yaml.writing import Line

_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")


@dataclass(frozen=True, slots=True)
class Comment:
    """A comment, or with an empty text a blank line."""

    line: int
    text: str


def find_comments(text: str) -> list[Comment]:
    """Return the comments and blank lines of a file that is valid YAML, from top to bottom.

    They are what stands between tokens, so a '#' within a value is none; the first line of a text in a block
    is no part of its value.
    """
    comments: list[Comment] = []
    at, line, is_fresh = 0, 1, True
    for token in yaml.scan(text, Loader=yaml.SafeLoader):
        start, end = token.start_mark, token.end_mark
        if start.index > at:
            comments += _in_gap(text[at : start.index], line, is_fresh=is_fresh)
        if isinstance(token, yaml.ScalarToken) and token.style in ("|", ">"):
            header = _BREAK.split(text[start.index : end.index], maxsplit=1)[0]
            comments += _in_gap(header, start.line + 1, is_fresh=False)
        if end.index > at:
            at, line, is_fresh = end.index, end.line + 1, end.column == 0
    return comments + _in_gap(text[at:], line, is_fresh=is_fresh)


def _in_gap(gap: str, first_line: int, *, is_fresh: bool) -> list[Comment]:
    """Return what a gap between two tokens has; `is_fresh` says that it begins at the start of a line."""
    pieces = _BREAK.split(gap)
    found = []
    for number, piece in enumerate(pieces):
        _, sign, comment = piece.partition("#")
        if sign:
            found.append(Comment(first_line + number, (sign + comment).rstrip()))
        elif (is_fresh or number > 0) and number < len(pieces) - 1 and not piece.strip():
            found.append(Comment(first_line + number, ""))
    return found


def set_comments(documents: list[list[Line]], comments: Iterable[Comment]) -> str:
    """Return the text of documents, with each comment where what it belongs to stands now."""
    owners = _owners(documents)
    sources = sorted(owners)
    above: dict[tuple[int, int], list[str]] = {}
    behind: dict[tuple[int, int], list[str]] = {}
    last: list[str] = []
    for comment in comments:
        if comment.line in owners:
            behind.setdefault(owners[comment.line], []).append(comment.text)
            continue
        nearest = bisect_left(sources, comment.line)
        if nearest < len(sources):
            above.setdefault(owners[sources[nearest]], []).append(comment.text)
        else:
            last.append(comment.text)
    written: list[str] = []
    for number, document in enumerate(documents):
        written += ["---"] if number else []
        for index, line in enumerate(document):
            _write(written, line.indent, above.get((number, index), []))
            tail = "".join(f"  {text}" for text in behind.get((number, index), []))
            written.append(f"{' ' * line.indent}{line.text}{tail}")
    _write(written, 0, last)
    return "\n".join(written).rstrip("\n") + "\n"


def _owners(documents: list[list[Line]]) -> dict[int, tuple[int, int]]:
    """Return for each line of the file the written line that carries its content on, the first one."""
    owners: dict[int, tuple[int, int]] = {}
    for number, document in enumerate(documents):
        for index, line in enumerate(document):
            for source in line.sources:
                owners.setdefault(source, (number, index))
    return owners


def _write(written: list[str], indent: int, comments: list[str]) -> None:
    """Write comments on lines of their own, without two blank lines in a row or one at a beginning."""
    for text in comments:
        if text:
            written.append(" " * indent + text)
        elif written and written[-1] not in ("", "---"):
            written.append("")
