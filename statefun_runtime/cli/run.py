"""`statefun-worker --module FILE`: run an application."""

import argparse
import logging
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from statefun_runtime.cli.flags import add_state_dir, duration_s
from statefun_runtime.cli.status import GOOD
from statefun_runtime.config.module import load_module
from statefun_runtime.config.options import options_help
from statefun_runtime.config.settings import LOG_LEVELS, Settings, read_settings

_HELP = """\
commands:
  statefun-worker --module FILE …                 run an application (all flags below)
  statefun-worker validate FILE…                  read and check the files of an application only
  statefun-worker module upgrade FILE             write a module of any format in today's
  statefun-worker checkpoints list|show|verify    see what is in a state folder
  statefun-worker savepoint                       have a running worker write a savepoint
  statefun-worker parked list|release|skip        see and settle what a running worker has set aside
  statefun-worker dead-letters list|replay        see what was given up, and send it again

examples:
  statefun-worker --module module.yaml
  statefun-worker --module module.yaml --state-dir /var/lib/shop --metrics-port 9090
  statefun-worker --module module.yaml --from-savepoint .statefun/savepoints/before-upgrade

"""


def main(given: Sequence[str]) -> int:
    """Run a worker until it is told to stop."""
    flags = _parser().parse_args(given)
    settings = read_settings(
        Settings(
            modules=tuple(flags.module),
            state_dir=flags.state_dir,
            partitions=flags.partitions,
            host=flags.host,
            metrics_port=flags.metrics_port,
            log_level=flags.log_level,
            stop_timeout_s=flags.stop_timeout,
            strict=flags.strict,
            checkpoint_interval_s=flags.checkpoint_interval,
            checkpoints_kept=flags.checkpoints_kept,
            from_savepoint=flags.from_savepoint,
            from_checkpoint=flags.from_checkpoint,
            savepoint_outbox=flags.savepoint_outbox,
        ),
        flags.set,
    )
    _start_logging(settings.log_level)
    for option in settings.ignored:
        logging.getLogger("statefun.worker").warning(
            "--set %s has no effect: %s", option.key, option.reason
        )
    loaded = load_module(*settings.modules, strict=settings.strict)
    module = loaded.required()
    for problem in loaded.problems:
        print(f"{problem}\n", file=sys.stderr)
    # The engine and its libraries are not needed to say what is wrong with a file.
    from statefun_runtime.app import run_application

    run_application(replace(settings, modules=loaded.files), module)
    return GOOD


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="statefun-worker",
        description="Run a StateFun application: functions, ingresses and egresses of a module.yaml.",
        epilog=_HELP + options_help(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add(
        "--module",
        action="append",
        required=True,
        metavar="FILE",
        help="module.yaml, a path or a file: URL, or a folder: its module.yaml and those of the folders in it; "
        "may be repeated, all files make one application",
    )
    add_state_dir(parser)
    add(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="set an option, see below; may be repeated",
    )
    add("--partitions", type=int, default=8, metavar="N", help="how many partitions (default: 8)")
    add(
        "--host",
        default="127.0.0.1",
        help="what the worker's own ports listen on (default: 127.0.0.1)",
    )
    add(
        "--metrics-port",
        type=int,
        metavar="PORT",
        help="serve /metrics, /healthz and /readyz (default: not at all; 0: any free port)",
    )
    add("--log-level", choices=LOG_LEVELS, default="info", help="how much to say (default: info)")
    add(
        "--stop-timeout",
        type=float,
        default=30.0,
        metavar="SECONDS",
        help="how long a clean stop may wait for replies and egresses (default: 30)",
    )
    add("--strict", action="store_true", help="treat warnings about the module as errors")
    _add_checkpoint_flags(parser)
    return parser


def _add_checkpoint_flags(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "--checkpoint-interval",
        type=duration_s,
        default=1.0,
        metavar="DURATION",
        help="time between checkpoints, such as 100ms or 10s (default: 1s)",
    )
    add(
        "--checkpoints-kept",
        type=int,
        default=3,
        metavar="N",
        help="how many complete checkpoints are kept (default: 3)",
    )
    add(
        "--from-savepoint",
        type=Path,
        metavar="DIR",
        help="begin a new lineage at a savepoint; named again, the same one continues it",
    )
    add(
        "--from-checkpoint",
        type=int,
        metavar="EPOCH",
        help="begin a new lineage at an older checkpoint, when the newest is damaged",
    )
    add(
        "--savepoint-outbox",
        choices=("publish", "drop"),
        help="what becomes of unpublished records in a savepoint of another application",
    )


def _start_logging(level: str) -> None:
    logging.basicConfig(
        level=level.upper(),
        stream=sys.stderr,
        format="%(asctime)s %(levelname)-7s %(name)s  %(message)s",
    )
    # The Kafka client repeats itself while a broker is away; what matters is said by us.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL if level != "debug" else logging.DEBUG)
