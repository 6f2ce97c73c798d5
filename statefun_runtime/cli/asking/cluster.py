"""`statefun-worker cluster status|plan|drain`: who is in a cluster, and having a process leave it."""

import argparse
import json
from collections.abc import Iterator, Sequence
from typing import Any

from statefun_runtime.cli.flags import add_kafka
from statefun_runtime.cli.status import GOOD
from statefun_runtime.config.cluster import read_cluster
from statefun_runtime.core.printable import printable

_EPILOG = """\
examples:
  statefun-worker cluster status --cluster shop --kafka kafka:9092
  statefun-worker cluster plan --cluster shop --kafka kafka:9092 --format json
  statefun-worker cluster drain host-1a2b --cluster shop --kafka kafka:9092
"""


def main(given: Sequence[str]) -> int:
    """Ask the leader of a cluster; print what it says."""
    flags = _parser().parse_args(given)
    fields = {name: value for name, value in vars(flags).items() if name.startswith("kafka")}
    # Where its checkpoints are is its processes' affair.
    settings = read_cluster({**fields, "cluster": flags.cluster, "checkpoints": "theirs"})
    assert settings is not None
    from statefun_runtime.app.cluster.asking import ask_cluster

    arguments = {"process": flags.process} if flags.what == "drain" else {}
    answer = ask_cluster(settings, f"cluster-{flags.what}", arguments)
    if flags.format == "json":
        print(json.dumps(answer))
    else:
        print("\n".join(_LINES[flags.what](answer)))
    return GOOD


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="statefun-worker cluster",
        description="See who is in a cluster and has what, what would move, and have a process leave it.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="what", required=True, metavar="status|plan|drain")
    for name, text in (
        (
            "status",
            "who is there and leads, which worker is where, and how old the last checkpoint is",
        ),
        ("plan", "who owns which key groups, and how many would move if a process came or left"),
        ("drain", "have a process hand its work to the others, and end"),
    ):
        command = commands.add_parser(name, help=text, description=text)
        if name == "drain":
            command.add_argument("process", metavar="PROCESS", help="its name, as status shows it")
        command.add_argument("--cluster", required=True, metavar="NAME", help="which cluster")
        add_kafka(command, is_required=True)
        command.add_argument(
            "--format", choices=("text", "json"), default="text", help="for people, or JSON"
        )
    return parser


def _status_lines(answer: dict[str, Any]) -> Iterator[str]:
    for process in answer["processes"]:
        yield printable(_process_line(process))
    found = answer["checkpoints"]
    if found is None:
        yield "workers begin; nothing is lost meanwhile"
        return
    for worker in answer["workers"]:
        first, end = worker["key_groups"]
        yield printable(
            f"worker {worker['worker']:<4} key groups {first} to {end - 1}, process {worker['pid']} of "
            f"{worker['where']}, heard {worker['heard_s']:.1f} s ago"
        )
    epoch = f"epoch {found['epoch']} is complete" if found["epoch"] else "none is complete yet"
    yield f"checkpoints {epoch}; {found['completed']} in this life, {found['aborted']} failed, the last {found['age_s']:.1f} s ago"
    if found["trouble"]:
        yield printable(f"            they cannot be written: {found['trouble']}")
    yield f"restarts    {answer['restarts']}"


def _process_line(process: dict[str, Any]) -> str:
    slots = ", ".join(map(str, process["slots"]))
    what = f"worker {slots}" if slots else "stands by"
    notes = [
        "leads" if process["leads"] else "",
        "leaves" if process["is_leaving"] else "",
        process["stands_by"],
    ]
    return "; ".join(filter(None, [f"process     {process['process']}  {what}", *notes]))


def _plan_lines(answer: dict[str, Any]) -> Iterator[str]:
    for member in answer["members"]:
        first, end = member["key_groups"]
        home = ", and the ports of HTTP ingresses and egresses" if member["is_home"] else ""
        yield printable(
            f"worker {member['worker']:<4} {member['process']}  key groups {first} to {end - 1}{home}"
        )
    for move in answer["moves"]:
        yield printable(f"{move['what']}: {move['key_groups']} key groups would move")


def _drain_lines(answer: dict[str, Any]) -> Iterator[str]:
    yield printable(f"{answer['process']} leaves: what it has goes on elsewhere, and it ends")


_LINES = {"status": _status_lines, "plan": _plan_lines, "drain": _drain_lines}
