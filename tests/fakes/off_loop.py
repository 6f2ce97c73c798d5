"""The OffLoop port without another thread, and what is asynchronous without a loop."""

from collections.abc import Coroutine
from typing import Any, TypeVar

from statefun_runtime.ports.off_loop import OffLoop
from statefun_runtime.testing.memory import at_once

T = TypeVar("T")


AT_ONCE: OffLoop = at_once


def result_of(work: Coroutine[Any, Any, T]) -> T:
    """Return what a coroutine returns that waits for nothing, as one on `at_once` and on fakes does."""
    try:
        work.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    work.close()
    raise AssertionError("it waits for something")
