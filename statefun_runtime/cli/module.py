"""`statefun-worker module upgrade`: a module of any format, written in today's; and `module check-migration`."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from statefun_runtime.cli.status import BAD_CONFIG, GOOD


def main(given: Sequence[str]) -> int:
    """Print the upgraded module, or write it to a file, its problems to stderr; or check a move from Flink."""
    if given[:1] == ["check-migration"]:
        from statefun_runtime.cli.moving import check_migration

        return check_migration.main(given[1:])
    parser = _parser()
    flags = parser.parse_args(given)
    if Path(flags.file).is_dir():
        parser.error("FILE is a folder; name one module.yaml in it")
    from statefun_runtime.config.legacy.upgrade import upgrade_module, write_module
    from statefun_runtime.connectors.modules import all_kinds

    upgraded = upgrade_module(flags.file, all_kinds())
    for problem in upgraded.problems:
        print(f"{problem}\n", file=sys.stderr)
    if upgraded.text is None:
        return BAD_CONFIG
    if flags.in_place or flags.output:
        write_module(upgraded.text, Path(upgraded.file) if flags.in_place else flags.output)
    else:
        print(upgraded.text, end="")
    return GOOD


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="statefun-worker module",
        description="Write a module of any format in today's: the same application, comments kept.",
        epilog="`statefun-worker module check-migration --help` tells what a move from Flink means for an application.",
    )
    add = parser.add_argument
    add("what", choices=("upgrade",))
    add("file", metavar="FILE", help="a module.yaml: a path or a file: URL")
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--output", type=Path, metavar="FILE", help="where to write it (default: print it)"
    )
    where.add_argument("--in-place", action="store_true", help="write it over the old one")
    return parser
