"""`statefun-worker checkpoints`."""

import argparse
import asyncio
from collections.abc import Sequence

from statefun_runtime.cli.flags import add_state_dir
from statefun_runtime.cli.status import FAILED, GOOD


def main(given: Sequence[str]) -> int:
    """Print what is in a state folder."""
    return asyncio.run(_print(_parser().parse_args(given)))


async def _print(flags: argparse.Namespace) -> int:
    from statefun_runtime.app.inspect import StateFolderView, list_lines, show_lines, verify_lines

    view = StateFolderView(flags.state_dir)
    if flags.what == "verify":
        verdicts = [verdict async for verdict in verify_lines(view)]
        print("\n".join(line for _, line in verdicts))
        return GOOD if all(is_good for is_good, _ in verdicts) else FAILED
    is_list = flags.what == "list"
    lines = list_lines(view) if is_list else show_lines(view, await view.one(flags.epoch))
    async for line in lines:
        print(line)
    return GOOD


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="statefun-worker checkpoints",
        description="See what is in a state folder; nothing is changed, and a worker may be running.",
    )
    parser.add_argument("what", choices=("list", "show", "verify"))
    parser.add_argument(
        "epoch", nargs="?", type=int, help="for show: which one (default: the last)"
    )
    add_state_dir(parser)
    return parser
