"""`statefun-worker state export|import`: everything that an application has, out of a state folder and into one."""

import argparse
import asyncio
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

from statefun_runtime.cli.flags import add_settings, add_state_dir, settings_of
from statefun_runtime.cli.status import GOOD
from statefun_runtime.core.model.address import TypeName
from statefun_runtime.errors import ConfigError

if TYPE_CHECKING:
    from statefun_runtime.app.moving.tables import Mapped

_HELP = """\
An export has state values, messages that wait, delayed messages, positions, idempotency keys, parked addresses and HTTP
results, one JSON object a line: docs/reference/state-files.md. It is of a complete checkpoint; a worker may be running.
The same state makes the same file. An import makes the first checkpoint of a new state folder: all of it, or nothing.

examples:
  statefun-worker state export --state-dir /var/lib/shop --output shop.jsonl
  statefun-worker state export --state-dir /var/lib/shop | zstd >shop.jsonl.zst
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
    from statefun_runtime.core.checkpoints.portable import Line

    view = StateFolderView(flags.state_dir)
    encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
    with _output(flags.output) as file:

        def write(line: Line) -> None:
            file.write(encode(line) + "\n")

        asyncio.run(export_state(view, flags.checkpoint, write))
    return GOOD


@contextmanager
def _output(path: Path | None) -> Iterator[IO[str]]:
    """Open what an export is written to; a file is there when all of it is."""
    if path is None:
        yield sys.stdout
        return
    writing = path.with_name(f"{path.name}.part")
    try:
        with writing.open("w", encoding="utf-8", newline="\n") as file:
            yield file
        writing.rename(path)
    finally:
        writing.unlink(missing_ok=True)


def _import(flags: argparse.Namespace) -> int:
    from statefun_runtime.app.moving.state_import import import_state
    from statefun_runtime.app.moving.tables import table_lines

    path, mapped = flags.file, _mapped(flags)
    for name in ("what", "file", "function", "id", "value"):
        delattr(flags, name)
    # What a worker cannot do without, and an import can.
    flags.modules = ["-"]
    settings = settings_of(flags)
    with _input(path) as lines:
        told = lines if mapped is None else table_lines(path, lines, mapped)
        brought = import_state(path, told, settings)
    counts = (
        ", ".join(f"{count} {kind}" for kind, count in sorted(brought.counts.items())) or "nothing"
    )
    print(f"imported into {settings.state_dir}: {counts}")
    return GOOD


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
def _input(path: str) -> Iterator[IO[str]]:
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
    out = what.add_parser("export", help="write a checkpoint as lines of JSON", allow_abbrev=False)
    add_state_dir(out)
    out.add_argument(
        "--checkpoint", type=int, metavar="EPOCH", help="which one (default: the last)"
    )
    out.add_argument(
        "--output", type=Path, metavar="FILE", help="where to write it (default: stdout)"
    )
    into = what.add_parser(
        "import", help="begin an application with such lines", allow_abbrev=False
    )
    into.add_argument(
        "file",
        metavar="FILE",
        help="the lines, or a table as FILE.csv or lines of JSON; - reads stdin",
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
    add_settings(into)
    return parser
