"""`statefun-worker savepoint import PATH`: an application moves here from Flink, with all it has."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from statefun_runtime.cli.flags import add_checkpoints, add_settings, add_state_dir, settings_of
from statefun_runtime.cli.status import GOOD
from statefun_runtime.connectors.modules import load_module
from statefun_runtime.core.model.address import TypeName
from statefun_runtime.errors import ConfigError

_HELP = """\
What is brought: state values with their last access, the messages in flight, queued and in the feedback loop, delayed
messages with due times and cancellation tokens, and how far each topic partition was read. Output that Kafka still
holds in transactions of the old job is committed with --egress commit.

PATH is the folder with the file _metadata: a savepoint in canonical or native format, or the chk-N folder of a
retained checkpoint beside its folders shared and taskowned. It is only read.

exit status:
  0  it is imported, or with --dry-run could be
  2  something has to be decided or edited first; nothing was written
  1  the savepoint is damaged, or the folder cannot be written; nothing was written

examples:
  statefun-worker savepoint import /savepoints/savepoint-0b2ec0-c6517 --module module.yaml --dry-run
  statefun-worker savepoint import /savepoints/savepoint-0b2ec0-c6517 --module module.yaml --state-dir /var/lib/shop --egress commit
  statefun-worker savepoint import chk-42 --module module.yaml --state-dir new --egress leave --function com.acme.shop/cart
  statefun-worker savepoint import chk-42 --module module.yaml --state-dir new --egress leave --without demo/old
"""


def main(given: Sequence[str]) -> int:
    """Import a savepoint, or say what would be; print the report."""
    flags = _parser().parse_args(given)
    path, form, is_dry_run = flags.path, flags.format, flags.dry_run
    without, accepts_damage = tuple(flags.without), flags.accept_damage
    functions = tuple(_function_type(name) for name in flags.function)
    _ = [_function_type(name) for name in without if ":" not in name]
    egress, egress_only = flags.egress, flags.egress_only
    if egress_only:
        egress = "commit"
    for name in (
        "egress",
        "egress_only",
        "path",
        "format",
        "dry_run",
        "without",
        "accept_damage",
        "function",
    ):
        delattr(flags, name)
    settings = settings_of(flags)
    module = load_module(*settings.modules, variables=settings.variables).required()
    from statefun_runtime.app.moving.savepoint_import import ImportRequest, import_savepoint
    from statefun_runtime.connectors.flink.importing.report import report_lines

    told = _tell if sys.stderr.isatty() else _tell_nobody
    request = ImportRequest(
        path, functions, without, accepts_damage, is_dry_run, egress, egress_only, told
    )
    try:
        report = import_savepoint(request, module, settings)
    finally:
        if told is _tell:
            print(end="\r\033[K", file=sys.stderr)
    if form == "json":
        print(json.dumps(report.to_json(), indent=2))
    else:
        print("\n".join(report_lines(report, str(settings.state_dir))))
    return GOOD


def _tell(rows: int) -> None:
    print(f"\r{rows:,} rows read", end="", file=sys.stderr, flush=True)


def _tell_nobody(_: int) -> None:
    pass


def _function_type(text: str) -> TypeName:
    try:
        return TypeName.parse(text)
    except ValueError as error:
        raise ConfigError(
            f"{error}", code="SF1126", hint="a function type is written as namespace/name"
        ) from None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="statefun-worker savepoint import",
        description="Bring the state of a StateFun application that ran on Flink into a new state folder: all of it, or "
        "nothing.",
        epilog=_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("path", type=Path, metavar="PATH", help="the folder of the savepoint")
    add(
        "--module",
        dest="modules",
        action="append",
        required=True,
        metavar="FILE",
        help="a module.yaml of the application: a path, a file: URL, or a folder of modules; may be repeated",
    )
    add_state_dir(parser)
    add_checkpoints(parser)
    add_settings(parser)
    add("--dry-run", action="store_true", help="read and check all of it, and write nothing")
    add("--format", choices=("text", "json"), default="text", help="how to print the report")
    add(
        "--function",
        action="append",
        default=[],
        metavar="NS/NAME",
        help="a function type whose name cannot be told apart without help; may be repeated",
    )
    add(
        "--without",
        action="append",
        default=[],
        metavar="NAME",
        help="leave something out: a function type NS/NAME, or a name from the list of what cannot be carried; "
        "may be repeated",
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--egress",
        choices=("commit", "leave"),
        help="what becomes of output that the old job left in open transactions: commit it when the import is done, or "
        "leave it to somebody else; with --dry-run and commit the brokers are asked for their state",
    )
    what.add_argument(
        "--egress-only",
        action="store_true",
        help="commit it, and do nothing else: after an import whose broker was away",
    )
    add(
        "--accept-damage",
        action="store_true",
        help="go on without what damage has made unreadable; the report lists it",
    )
    return parser
