"""`statefun-worker validate FILE…`: what is wrong with an application, without running it."""

import argparse
import logging
from collections.abc import Sequence

from statefun_runtime.cli.flags import add_settings, bare_numbers, duration_s, remarks, settings_of
from statefun_runtime.cli.hiding import hiding
from statefun_runtime.cli.status import BAD_CONFIG, FAILED, GOOD
from statefun_runtime.config.module.reports import FORMATS, Report, report_lines
from statefun_runtime.connectors.modules import load_module
from statefun_runtime.core.module.checks import Check
from statefun_runtime.ports.module import ModuleSpec

_CONNECT_TIMEOUT_S = 10.0

_HELP = """\
exit status:
  0  the application can run; there may be warnings
  1  with --connect: something that it needs cannot be reached, or is not as it should be
  2  a file or flag has to be edited; nothing outside was tried then

examples:
  statefun-worker validate module.yaml
  statefun-worker validate modules/ --set KAFKA=kafka:9092 --strict
  statefun-worker validate module.yaml --format github
  statefun-worker validate module.yaml --connect --connect-timeout 30s
"""


def main(given: Sequence[str]) -> int:
    """Print every problem of an application, or what is in it."""
    flags = make_parser().parse_args(given)
    bare = bare_numbers(flags)
    form, is_connecting, timeout_s = flags.format, flags.connect, flags.connect_timeout
    del flags.format, flags.connect, flags.connect_timeout
    settings = settings_of(flags)
    loaded = load_module(*settings.modules, strict=settings.strict, variables=settings.variables)
    checks = None
    if is_connecting and loaded.spec is not None:
        checks = _connect(loaded.spec, timeout_s)
    report = Report(loaded, [*bare, *remarks(settings, loaded.variables_used)], checks)
    with hiding(loaded.secrets):
        for line in report_lines(report, form):
            print(line)
    return _status(report)


def _connect(spec: ModuleSpec, timeout_s: float) -> list[Check]:
    # What libraries say about a failure is said better by the check.
    logging.disable()
    import asyncio

    from statefun_runtime.app.checks import check_connections

    return asyncio.run(check_connections(spec, timeout_s=timeout_s))


def _status(report: Report) -> int:
    if report.loaded.spec is None:
        return BAD_CONFIG
    return GOOD if all(check.is_good for check in report.checks or ()) else FAILED


def make_parser() -> argparse.ArgumentParser:
    """Return the flags of the command."""
    parser = argparse.ArgumentParser(
        prog="statefun-worker validate",
        description="Read and check the files of one application together, without running anything.",
        epilog=_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add(
        "modules",
        nargs="*",
        metavar="FILE",
        help="a module.yaml: a path, a file: URL, or a folder of modules",
    )
    add_settings(parser)
    add("--strict", action="store_true", help="treat warnings as errors")
    add(
        "--format",
        choices=FORMATS,
        default="text",
        help="how to say it: text for people, json for programs, github for annotations in a workflow",
    )
    add(
        "--connect",
        action="store_true",
        help="also try what the module needs: endpoints (a connection, with TLS; nothing is asked), certificates, "
        "Kafka clusters and topics",
    )
    add(
        "--connect-timeout",
        type=duration_s("--connect-timeout", bare_unit="ms"),
        default=_CONNECT_TIMEOUT_S,
        metavar="DURATION",
        help="how long each of these may take (default: 10s)",
    )
    return parser
