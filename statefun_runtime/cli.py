"""The command `statefun-worker`."""

import argparse
import logging
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from statefun_runtime.config.module import load_module
from statefun_runtime.config.options import options_help
from statefun_runtime.config.settings import LOG_LEVELS, Settings, read_settings
from statefun_runtime.config.units import parse_duration_ns
from statefun_runtime.errors import ConfigError, StatefunError

_BAD_CONFIG, _FAILED = 2, 1
_STATE_DIR = Path(".statefun")

_HELP = """\
commands:
  statefun-worker --module FILE …                 run an application (all flags below)
  statefun-worker validate FILE…                  read and check module files only
  statefun-worker checkpoints list|show|verify    see what is in a state folder
  statefun-worker savepoint                       have a running worker write a savepoint

examples:
  statefun-worker --module module.yaml
  statefun-worker --module module.yaml --state-dir /var/lib/shop --metrics-port 9090
  statefun-worker --module module.yaml --from-savepoint .statefun/savepoints/before-upgrade

"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status: 0 well, 1 it could not go on, 2 the operator must edit something."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    command = _COMMANDS.get(given[0]) if given else None
    try:
        return command(given[1:]) if command else _run(given)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return _BAD_CONFIG
    except StatefunError as error:
        print(error, file=sys.stderr)
        return _FAILED


def _run(given: Sequence[str]) -> int:
    flags = _run_parser().parse_args(given)
    settings = read_settings(
        Settings(
            module=flags.module,
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
    loaded = load_module(settings.module, strict=settings.strict)
    module = loaded.required()
    for problem in loaded.problems:
        print(f"{problem}\n", file=sys.stderr)
    # The engine and its libraries are not needed to say what is wrong with a file.
    from statefun_runtime.app import run_application

    run_application(settings, module)
    return 0


def _seconds(text: str) -> float:
    try:
        return parse_duration_ns(text) / 1e9
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _run_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="statefun-worker",
        description="Run a StateFun application: functions, ingresses and egresses of a module.yaml.",
        epilog=_HELP + options_help(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--module", required=True, metavar="FILE", help="module.yaml: a path or a file: URL")
    _add_state_dir(parser)
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
        type=_seconds,
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


def _add_state_dir(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--state-dir",
        type=Path,
        default=_STATE_DIR,
        metavar="DIR",
        help=f"folder for state and checkpoints (default: {_STATE_DIR})",
    )


def _validate(given: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="statefun-worker validate",
        description="Read and check module files, without running anything.",
    )
    parser.add_argument(
        "files", nargs="+", metavar="FILE", help="a module.yaml: a path or a file: URL"
    )
    parser.add_argument("--strict", action="store_true", help="treat warnings as errors")
    flags = parser.parse_args(given)
    status = 0
    for file in flags.files:
        loaded = load_module(file, strict=flags.strict)
        for problem in loaded.problems:
            print(f"{problem}\n")
        if loaded.spec is None:
            status = _BAD_CONFIG
        else:
            spec = loaded.spec
            print(
                f"{loaded.file}: good: {len(spec.endpoints)} endpoints, {len(spec.ingresses)} ingresses, "
                f"{len(spec.egresses)} egresses"
            )
    return status


def _checkpoints(given: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="statefun-worker checkpoints",
        description="See what is in a state folder; nothing is changed, and a worker may be running.",
    )
    parser.add_argument("what", choices=("list", "show", "verify"))
    parser.add_argument(
        "epoch", nargs="?", type=int, help="for show: which one (default: the last)"
    )
    _add_state_dir(parser)
    flags = parser.parse_args(given)
    from statefun_runtime.app.inspect import StateFolderView, list_lines, show_lines, verify_lines

    view = StateFolderView(flags.state_dir)
    if flags.what == "verify":
        verdicts = list(verify_lines(view))
        print("\n".join(line for _, line in verdicts))
        return 0 if all(is_good for is_good, _ in verdicts) else _FAILED
    lines = list_lines(view) if flags.what == "list" else show_lines(view, view.one(flags.epoch))
    for line in lines:
        print(line)
    return 0


def _savepoint(given: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="statefun-worker savepoint",
        description="Have the worker that runs on a state folder write a savepoint: a checkpoint that is never deleted.",
    )
    _add_state_dir(parser)
    parser.add_argument(
        "--to",
        type=Path,
        metavar="DIR",
        help="the savepoint's folder (default: below the state folder)",
    )
    flags = parser.parse_args(given)
    from statefun_runtime.adapters.admin import admin_socket, ask_worker

    arguments = {"folder": str(flags.to.absolute())} if flags.to else {}
    answer = ask_worker(admin_socket(flags.state_dir), "savepoint", arguments)
    print(f"savepoint of epoch {answer['epoch']}: {answer['folder']}")
    return 0


_COMMANDS: dict[str, Callable[[Sequence[str]], int]] = {
    "validate": _validate,
    "checkpoints": _checkpoints,
    "savepoint": _savepoint,
}


def _start_logging(level: str) -> None:
    logging.basicConfig(
        level=level.upper(),
        stream=sys.stderr,
        format="%(asctime)s %(levelname)-7s %(name)s  %(message)s",
    )
    # The Kafka client repeats itself while a broker is away; what matters is said by us.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL if level != "debug" else logging.DEBUG)


if __name__ == "__main__":
    sys.exit(main())
