"""The command `statefun-worker`."""

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from statefun_runtime.config.module import load_module
from statefun_runtime.config.options import options_help
from statefun_runtime.config.settings import LOG_LEVELS, Settings, read_settings
from statefun_runtime.config.units import parse_duration_ns
from statefun_runtime.errors import ConfigError, StatefunError

_BAD_CONFIG, _FAILED = 2, 1

_EXAMPLES = """\
examples:
  statefun-worker --module module.yaml
  statefun-worker --module module.yaml --state-dir /var/lib/shop --metrics-port 9090
  statefun-worker validate module.yaml

"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status: 0 well, 1 it could not go on, 2 the operator must edit something."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        if given[:1] == ["validate"]:
            return _validate(given[1:])
        return _run(given)
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
        epilog=_EXAMPLES + options_help(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--module", required=True, metavar="FILE", help="module.yaml: a path or a file: URL"
    )
    parser.add_argument(
        "--state-dir",
        type=Path,
        default=Path(".statefun"),
        metavar="DIR",
        help="folder for state and checkpoints (default: .statefun)",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="set an option, see below; may be repeated",
    )
    parser.add_argument(
        "--partitions", type=int, default=8, metavar="N", help="how many partitions (default: 8)"
    )
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="what the worker's own ports listen on (default: 127.0.0.1)",
    )
    parser.add_argument(
        "--metrics-port",
        type=int,
        metavar="PORT",
        help="serve /metrics, /healthz and /readyz (default: not at all; 0: any free port)",
    )
    parser.add_argument(
        "--log-level", choices=LOG_LEVELS, default="info", help="how much to say (default: info)"
    )
    parser.add_argument(
        "--stop-timeout",
        type=float,
        default=30.0,
        metavar="SECONDS",
        help="how long a clean stop may wait for replies and egresses (default: 30)",
    )
    parser.add_argument(
        "--checkpoint-interval",
        type=_seconds,
        default=1.0,
        metavar="DURATION",
        help="time between checkpoints, such as 100ms or 10s (default: 1s)",
    )
    parser.add_argument(
        "--checkpoints-kept",
        type=int,
        default=3,
        metavar="N",
        help="how many complete checkpoints are kept (default: 3)",
    )
    parser.add_argument(
        "--strict", action="store_true", help="treat warnings about the module as errors"
    )
    return parser


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
