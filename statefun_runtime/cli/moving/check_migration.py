"""`statefun-worker module check-migration`: what a move from Flink means for this application."""

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from math import isfinite
from pathlib import Path

from statefun_runtime.cli.status import FAILED, GOOD
from statefun_runtime.config.flink import read_config
from statefun_runtime.config.flink_metrics import read_load
from statefun_runtime.connectors.modules import load_module
from statefun_runtime.core.moving.sizing import Load

_NUMBERS = {
    "messages_per_s": ("--messages-per-second", "messages to functions a second, at peak"),
    "active": ("--active-addresses", "how many addresses have work within a second"),
    "addresses": ("--addresses", "how many addresses have state"),
    "state_bytes": ("--state-bytes", "bytes of a full checkpoint"),
    "delayed": ("--delayed-messages", "how many delayed messages wait"),
}
_HELP = """\
Only the files are looked at. `savepoint import --dry-run` reads a savepoint of the running job, and
`validate --connect` tries endpoints and brokers: docs/migrate has all steps.

exit status:
  0  nothing stands against it
  1  something does, and is named
  2  a file has to be edited first

example:
  statefun-worker module check-migration /opt/flink/conf/flink-conf.yaml module.yaml
  statefun-worker module check-migration /opt/flink/conf module.yaml --metrics taskmanager.txt --metrics jobmanager.txt \\
      --addresses 2000000
"""


def main(given: Sequence[str]) -> int:
    """Print what is carried, what differs and what stands against the move."""
    flags = _parser().parse_args(given)
    from statefun_runtime.app.moving.migration_check import (
        Verdict,
        check_migration,
        finding_lines,
        size_findings,
    )

    module = load_module(*flags.modules).required()
    findings = list(check_migration(read_config(flags.config), module))
    findings += size_findings(_load(flags))
    if flags.format == "json":
        told = [
            {"verdict": one.verdict.name, "where": one.where, "what": one.what} for one in findings
        ]
        print(json.dumps(told, indent=2))
    else:
        print("\n".join(finding_lines(findings)))
    return FAILED if any(one.verdict is Verdict.STOPS for one in findings) else GOOD


def _load(flags: argparse.Namespace) -> Load:
    """Return what pages of metrics say, and the numbers that are given instead."""
    load = read_load(flags.metrics) if flags.metrics else Load()
    given = {field: number for field in _NUMBERS if (number := getattr(flags, field)) is not None}
    return replace(load, **given)


def _number(text: str) -> float:
    number = float(text)
    if not (isfinite(number) and number >= 0):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of things")
    return number


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="statefun-worker module check-migration",
        description="Say what of an application on Flink is carried here, what is not, and what will be different.",
        epilog=_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("config", metavar="FLINK_CONF", help="flink-conf.yaml or config.yaml, or the folder conf")
    add(
        "modules",
        nargs="+",
        metavar="MODULE",
        help="the module files of the application, or folders of them",
    )
    add(
        "--metrics",
        action="append",
        default=[],
        type=Path,
        metavar="FILE",
        help="a page of Flink's Prometheus reporter, of a TaskManager or the JobManager: says how large the worker has "
        "to be; may be repeated",
    )
    for field, (flag, doc) in _NUMBERS.items():
        add(flag, dest=field, type=_number, metavar="N", help=doc)
    add("--format", choices=("text", "json"), default="text", help="how to say it")
    return parser
