"""`statefun-worker module check-migration`: what a move from Flink means for this application."""

import argparse
import json
from collections.abc import Sequence

from statefun_runtime.cli.status import FAILED, GOOD
from statefun_runtime.config.flink import read_config
from statefun_runtime.connectors.modules import load_module

_HELP = """\
Only the files are looked at. `savepoint import --dry-run` reads a savepoint of the running job, and
`validate --connect` tries endpoints and brokers: docs/migrate has all steps.

exit status:
  0  nothing stands against it
  1  something does, and is named
  2  a file has to be edited first

example:
  statefun-worker module check-migration /opt/flink/conf/flink-conf.yaml module.yaml
"""


def main(given: Sequence[str]) -> int:
    """Print what is carried, what differs and what stands against the move."""
    flags = _parser().parse_args(given)
    from statefun_runtime.app.moving.migration_check import (
        Verdict,
        check_migration,
        finding_lines,
    )

    module = load_module(*flags.modules).required()
    findings = list(check_migration(read_config(flags.config), module))
    if flags.format == "json":
        told = [
            {"verdict": one.verdict.name, "where": one.where, "what": one.what} for one in findings
        ]
        print(json.dumps(told, indent=2))
    else:
        print("\n".join(finding_lines(findings)))
    return FAILED if any(one.verdict is Verdict.STOPS for one in findings) else GOOD


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
    add("--format", choices=("text", "json"), default="text", help="how to say it")
    return parser
