"""Questions that a process is asked by another one, and their answers: by number, as objects of JSON.

ask ─▶ number, command, arguments ─▶ answered ─▶ content, or an error that is raised where it was asked
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from statefun_runtime.errors import (
    ConfigError,
    CorruptionError,
    FencedError,
    FunctionError,
    StatefunError,
    UnavailableError,
)

Content = dict[str, Any]
Command = Callable[[Content], Awaitable[Content]]

_ERRORS: dict[str, type[StatefunError]] = {
    one.__name__: one
    for one in (
        *(StatefunError, ConfigError, FunctionError),
        *(UnavailableError, FencedError, CorruptionError),
    )
}


def error_form(error: StatefunError) -> Content:
    """Return an error as JSON has it."""
    return {
        "kind": type(error).__name__,
        "message": error.message,
        "code": error.code,
        "hint": error.hint,
    }


def read_error(content: Content) -> StatefunError:
    """Return the error that another process has told of."""
    kind = _ERRORS.get(content["kind"], StatefunError)
    return kind(content["message"], code=content["code"], hint=content["hint"])


async def answered(commands: Mapping[str, Command], asked: Content) -> Content:
    """Carry out what was asked; return its content, or the error that it ended with."""
    try:
        return {"content": await commands[asked["command"]](asked["arguments"])}
    except StatefunError as error:
        return {"error": error_form(error)}


def read_answer(told: Content) -> Content:
    """Return the content of an answer, or raise its error."""
    if "error" in told:
        raise read_error(told["error"])
    content: Content = told["content"]
    return content


class Questions:
    """What was asked and has no answer yet; numbers go up, or with a `step` of -1 down."""

    def __init__(self, step: int = 1) -> None:
        self._step = step
        self._last = 0
        self._asked: dict[int, asyncio.Future[Content]] = {}
        self._gone: UnavailableError | None = None

    async def ask(self, say: Callable[[int], None]) -> Content:
        """Ask under a number, which `say` is given; return the content of the answer, or raise its error."""
        if self._gone is not None:
            raise self._gone
        self._last += self._step
        number = self._last
        answer = self._asked[number] = asyncio.get_running_loop().create_future()
        try:
            say(number)
            return read_answer(await answer)
        finally:
            self._asked.pop(number, None)

    def told(self, number: int, said: Content) -> None:
        """The answer to a question has come; nobody may wait for it any more."""
        answer = self._asked.get(number)
        if answer is not None and not answer.done():
            answer.set_result(said)

    def gone(self, error: UnavailableError) -> None:
        """No answers will come, also not to what is asked from now on."""
        self._gone = error
        for answer in self._asked.values():
            if not answer.done():
                answer.set_exception(error)
