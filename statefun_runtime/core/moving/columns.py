"""The lines of a state file as rows of one table: what has another meaning has a column of its own, all others are empty.

A table holds bytes as bytes where a line has base64; a position is JSON, a caller is in two columns. The order of rows
is that of lines. A row becomes the line that it was, field by field in the same order.
"""

import json
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any

from statefun_runtime.core.checkpoints.portable import Line, LineError

Cells = dict[str, Any]


class Cell(Enum):
    """What is in a column."""

    TEXT = "text"
    BYTES = "bytes"
    NUMBER = "number"


# In the order of the table.
COLUMNS: dict[str, Cell] = {
    "kind": Cell.TEXT,
    "type": Cell.TEXT,
    "id": Cell.TEXT,
    "name": Cell.TEXT,
    "typename": Cell.TEXT,
    "value": Cell.BYTES,
    "written_ms": Cell.NUMBER,
    "invoked_ms": Cell.NUMBER,
    "invocation": Cell.BYTES,
    "caller_type": Cell.TEXT,
    "caller_id": Cell.TEXT,
    "sender_id": Cell.TEXT,
    "due_ms": Cell.NUMBER,
    "token": Cell.TEXT,
    "key": Cell.TEXT,
    "row": Cell.BYTES,
    "topic": Cell.TEXT,
    "epoch": Cell.NUMBER,
    "index": Cell.NUMBER,
    "ingress": Cell.TEXT,
    "split": Cell.TEXT,
    "position": Cell.TEXT,
    "format": Cell.NUMBER,
}

# The fields of each kind, in the order of a line.
_FIELDS: dict[str, tuple[str, ...]] = {
    "application": ("format",),
    "function": ("type",),
    "position": ("ingress", "split", "position"),
    "state": ("type", "id", "name", "typename", "value", "written_ms", "invoked_ms"),
    "message": ("type", "id", "typename", "caller", "invocation"),
    "delayed": ("sender_id", "due_ms", "token", "type", "id", "typename", "caller", "invocation"),
    "once": ("type", "id", "key", "row"),
    "parked": ("type", "id", "row"),
    "result": ("topic", "epoch", "index", "row"),
}


def cells_of(line: Line) -> Cells:
    """Return a line as a row."""
    cells = dict(line)
    for name in ("value", "invocation", "row"):
        if name in cells:
            cells[name] = b64decode(cells[name])
    if caller := cells.pop("caller", None):
        cells["caller_type"], cells["caller_id"] = caller["type"], caller["id"]
    if "position" in cells:
        cells["position"] = json.dumps(cells["position"])
    return cells


def line_of(cells: Mapping[str, Any]) -> Line:
    """Return a row as the line that it was; raise LineError if its kind is none, or a cell is of another sort."""
    kind = cells.get("kind")
    fields = _FIELDS.get(kind) if isinstance(kind, str) else None
    if fields is None:
        raise LineError(f"there is no kind {kind!r} of rows")
    line: Line = {"kind": kind}
    for name in fields:
        value = _caller(cells) if name == "caller" else cells.get(name)
        if value is not None:
            read = _READ.get(name)
            line[name] = value if read is None else read(value)
    return line


def _caller(cells: Mapping[str, Any]) -> dict[str, Any] | None:
    if cells.get("caller_type") is None:
        return None
    return {"type": cells["caller_type"], "id": cells.get("caller_id") or ""}


def _text(value: Any) -> str:
    if not isinstance(value, bytes):
        raise LineError(f"a cell should have bytes, found {value!r}")
    return b64encode(value).decode("ascii")


_READ: dict[str, Callable[[Any], Any]] = {
    "value": _text,
    "invocation": _text,
    "row": _text,
    "position": json.loads,
}
