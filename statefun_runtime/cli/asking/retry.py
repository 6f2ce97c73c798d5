"""`statefun-worker retry ADDRESS|ENDPOINT`: what waits for its next attempt is tried at once."""

import argparse
from collections.abc import Sequence

from statefun_runtime.cli.flags import add_state_dir
from statefun_runtime.cli.status import GOOD

_HELP = """\
examples:
  statefun-worker retry shop.fns/order/1234                 an address that fails, or is parked
  statefun-worker retry http://shop:8000/statefun           an endpoint that is down, and its addresses that make a pause
  statefun-worker retry shop.fns/order                      the endpoint of a function type
"""


def main(given: Sequence[str]) -> int:
    """Ask the running worker; print what it does."""
    flags = _parser().parse_args(given)
    from statefun_runtime.adapters.admin.admin_socket import admin_socket, ask_worker

    answer = ask_worker(admin_socket(flags.state_dir), "retry", {"what": flags.what})
    told = []
    if answer["probes"]:
        told.append("the endpoint is asked now")
    if answer["addresses"]:
        count = answer["addresses"]
        told.append("1 address is tried now" if count == 1 else f"{count} addresses are tried now")
    print(", ".join(told) or "nothing makes a pause: what fails is being tried right now")
    return GOOD


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="statefun-worker retry",
        description="Have a running worker try at once what it would try later.",
        epilog=_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "what", metavar="ADDRESS|ENDPOINT", help="namespace/name/id, a URL, or namespace/name"
    )
    add_state_dir(parser)
    return parser
