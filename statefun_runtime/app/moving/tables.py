"""Tables as the beginning of an application: each row is an address, each column that is named a state value of it."""

import csv
import json
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from struct import error as StructError
from struct import pack
from typing import Any

from statefun_runtime.core.checkpoints.portable import Line, head_line
from statefun_runtime.core.model.address import TypeName
from statefun_runtime.core.model.messages import field
from statefun_runtime.errors import ConfigError

_TRUE, _FALSE = ("true", "1", "yes"), ("false", "0", "no")


@dataclass(frozen=True, slots=True)
class Column:
    """A state, the column that its values are in, and their typename."""

    state: str
    column: str
    typename: str

    @classmethod
    def parse(cls, text: str) -> "Column":
        """Read STATE=COLUMN:TYPENAME; raise ValueError if it is none."""
        state, equals, rest = text.partition("=")
        column, _, typename = rest.rpartition(":")
        if not (state and equals and column) or "/" not in typename:
            raise ValueError(f"{text!r} is not of the form STATE=COLUMN:TYPENAME")
        return cls(state, column, typename)


@dataclass(frozen=True, slots=True)
class Mapped:
    """What the columns of a table are of a function type; `id` is the column of the ids."""

    function_type: TypeName
    id: str
    columns: tuple[Column, ...]


def _boolean(text: str) -> bytes:
    if text.lower() not in (*_TRUE, *_FALSE):
        raise ValueError(f"{text!r} is neither true nor false")
    return b"\x08\x01" if text.lower() in _TRUE else b""


def _number(tag: bytes, form: str, read: Callable[[str], Any]) -> Callable[[str], bytes]:
    def encode(text: str) -> bytes:
        try:
            content = pack(form, read(text))
        except (ValueError, OverflowError, StructError) as error:
            raise ValueError(f"{text!r} is no such number: {error}") from error
        return tag + content if any(content) else b""

    return encode


def _string(text: str) -> bytes:
    return field(b"\x0a", text.encode()) if text else b""


# As the SDKs write values of these types: in Protobuf, and nothing for zero.
_ENCODERS: dict[str, Callable[[str], bytes]] = {
    "io.statefun.types/boolean": _boolean,
    "io.statefun.types/int": _number(b"\x0d", "<i", int),
    "io.statefun.types/long": _number(b"\x09", "<q", int),
    "io.statefun.types/float": _number(b"\x0d", "<f", float),
    "io.statefun.types/double": _number(b"\x09", "<d", float),
    "io.statefun.types/string": _string,
}


def encode_value(typename: str, text: str) -> bytes:
    """Return the value that a text is, of a type of the SDKs; of any other type the text itself, as of JSON."""
    encode = _ENCODERS.get(typename)
    return text.encode() if encode is None else encode(text)


def table_lines(name: str, lines: Iterable[str], mapped: Mapped) -> Iterator[str]:
    """Yield a table's rows as lines of a state file; the name of a file says whether it is CSV or lines of JSON.

    A cell that is empty, or not there, is no value. Raise ConfigError for a row that cannot be taken.
    """
    yield json.dumps(head_line())
    rows = csv.DictReader(lines) if name.endswith(".csv") else _objects(lines)
    taken = 0
    try:
        for row in rows:
            for line in _row_lines(row, mapped):
                yield json.dumps(line, ensure_ascii=False)
            taken += 1
    except (ValueError, KeyError, csv.Error) as error:
        why = f"there is no column {error}" if isinstance(error, KeyError) else str(error)
        raise ConfigError(
            f"row {taken + 1} of {name} cannot be taken: {why}",
            code="SF1132",
            hint="mend the row, or the mapping: --id COLUMN and --value STATE=COLUMN:TYPENAME; nothing was imported",
        ) from error


def _objects(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    for text in lines:
        if text.strip():
            row = json.loads(text)
            if not isinstance(row, dict):
                raise ValueError("it is no mapping")
            yield row


def _row_lines(row: Mapping[str, Any], mapped: Mapped) -> Iterator[Line]:
    function_id = _cell(row[mapped.id])
    if not function_id:
        raise ValueError(f"column {mapped.id!r} has no id")
    for column in mapped.columns:
        text = _cell(row[column.column])
        if text:
            value = b64encode(encode_value(column.typename, text)).decode("ascii")
            address = {"type": str(mapped.function_type), "id": function_id}
            what = {"name": column.state, "typename": column.typename, "value": value}
            yield {"kind": "state", **address, **what}


def _cell(cell: Any) -> str:
    """Return a cell as text: of JSON a mapping, a list or a truth is written as JSON."""
    if cell is None or isinstance(cell, str):
        return cell or ""
    return json.dumps(cell, ensure_ascii=False)
