"""`statefun-worker parked list|release|skip`: addresses that a running worker has set aside."""

import argparse
import json
from collections.abc import Sequence
from typing import Any

from statefun_runtime.cli.flags import add_state_dir
from statefun_runtime.cli.status import FAILED, GOOD
from statefun_runtime.core.printable import ID_MAX, printable

_HELP = """\
An address is parked when one invocation of it fails again and again while others go well. What came after that
invocation waits, in order; other addresses go on. It is tried again by itself, at most five minutes apart.

examples:
  statefun-worker parked list
  statefun-worker parked release shop.fns/order/1234       try it now
  statefun-worker parked skip shop.fns/order/1234          give the invocation up that fails; the others go on
  statefun-worker parked release --function shop.fns/order
"""


def main(given: Sequence[str]) -> int:
    """Ask the running worker; print what it says."""
    parser = _parser()
    flags = parser.parse_args(given)
    selects = [flags.address, flags.function, flags.all]
    if flags.what != "list" and sum(map(bool, selects)) != 1:
        parser.error("say which: an ADDRESS, --function TYPE or --all")
    from statefun_runtime.adapters.admin.admin_socket import admin_socket, ask_worker

    arguments: dict[str, Any] = {"address": flags.address, "function": flags.function}
    if flags.what == "list":
        arguments["limit"] = flags.limit
    answer = ask_worker(admin_socket(flags.state_dir), f"parked-{flags.what}", arguments)
    if flags.json:
        print(json.dumps(answer))
        return GOOD
    if flags.what == "list":
        _print_list(answer)
    elif flags.what == "release":
        print(f"{answer['released']} released")
    else:
        return _print_skipped(answer)
    return GOOD


def _print_list(answer: dict[str, Any]) -> None:
    for one in answer["parked"]:
        when = f"next try in {one['next_try_s']:.0f} s" if one["next_try_s"] else "being tried now"
        print(f"{one['function']}/{printable(one['id'], ID_MAX)}")
        print(f"    parked for {one['parked_s']:.0f} s, {one['attempts']} attempts, {when}")
        print(f"    {printable(one['error'])}")
        print(f"    {one['waiting']} invocations wait; endpoint {one['endpoint']}")
    left_out = answer["total"] - len(answer["parked"])
    if left_out:
        print(f"… and {left_out} more; --limit shows more of them")
    if not answer["total"]:
        print("nothing is parked")


def _print_skipped(answer: dict[str, Any]) -> int:
    print(f"{answer['skipped']} skipped")
    if answer["under_way"]:
        print(
            f"{answer['under_way']} have been answered just now, and are skipped if that cannot be applied"
        )
    for refused in answer["refused"]:
        print(f"not skipped: {refused}")
    return FAILED if answer["refused"] else GOOD


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="statefun-worker parked",
        description="See addresses that the worker has set aside, try them again, or skip what they fail at.",
        epilog=_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("what", choices=("list", "release", "skip"))
    add("address", nargs="?", metavar="ADDRESS", help="one address: namespace/name/id")
    add("--function", metavar="TYPE", help="all of a function type: namespace/name")
    add("--all", action="store_true", help="all that are parked")
    add("--limit", type=int, default=20, metavar="N", help="how many to show in full (default: 20)")
    add("--json", action="store_true", help="print the answer as JSON")
    add_state_dir(parser)
    return parser
