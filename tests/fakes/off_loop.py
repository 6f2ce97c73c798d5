"""The OffLoop port without another thread, and what is asynchronous without a loop."""

from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from statefun_runtime.ports.off_loop import OffLoop

T = TypeVar("T")


async def at_once(work: Callable[[], T]) -> T:
    return work()


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
