"""Functions of Python that run in the worker's own process."""

import importlib
import importlib.util
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

from statefun_runtime.adapters.embedded.family import ProgramTrouble
from statefun_runtime.adapters.embedded.in_process import Outcome
from statefun_runtime.adapters.http.responses import refusal
from statefun_runtime.core.partition.retry import Cause, Failure
from statefun_runtime.errors import ConfigError


def require_sdk(subject: str) -> None:
    """Refuse a start without what serves functions: our SDK for Python, which the worker needs for nothing else."""
    spec = importlib.util.find_spec("statefun")
    folders = (spec.submodule_search_locations or []) if spec else []
    if any((Path(folder) / "serving" / "supervised.py").is_file() for folder in folders):
        return
    found = "is not installed" if spec is None else "is another one, or an older version"
    raise ConfigError(
        f"{subject} runs functions of Python, and the SDK in the worker's environment {found}",
        code="SF1160",
        hint="pip install statefun-sdk",
    )


class InProcessProgram:
    """The functions of a program, which is imported here; raises ProgramTrouble if it cannot be."""

    def __init__(self, name: str) -> None:
        serving: Any = importlib.import_module("statefun.serving.program")
        try:
            self._handler: Any = serving.load(name)
        except serving.ProgramError as error:
            raise ProgramTrouble(str(error)) from None
        except SystemExit as error:
            raise ProgramTrouble(f"importing it ends the process, with {error.code!r}") from None
        self.functions: list[str] = self._handler.functions.typenames

    def answer(self, body: bytes, *, bytes_max: int) -> Outcome | Callable[[], Awaitable[Outcome]]:
        """Answer a request, or say what is to be waited for."""
        try:
            call = self._handler.call_for(body)
            if isinstance(call, bytes):
                return call
            if call.may_wait:
                return partial(self._wait, call, bytes_max)
            call.run()
            return _checked(call.context.response(), bytes_max)
        except (Exception, SystemExit) as error:  # noqa: BLE001 — whatever a function raises
            return self._failure(error)

    async def _wait(self, call: Any, bytes_max: int) -> Outcome:
        try:
            await call.run_waiting()
            return _checked(call.context.response(), bytes_max)
        except (Exception, SystemExit) as error:  # noqa: BLE001 — whatever a function raises
            return self._failure(error)

    def _failure(self, error: BaseException) -> Failure:
        response = self._handler.failures.respond(error)
        return refusal(
            response.status,
            response.content_type,
            response.body,
            response.headers.get("retry-after", ""),
        )


def _checked(reply: bytes, bytes_max: int) -> Outcome:
    if len(reply) <= bytes_max:
        return reply
    return Failure(Cause.TOO_LARGE, f"the response is larger than {bytes_max} bytes")
