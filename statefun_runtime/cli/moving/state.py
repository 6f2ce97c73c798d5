"""`statefun-worker state export|import`: everything that an application has, out of a state folder and into one."""

import argparse
import asyncio
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from statefun_runtime.cli.flags import add_checkpoints, add_settings, add_state_dir, settings_of
from statefun_runtime.cli.status import GOOD
from statefun_runtime.core.model.address import TypeName
from statefun_runtime.errors import ConfigError

if TYPE_CHECKING:
    from statefun_runtime.app.moving.tables import Mapped
    from statefun_runtime.core.checkpoints.portable import Line

JSON_LINES, PARQUET = "jsonl", "parquet"
_HELP = """\
An export has state values, messages that wait, delayed messages, positions, idempotency keys, parked addresses and HTTP
results, one JSON object a line, or one table in Parquet: docs/reference/state-files.md. It is of a complete checkpoint; a worker may be running.
The same state makes the same file. An import makes the first checkpoint of a new state folder: all of it, or nothing.

examples:
  statefun-worker state export --state-dir /var/lib/shop --output shop.jsonl
  statefun-worker state export --state-dir /var/lib/shop | zstd >shop.jsonl.zst
  statefun-worker state export --state-dir /var/lib/shop --output shop.parquet
  statefun-worker state import shop.jsonl --state-dir new
  zcat shop.jsonl.gz | statefun-worker state import - --state-dir new
  statefun-worker state import customers.csv --state-dir new --function com.acme.shop/customer --id number \\
      --value name=full_name:io.statefun.types/string --value orders=order_count:io.statefun.types/int
"""


def main(given: Sequence[str]) -> int:
    """Export or import."""
    flags = _parser().parse_args(given)
    return _export(flags) if flags.what == "export" else _import(flags)


def _export(flags: argparse.Namespace) -> int:
    from statefun_runtime.app.inspect import StateFolderView
    from statefun_runtime.app.moving.state_export import export_state

    view = StateFolderView(flags.state_dir)
    form = flags.format or (PARQUET if _is_parquet(flags.output) else JSON_LINES)
    if form == PARQUET and flags.output is None:
        raise ConfigError(
            "Parquet has to be written to a file", code="SF1140", hint="say --output FILE.parquet"
        )
    with _output(flags.output) as path:
        opened = _parquet_lines(path) if form == PARQUET and path else _json_lines(path)
        with opened as write:
            asyncio.run(export_state(view, flags.checkpoint, write))
    return GOOD


@contextmanager
def _output(path: Path | None) -> Iterator[Path | None]:
    """Name what an export is written to; a file is there when all of it is."""
    if path is None:
        yield None
        return
    writing = path.with_name(f"{path.name}.part")
    try:
        yield writing
        writing.rename(path)
    finally:
        writing.unlink(missing_ok=True)


@contextmanager
def _json_lines(path: Path | None) -> Iterator[Callable[["Line"], None]]:
    encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
    opened = (
        nullcontext(sys.stdout) if path is None else path.open("w", encoding="utf-8", newline="\n")
    )
    with opened as file:

        def write(line: "Line") -> None:
            file.write(encode(line) + "\n")

        yield write


@contextmanager
def _parquet_lines(path: Path) -> Iterator[Callable[["Line"], None]]:
    from statefun_runtime.adapters.parquet import ParquetWriter
    from statefun_runtime.core.moving.columns import COLUMNS, cells_of

    with ParquetWriter(path, COLUMNS) as file:
        yield lambda line: file.write(cells_of(line))


def _is_parquet(name: Path | str | None) -> bool:
    return name is not None and str(name).endswith(".parquet")


def _import(flags: argparse.Namespace) -> int:
    from statefun_runtime.app.moving.state_import import import_state

    path, mapped = flags.file, _mapped(flags)
    for name in ("what", "file", "function", "id", "value"):
        delattr(flags, name)
    # What a worker cannot do without, and an import can.
    flags.modules = ["-"]
    settings = settings_of(flags)
    with _input(path) as texts:
        brought = import_state(path, _lines(path, texts, mapped), settings)
    counts = (
        ", ".join(f"{count} {kind}" for kind, count in sorted(brought.counts.items())) or "nothing"
    )
    print(f"imported into {settings.state_dir}: {counts}")
    return GOOD


def _lines(path: str, texts: Iterable[str], mapped: "Mapped | None") -> "Iterable[str | Line]":
    """Return the lines of a state file that a file has or is mapped to."""
    from statefun_runtime.app.moving.tables import parquet_lines, table_lines, text_rows

    if _is_parquet(path):
        return parquet_lines(path, mapped)
    return texts if mapped is None else table_lines(path, text_rows(path, texts), mapped)


def _mapped(flags: argparse.Namespace) -> "Mapped | None":
    """Return what the flags say of a table's columns; None if the file is no table."""
    from statefun_runtime.app.moving.tables import Column, Mapped

    if not (flags.function or flags.id or flags.value):
        return None
    if not (flags.function and flags.id and flags.value):
        raise ConfigError(
            "a table needs --function, --id and at least one --value",
            code="SF1133",
            hint="for example --function com.acme.shop/customer --id number --value name=name:io.statefun.types/string",
        )
    try:
        columns = tuple(map(Column.parse, flags.value))
        return Mapped(TypeName.parse(flags.function), flags.id, columns)
    except ValueError as error:
        raise ConfigError(str(error), code="SF1133") from error


@contextmanager
def _input(path: str) -> Iterator[Iterable[str]]:
    if path == "-":
        sys.stdin.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
        yield sys.stdin
        return
    if not Path(path).is_file():
        raise ConfigError(
            f"{path} is no file",
            code="SF1129",
            hint="name the file that `statefun-worker state export` wrote, or - for stdin",
        )
    if _is_parquet(path):
        yield ()
        return
    with Path(path).open(encoding="utf-8") as file:
        yield file


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="statefun-worker state",
        description="Bring all that an application has out of a state folder, or into a new one.",
        epilog=_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    what = parser.add_subparsers(dest="what", required=True, metavar="export|import")
    out = what.add_parser(
        "export", help="write a checkpoint as lines of JSON or Parquet", allow_abbrev=False
    )
    add_state_dir(out)
    out.add_argument(
        "--checkpoint", type=int, metavar="EPOCH", help="which one (default: the last)"
    )
    out.add_argument(
        "--output", type=Path, metavar="FILE", help="where to write it (default: stdout)"
    )
    out.add_argument(
        "--format",
        choices=(JSON_LINES, PARQUET),
        help="lines of JSON, or one table in Parquet (default: what the name of the file says)",
    )
    into = what.add_parser(
        "import", help="begin an application with such lines", allow_abbrev=False
    )
    into.add_argument(
        "file",
        metavar="FILE",
        help="the lines, or FILE.parquet; a table as FILE.csv, FILE.parquet or lines of JSON; - reads stdin",
    )
    into.add_argument(
        "--function", metavar="NS/NAME", help="a table: the function type of its rows"
    )
    into.add_argument("--id", metavar="COLUMN", help="a table: the column of the ids")
    into.add_argument(
        "--value",
        action="append",
        default=[],
        metavar="STATE=COLUMN:TYPENAME",
        help="a table: a state, the column of its values, and their typename; may be repeated. A type of the SDKs is "
        "written as they do, of another one the text itself",
    )
    add_state_dir(into)
    add_checkpoints(into)
    add_settings(into)
    return parser
