"""Runs a test in virtual time."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from statefun_runtime.testing.virtual_time import START_MS, Stuck, VirtualClock, VirtualLoop

__all__ = ["START_MS", "Stuck", "VirtualClock", "VirtualLoop", "run_virtual"]

_T = TypeVar("_T")


def run_virtual(main: Callable[[], Coroutine[Any, Any, _T]]) -> _T:
    """Run `main` in virtual time; an exception in a callback is raised when it is done."""
    errors: list[BaseException] = []

    def collect(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        errors.append(context.get("exception") or RuntimeError(context["message"]))

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.get_loop().set_exception_handler(collect)
        result = runner.run(main())
    if errors:
        raise errors[0]
    return result
