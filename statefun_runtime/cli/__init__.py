"""The command `statefun-worker`: one module per command, told apart here."""

import sys
from collections.abc import Callable, Sequence

from statefun_runtime.cli import checkpoints, dead_letters, module, parked, run, savepoint, validate
from statefun_runtime.cli.status import BAD_CONFIG, FAILED
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
    command = _COMMANDS.get(given[0]) if given else None
    try:
        return command(given[1:]) if command else run.main(given)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return BAD_CONFIG
    except StatefunError as error:
        print(error, file=sys.stderr)
        return FAILED
