"""`statefun-worker state export|import`: everything that an application has, out of a state folder and into one."""

import argparse
import asyncio
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from statefun_runtime.cli.flags import add_settings, add_state_dir, settings_of
from statefun_runtime.cli.status import GOOD
from statefun_runtime.errors import ConfigError

_HELP = """\
An export has state values, messages that wait, delayed messages, positions, idempotency keys, parked addresses and HTTP
results, one JSON object a line: docs/reference/state-files.md. It is of a complete checkpoint; a worker may be running.
The same state makes the same file. An import makes the first checkpoint of a new state folder: all of it, or nothing.

examples:
  statefun-worker state export --state-dir /var/lib/shop --output shop.jsonl
  statefun-worker state export --state-dir /var/lib/shop | zstd >shop.jsonl.zst
  statefun-worker state import shop.jsonl --state-dir new
  zcat seed.jsonl.gz | statefun-worker state import - --state-dir new
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
    with _output(flags.output) as file:

        def write(line: Line) -> None:
            file.write(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n")

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

    path = flags.file
    for name in ("what", "file"):
        delattr(flags, name)
    # What a worker cannot do without, and an import can.
    flags.modules = ["-"]
    settings = settings_of(flags)
    with _input(path) as lines:
        brought = import_state(path, lines, settings)
    told = (
        ", ".join(f"{count} {kind}" for kind, count in sorted(brought.counts.items())) or "nothing"
    )
    print(f"imported into {settings.state_dir}: {told}")
    return GOOD


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
    into.add_argument("file", metavar="FILE", help="the lines; - reads stdin")
    add_state_dir(into)
    add_settings(into)
    return parser
