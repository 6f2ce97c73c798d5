"""`statefun-worker --module FILE`: run an application."""

import argparse
import logging
import sys
from collections.abc import Sequence
from dataclasses import replace

from statefun_runtime.cli.flags import (
    add_checkpoints,
    add_kafka,
    add_settings,
    add_state_dir,
    bare_numbers,
    duration_s,
    remarks,
    settings_of,
)
from statefun_runtime.cli.hiding import hiding
from statefun_runtime.cli.logs import start_logging
from statefun_runtime.cli.status import FAILED, GOOD, status_of, statuses_help
from statefun_runtime.config.options import options_help
from statefun_runtime.config.settings import LOG_FORMATS, LOG_LEVELS, Settings
from statefun_runtime.connectors.modules import load_module
from statefun_runtime.errors import StatefunError
from statefun_runtime.ports.module import ModuleSpec

log = logging.getLogger("statefun.worker")

_HELP = """\
commands:
  statefun-worker --module FILE …                 run an application (all flags above)
  statefun-worker --shadow --module FILE …        run it beside the one that works, to see whether it says the same
  statefun-worker validate FILE…                  read and check the files of an application only
  statefun-worker module upgrade FILE             write a module of any format in today's
  statefun-worker module check-migration CONF FILE…   see what a move from Flink means
  statefun-worker checkpoints list|show|verify    see what is in a state folder
  statefun-worker cluster status|plan|drain       see who is in a cluster, and have a process leave it
  statefun-worker savepoint                       have a running worker write a savepoint
  statefun-worker savepoint import PATH           bring the state of an application on Flink here
  statefun-worker state export|import             all that an application has, as lines of JSON
  statefun-worker compare TOPIC TOPIC.shadow      see whether a shadow says the same
  statefun-worker status                          see what is stuck in a running worker, and why
  statefun-worker retry ADDRESS|ENDPOINT          have it tried at once
  statefun-worker parked list|release|skip        see, release or skip what a running worker has set aside
  statefun-worker dead-letters list|replay        see what was given up, and send it again
  statefun-worker explain SF1009                  say what an error means, and what to do
  statefun-worker --version                       which version this is

examples:
  statefun-worker --module module.yaml
  statefun-worker --module module.yaml --state-dir /var/lib/shop --metrics-port 9090
  statefun-worker --module functions.yaml --module io/ --set KAFKA=kafka:9092
  statefun-worker --module module.yaml --cluster shop --kafka kafka:9092 --checkpoints s3://bucket/shop
  statefun-worker --module modules/ --config /opt/flink/conf/flink-conf.yaml
  statefun-worker --module module.yaml --from-savepoint .statefun/savepoints/before-upgrade

A flag wins over --set, --set over --config, and each of them over the default.
`statefun-worker COMMAND --help` explains a command.

"""


def main(given: Sequence[str]) -> int:
    """Run a worker until it is told to stop."""
    flags = make_parser().parse_args(given)
    bare = bare_numbers(flags)
    settings = settings_of(flags)
    loaded = load_module(*settings.modules, strict=settings.strict, variables=settings.variables)
    module = loaded.required()
    with hiding(loaded.secrets):
        start_logging(settings.log_level, settings.log_format)
        for line in (*bare, *remarks(settings, loaded.variables_used)):
            log.warning("%s", line)
        for problem in loaded.problems:
            if settings.log_format == "json":
                log.warning("%s", problem)
            else:
                print(f"{problem}\n", file=sys.stderr)
        return _run(replace(settings, modules=loaded.files), module)


def _run(settings: Settings, module: ModuleSpec) -> int:
    # The engine and its libraries are not needed to say what is wrong with a file.
    from statefun_runtime.app import run_application

    try:
        run_application(settings, module)
    except Exception as error:
        # Whoever collects objects shall not have to read other lines.
        if settings.log_format != "json":
            raise
        if isinstance(error, StatefunError):
            log.critical("%s", error)
            return status_of(error)
        log.critical("a bug ended the worker", exc_info=error)
        return FAILED
    return GOOD


def make_parser() -> argparse.ArgumentParser:
    """Return the flags of the command."""
    parser = argparse.ArgumentParser(
        prog="statefun-worker",
        description="Run a StateFun application: functions, ingresses and egresses of a module.yaml.",
        epilog=f"{_HELP}{options_help()}\n\n{statuses_help()}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
        # Only what is given is set: what is not may stand in --set or --config.
        argument_default=argparse.SUPPRESS,
    )
    _add_application(parser.add_argument_group("what runs"))
    state = parser.add_argument_group("state and checkpoints")
    _add_checkpoints(state)
    _add_beginning(state)
    _add_process(parser.add_argument_group("the process"))
    _add_cluster(parser.add_argument_group("a cluster of processes on any machines"))
    return parser


def _add_application(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add(
        "--module",
        dest="modules",
        action="append",
        metavar="FILE",
        help="module.yaml, a path or a file: URL, or a folder: its module.yaml and those of the folders in it; "
        "may be repeated, all files make one application",
    )
    add("--strict", action="store_true", help="treat warnings about the module as errors")
    add(
        "--shadow",
        action="store_true",
        help="run beside the application that this module is of: with its own consumer groups and state (default: "
        ".statefun-shadow), and nothing is sent to its topics",
    )
    add(
        "--egress-suffix",
        metavar="SUFFIX",
        help="a shadow sends records to topics with this behind their names, such as .shadow (default: they are only "
        "counted)",
    )
    add(
        "--local-kafka",
        type=int,
        metavar="PORT",
        help="for development: Kafka is topics in memory, which end with the worker; records are put and taken at this port",
    )
    add_settings(group)


def _add_checkpoints(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add_state_dir(group, default=argparse.SUPPRESS)
    add_checkpoints(group)
    add(
        "--partitions",
        type=int,
        metavar="N",
        help="how many ranges of key groups this worker owns (default: 8)",
    )
    add(
        "--checkpoint-interval",
        dest="checkpoint_interval_s",
        type=duration_s("--checkpoint-interval", bare_unit="ms"),
        metavar="DURATION",
        help="time between checkpoints, such as 100ms or 10s (default: 1s)",
    )
    add(
        "--checkpoints-kept",
        type=int,
        metavar="N",
        help="how many complete checkpoints are kept (default: 3)",
    )


def _add_beginning(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add(
        "--application",
        metavar="NAME",
        help="what this application is called; the state of one with another name is refused",
    )
    add(
        "--require-state",
        action="store_true",
        help="refuse to start where there is no state, as in a folder that is not mounted",
    )
    add(
        "--from-savepoint",
        metavar="DIR",
        help="begin a new lineage at a savepoint, of which this is the folder or URL; named again, the same one "
        "continues it",
    )
    add(
        "--from-checkpoint",
        type=int,
        metavar="EPOCH",
        help="begin a new lineage at an older checkpoint, when the newest is damaged",
    )
    add(
        "--abandon-egress",
        dest="abandoned_egresses",
        action="append",
        metavar="ID",
        help="drop the unpublished records of an egress that is not in the module any more; may be repeated",
    )
    add(
        "--republish-egress",
        dest="republished_egresses",
        action="append",
        metavar="ID",
        help="publish what is unconfirmed of an egress, though its progress topic or its cluster is not what it was; "
        "may be repeated",
    )
    add(
        "--restart-topic",
        dest="restarted_topics",
        action="append",
        metavar="TOPIC",
        help="where a position that the checkpoint has of this Kafka topic or Kinesis stream is lost, go on at the first "
        "record, or with TOPIC=latest behind the last; positions that are not lost stay; may be repeated",
    )
    add(
        "--savepoint-outbox",
        choices=("publish", "drop"),
        help="what becomes of unpublished records in a savepoint of another application",
    )


def _add_process(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add(
        "--workers",
        type=int,
        metavar="N",
        help="how many processes share the work, each a core (default: 1); it may differ at every start",
    )
    add("--host", help="what the worker's own ports listen on (default: 127.0.0.1)")
    add(
        "--metrics-port",
        type=int,
        metavar="PORT",
        help="serve /metrics, /livez and /readyz (default: not at all; 0: any free port)",
    )
    add("--log-level", choices=LOG_LEVELS, help="how much to say (default: info)")
    add(
        "--log-format",
        choices=LOG_FORMATS,
        help="lines for people, or an object a line (default: text)",
    )
    add(
        "--stop-timeout",
        dest="stop_timeout_s",
        type=duration_s("--stop-timeout", bare_unit="s"),
        metavar="DURATION",
        help="how long a clean stop may wait for replies and egresses, such as 500ms or 1min (default: 30s)",
    )


def _add_cluster(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--cluster",
        metavar="NAME",
        help="this process is one of those that run the application together; all name the same module, brokers and "
        "--checkpoints, and each has a state folder of its own, for passing files",
    )
    add_kafka(group)
