"""The threads in which is done what blocks: files that are synced, and what others wait for.

    the loop ─ work ─▶ queue ─▶ a thread that waits for it ─ outcome ─▶ the loop

A checkpoint goes this way several times, and there may be fifty of them a second. asyncio's own threads pass futures of
two kinds and a context along, which costs twice what handing over costs.
"""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")

# What is long, such as to read a base, must not hold up what is short.
_THREADS_MAX = 8

_Work = tuple[Callable[[], Any], "asyncio.Future[Any]"]


class _Threads:
    """Threads that are started when they are needed; they end with the process."""

    def __init__(self) -> None:
        self._queue: SimpleQueue[_Work] = SimpleQueue()
        self._lock = threading.Lock()
        # How many threads there are, and how many pieces of work are not done.
        self._count = self._left = 0

    def hand_over(self, work: Callable[[], Any], future: "asyncio.Future[Any]") -> None:
        with self._lock:
            self._left += 1
            if self._count < min(self._left, _THREADS_MAX):
                self._count += 1
                name = f"off the loop {self._count}"
                threading.Thread(target=self._run, name=name, daemon=True).start()
        self._queue.put((work, future))

    def _run(self) -> None:
        while True:
            self._do(*self._queue.get())
            with self._lock:
                self._left -= 1

    @staticmethod
    def _do(work: Callable[[], Any], future: "asyncio.Future[Any]") -> None:
        outcome: Any = None
        error: BaseException | None = None
        try:
            outcome = work()
        # Whoever waits has to know of everything.
        except BaseException as raised:  # noqa: BLE001
            error = raised
        # Where the loop is closed nobody waits any more.
        with suppress(RuntimeError):
            future.get_loop().call_soon_threadsafe(_settle, future, outcome, error)


def _settle(future: "asyncio.Future[Any]", outcome: object, error: BaseException | None) -> None:
    if future.done():
        return
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(outcome)


_THREADS = _Threads()


def in_a_thread(work: Callable[[], T]) -> Awaitable[T]:
    """Do work in a thread, also if nobody waits for it any more; return what it returns. An OffLoop."""
    future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
    _THREADS.hand_over(work, future)
    return future
