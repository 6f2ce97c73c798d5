"""Errors, sorted by who must act.

    StatefunError
    ├── ConfigError       SF1xxx  the operator edits a file         exit status 2, before anything starts
    ├── FunctionError     SF2xxx  the function's owner fixes it     retried by policy
    ├── UnavailableError  SF3xxx  wait, then the same again         a broker, endpoint or store is away
    ├── FencedError       SF4xxx  a newer incarnation runs          stop at once, touch nothing
    └── CorruptionError   SF5xxx  stored data is not what we wrote  stop, never overwrite

What we do wrong ourselves is an `assert`, and assertions stay on in production.
"""


class StatefunError(Exception):
    """Something a person must know about; `str()` is what that person reads.

    `code` is stable and has a page under docs/reference/errors/. `message` says what was tried, on what,
    and what was found; `hint` says what to do.
    """

    code = "SF0000"

    def __init__(self, message: str, *, code: str | None = None, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        if code is not None:
            self.code = code

    @property
    def line(self) -> str:
        """What a line of a log says of it: what happened, and the code to look up."""
        return f"{self.message} [{self.code}]"

    def __str__(self) -> str:
        text = f"{self.code}: {self.message}"
        return f"{text}\nhint: {self.hint}" if self.hint else text


class ConfigError(StatefunError):
    """The operator must edit a file or a flag."""

    code = "SF1000"


class FunctionError(StatefunError):
    """The function's owner must act; batch, address and endpoint are in the message."""

    code = "SF2000"


class UnavailableError(StatefunError):
    """Something outside is away; the same again later may work."""

    code = "SF3000"


class FencedError(StatefunError):
    """A newer incarnation runs; this one must stop and touch nothing."""

    code = "SF4000"


class CorruptionError(StatefunError):
    """Stored data is not what was written; it must not be overwritten."""

    code = "SF5000"


def first_of(group: BaseExceptionGroup[StatefunError]) -> StatefunError:
    """Return the first error in a group, however deep it lies."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, StatefunError)
    return error
