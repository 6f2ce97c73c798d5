"""The command `statefun-worker`: one module per command, told apart here."""

import sys
from collections.abc import Callable, Sequence

from statefun_runtime.cli import checkpoints, dead_letters, module, parked, run, savepoint, validate
from statefun_runtime.cli.status import BAD_CONFIG, FAILED
from statefun_runtime.config.problems import did_you_mean
from statefun_runtime.errors import ConfigError, StatefunError

_COMMANDS: dict[str, Callable[[Sequence[str]], int]] = {
    "validate": validate.main,
    "module": module.main,
    "checkpoints": checkpoints.main,
    "savepoint": savepoint.main,
    "parked": parked.main,
    "dead-letters": dead_letters.main,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status, see `status`."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        if not given or given[0].startswith("-"):
            return run.main(given)
        return _find_command(given[0])(given[1:])
    except ConfigError as error:
        print(error, file=sys.stderr)
        return BAD_CONFIG
    except StatefunError as error:
        print(error, file=sys.stderr)
        return FAILED


def _find_command(name: str) -> Callable[[Sequence[str]], int]:
    command = _COMMANDS.get(name)
    if command is None:
        near = did_you_mean(name, _COMMANDS)
        hint = near or f"there are {', '.join(_COMMANDS)}; a module is run with --module FILE"
        raise ConfigError(f"unknown command {name!r}", code="SF1078", hint=hint)
    return command
