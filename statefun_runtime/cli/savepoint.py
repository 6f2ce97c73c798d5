"""`statefun-worker savepoint`."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from statefun_runtime.cli.flags import add_state_dir
from statefun_runtime.cli.status import GOOD
from statefun_runtime.core.checkpoints.store_url import is_store_url


def main(given: Sequence[str]) -> int:
    """Ask the running worker for a savepoint and print its folder; or import one of Flink's."""
    if given[:1] == ["import"]:
        from statefun_runtime.cli.moving import savepoint_import

        return savepoint_import.main(given[1:])
    flags = _parser().parse_args(given)
    from statefun_runtime.adapters.admin.admin_socket import admin_socket, ask_worker

    arguments = {"folder": _absolute(flags.to)} if flags.to else {}
    answer = ask_worker(admin_socket(flags.state_dir), "savepoint", arguments)
    print(f"savepoint of epoch {answer['epoch']}: {answer['folder']}")
    return GOOD


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="statefun-worker savepoint",
        description="Have the worker that runs on a state folder write a savepoint: a checkpoint that is never deleted.",
        epilog="`statefun-worker savepoint import --help` tells how a savepoint of Flink is brought in.",
    )
    add_state_dir(parser)
    parser.add_argument(
        "--to",
        metavar="DIR",
        help="the savepoint's folder, or a URL in the bucket of --checkpoints (default: below the state folder or that)",
    )
    return parser


def _absolute(place: str) -> str:
    return place if is_store_url(place) else str(Path(place).absolute())
