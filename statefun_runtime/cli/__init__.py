"""The command `statefun-worker`: one module per command, told apart here."""

import os
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from platform import python_version

from statefun_runtime.cli import (
    checkpoints,
    dead_letters,
    explain,
    module,
    run,
    savepoint,
    validate,
)
from statefun_runtime.cli.asking import cluster, parked, retry, show
from statefun_runtime.cli.moving import compare, state
from statefun_runtime.cli.status import CLOSED_PIPE, GOOD, INTERRUPTED, status_of
from statefun_runtime.config.problems import did_you_mean
from statefun_runtime.errors import ConfigError, StatefunError

_COMMANDS: dict[str, Callable[[Sequence[str]], int]] = {
    "validate": validate.main,
    "module": module.main,
    "checkpoints": checkpoints.main,
    "cluster": cluster.main,
    "savepoint": savepoint.main,
    "state": state.main,
    "compare": compare.main,
    "status": show.main,
    "retry": retry.main,
    "parked": parked.main,
    "dead-letters": dead_letters.main,
    "explain": explain.main,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status, see `status`."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        status = _run(given)
        # What is still in the buffer must find its reader here, or Python complains when it ends.
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
        return status
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        _stop_writing()
        return CLOSED_PIPE


def _run(given: list[str]) -> int:
    try:
        if "--version" in given[:1]:
            print(f"statefun-worker {_version()} (Python {python_version()})")
            return GOOD
        if not given or given[0].startswith("-"):
            return run.main(given)
        return _find_command(given[0])(given[1:])
    except StatefunError as error:
        print(error, file=sys.stderr)
        return status_of(error)


def _version() -> str:
    try:
        return version("statefun-runtime")
    except PackageNotFoundError:
        return "of a clone that is not installed"


def _stop_writing() -> None:
    """Let what is still buffered go nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BrokenPipeError:
            os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def _find_command(name: str) -> Callable[[Sequence[str]], int]:
    command = _COMMANDS.get(name)
    if command is None:
        near = did_you_mean(name, _COMMANDS)
        hint = near or f"there are {', '.join(_COMMANDS)}; a module is run with --module FILE"
        raise ConfigError(f"unknown command {name!r}", code="SF1078", hint=hint)
    return command
