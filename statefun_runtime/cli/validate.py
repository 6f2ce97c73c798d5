"""`statefun-worker validate FILE…`: what is wrong with an application, without running it."""

import argparse
from collections.abc import Sequence

from statefun_runtime.cli.flags import add_settings, remarks, settings_of
from statefun_runtime.cli.status import BAD_CONFIG, GOOD
from statefun_runtime.config.module import load_module
from statefun_runtime.config.reports import FORMATS, Report, report_lines

_HELP = """\
exit status:
  0  the application can run; there may be warnings
  2  a file or flag has to be edited

examples:
  statefun-worker validate module.yaml
  statefun-worker validate modules/ --set KAFKA=kafka:9092 --strict
  statefun-worker validate module.yaml --format github
"""


def main(given: Sequence[str]) -> int:
    """Print every problem of an application, or what is in it."""
    flags = make_parser().parse_args(given)
    form = flags.format
    del flags.format
    settings = settings_of(flags)
    loaded = load_module(*settings.modules, strict=settings.strict, variables=settings.variables)
    report = Report(loaded, remarks(settings, loaded.variables_used))
    for line in report_lines(report, form):
        print(line)
    return BAD_CONFIG if loaded.spec is None else GOOD


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
    return parser
