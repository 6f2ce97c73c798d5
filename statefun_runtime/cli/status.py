"""Exit statuses: what a command says to the shell, and a worker to its supervisor."""

from statefun_runtime.errors import ConfigError, FencedError, StatefunError

GOOD = 0
FAILED = 1
BAD_CONFIG = 2
FENCED = 3
INTERRUPTED = 130
CLOSED_PIPE = 141

# Status, what it means, and whether a supervisor should start a worker again that ended with it.
STATUSES = (
    (GOOD, "all is well; a worker stopped cleanly", "as it likes"),
    (
        FAILED,
        "it could not go on: something outside is away or in use, stored data is damaged, a function failed for "
        "good with 'onFailure: fail', or there is a bug, with a traceback",
        "yes, with pauses",
    ),
    (BAD_CONFIG, "a file, a flag or an option has to be edited; nothing was started", "no"),
    (FENCED, "another worker runs in this one's place (SF4xxx)", "no"),
    (
        INTERRUPTED,
        "ended by Ctrl-C before a worker ran, or by a second one; 143: by SIGTERM",
        "yes",
    ),
    (CLOSED_PIPE, "who read the output of a command has gone, such as `| head`", ""),
)


def statuses_help() -> str:
    """Return the text of --help about exit statuses."""
    lines = [f"  {status:<3}  {meaning}" for status, meaning, _ in STATUSES]
    return "\n".join(["exit status:", *lines])


def status_of(error: StatefunError) -> int:
    """Return the exit status of a command that ended with an error."""
    match error:
        case ConfigError():
            return BAD_CONFIG
        case FencedError():
            return FENCED
        case _:
            return FAILED
