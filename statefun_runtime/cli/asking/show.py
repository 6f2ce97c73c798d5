"""`statefun-worker status`: what is stuck in a running worker, since when, why, and what happens next."""

import argparse
import json
from collections.abc import Iterator, Sequence
from typing import Any

from statefun_runtime.cli.flags import add_state_dir
from statefun_runtime.cli.status import GOOD
from statefun_runtime.core.printable import ID_MAX, printable

_INDENT = " " * 13


def main(given: Sequence[str]) -> int:
    """Ask the running worker; print what it says."""
    flags = _parser().parse_args(given)
    from statefun_runtime.adapters.admin.admin_socket import admin_socket, ask_worker

    answer = ask_worker(admin_socket(flags.state_dir), "status", {"limit": flags.limit})
    if flags.json:
        print(json.dumps(answer))
    else:
        print("\n".join(status_lines(answer)))
    return GOOD


def status_lines(answer: dict[str, Any]) -> Iterator[str]:
    """Return a worker's status for people."""
    yield _line("worker", "; ".join(answer["not_ready"]) or "ready")
    for wait in answer.get("waits", ()):
        yield _line("waits", wait)
    if answer.get("shadow"):
        yield _line("SHADOW", f"of an application that works elsewhere: {answer['shadow']}")
    yield _line("checkpoints", _checkpoints(answer["checkpoints"]))
    if answer["held_back"]:
        yield _line("held back", answer["held_back"])
    for ingress in answer["ingresses"]:
        yield _line("ingress", _numbers(ingress))
    for function in answer["functions"]:
        yield from _function_lines(function)
    if not answer["functions"]:
        yield _line("functions", "none was called yet")
    yield from _address_lines("failing", answer["failing"]["addresses"], answer["failing"]["total"])
    yield from _address_lines("parked", answer["parked"]["parked"], answer["parked"]["total"])
    for egress in answer["egresses"]:
        yield _line("egress", _numbers(egress))


def _line(what: str, text: str) -> str:
    return f"{what:12} {printable(text)}"


def _checkpoints(found: dict[str, Any]) -> str:
    epoch = f"epoch {found['epoch']} is complete" if found["epoch"] else "none is complete yet"
    text = f"{epoch}; {found['aborted']} failed"
    if found["age_s"] > 1:
        text += f"; what was done in the last {found['age_s']:.0f} s is in none"
    return f"{text}; they cannot be written: {found['trouble']}" if found["trouble"] else text


def _numbers(one: dict[str, Any]) -> str:
    numbers = (f"{name.replace('_', ' ')} {value:.15g}" for name, value in one["numbers"].items())
    return f"{one['id']}  {', '.join(numbers)}"


def _function_lines(one: dict[str, Any]) -> Iterator[str]:
    work = f"{one['waiting']} messages wait, {one['in_flight']} requests are out"
    if one["state"] == "closed":
        yield _line("function", f"{one['function']}  {one['endpoint']}  {work}")
        return
    probe = one["next_probe_s"]
    then = "it is being asked now" if probe is None else f"it is asked again in {probe:.1f} s"
    yield _line("function", f"{one['function']}  {one['endpoint']}  DOWN for {one['down_s']:.0f} s")
    yield f"{_INDENT}{printable(one['error'])}"
    yield f"{_INDENT}{then}; {work}"


def _address_lines(what: str, addresses: list[dict[str, Any]], total: int) -> Iterator[str]:
    yield _line(what, "1 address" if total == 1 else f"{total} addresses")
    for one in addresses:
        since_s = one["failing_s"] if what == "failing" else one["parked_s"]
        then = f"next try in {one['next_try_s']:.1f} s" if one["next_try_s"] else _doing(one)
        yield f"{_INDENT}{one['function']}/{printable(one['id'], ID_MAX)}"
        yield (
            f"{_INDENT}    for {since_s:.0f} s, {one['attempts']} attempts, {then}, "
            f"{one['waiting']} invocations wait"
        )
        yield f"{_INDENT}    {printable(one['error'])}"
    if total > len(addresses):
        yield f"{_INDENT}… and {total - len(addresses)} more; --limit shows more of them"


def _doing(one: dict[str, Any]) -> str:
    return str(one.get("doing") or "is being tried now")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="statefun-worker status",
        description="See what is stuck in the worker that runs on a state folder, since when, why, and what happens next.",
    )
    add = parser.add_argument
    add(
        "--limit",
        type=int,
        default=20,
        metavar="N",
        help="addresses to show of each sort (default: 20)",
    )
    add("--json", action="store_true", help="print the answer as JSON")
    add_state_dir(parser)
    return parser
