"""Tables as the beginning of an application: each row is an address, each column that is named a state value of it."""

import csv
import json
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from struct import error as StructError
from struct import pack
from typing import Any

from statefun_runtime.app.moving.state_import import wrong_line
from statefun_runtime.core.checkpoints.portable import Line, head_line
from statefun_runtime.core.model.address import TypeName
from statefun_runtime.core.model.messages import field
from statefun_runtime.core.moving.columns import line_of
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

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the columns that are read."""
        return tuple(dict.fromkeys((self.id, *(column.column for column in self.columns))))


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


def _whole(text: str) -> int:
    """A column of whole numbers in which some are missing becomes one of floats on many a way."""
    return int(text.removesuffix(".0"))


# As the SDKs write values of these types: in Protobuf, and nothing for zero.
_ENCODERS: dict[str, Callable[[str], bytes]] = {
    "io.statefun.types/boolean": _boolean,
    "io.statefun.types/int": _number(b"\x0d", "<i", _whole),
    "io.statefun.types/long": _number(b"\x09", "<q", _whole),
    "io.statefun.types/float": _number(b"\x0d", "<f", float),
    "io.statefun.types/double": _number(b"\x09", "<d", float),
    "io.statefun.types/string": _string,
}


def encode_value(typename: str, cell: str | bytes) -> bytes:
    """Return the value that a text is, of a type of the SDKs; of any other type the text itself, as of JSON, or the bytes."""
    encode = _ENCODERS.get(typename)
    if encode is not None:
        return encode(cell.decode() if isinstance(cell, bytes) else cell)
    return cell if isinstance(cell, bytes) else cell.encode()


def text_rows(name: str, lines: Iterable[str]) -> Iterator[Mapping[str, Any]]:
    """Yield the rows of a text; the name of its file says whether it is CSV or lines of JSON."""
    return csv.DictReader(lines) if name.endswith(".csv") else _objects(lines)


def table_lines(name: str, rows: Iterable[Mapping[str, Any]], mapped: Mapped) -> Iterator[Line]:
    """Yield a table's rows as lines of a state file.

    A cell that is empty, or not there, is no value. Raise ConfigError for a row that cannot be taken.
    """
    yield head_line()
    taken = 0
    try:
        for row in rows:
            yield from _row_lines(row, mapped)
            taken += 1
    except (ValueError, KeyError, csv.Error) as error:
        why = f"there is no column {error}" if isinstance(error, KeyError) else str(error)
        raise ConfigError(
            f"row {taken + 1} of {name} cannot be taken: {why}",
            code="SF1132",
            hint="mend the row, or the mapping: --id COLUMN and --value STATE=COLUMN:TYPENAME; nothing was imported",
        ) from error


def parquet_lines(name: str, mapped: Mapped | None) -> Iterator[Line]:
    """Yield what a Parquet file has as lines of a state file: a table that is mapped, or an export."""
    from statefun_runtime.adapters.parquet import read_parquet

    if mapped is not None:
        yield from table_lines(name, read_parquet(Path(name), columns=mapped.names), mapped)
        return
    for number, cells in enumerate(read_parquet(Path(name)), 1):
        try:
            yield line_of(cells)
        except (ValueError, TypeError) as error:
            raise wrong_line(name, number, error) from error


def _objects(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    for text in lines:
        if text.strip():
            row = json.loads(text)
            if not isinstance(row, dict):
                raise ValueError("it is no mapping")
            yield row


def _row_lines(row: Mapping[str, Any], mapped: Mapped) -> Iterator[Line]:
    function_id = _cell(row[mapped.id])
    if isinstance(function_id, bytes):
        function_id = function_id.decode()
    if not function_id:
        raise ValueError(f"column {mapped.id!r} has no id")
    for column in mapped.columns:
        cell = _cell(row[column.column])
        if cell:
            value = b64encode(encode_value(column.typename, cell)).decode("ascii")
            address = {"type": str(mapped.function_type), "id": function_id}
            what = {"name": column.state, "typename": column.typename, "value": value}
            yield {"kind": "state", **address, **what}


def _cell(cell: Any) -> str | bytes:
    """Return a cell as text, or bytes as they are: a mapping, a list, a number or a truth is written as JSON."""
    if cell is None or isinstance(cell, str | bytes):
        return cell or ""
    # A date, a time or a decimal number has no form in JSON.
    return json.dumps(cell, ensure_ascii=False, default=str)
