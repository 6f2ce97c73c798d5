"""The event loop of a process, and what a bug in it does."""

import asyncio
import logging
import signal
from collections.abc import Callable
from itertools import count
from typing import Any

from statefun_runtime.engine.stop import Stop

log = logging.getLogger("statefun.worker")

_OUR_PACKAGE = "statefun_runtime."


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return how a loop is made: by uvloop, where it is installed."""
    try:
        import uvloop
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


def crash_on_bugs(tasks: asyncio.TaskGroup) -> None:
    """An exception in a callback is a bug of ours: the worker ends rather than go on half."""

    async def crash(error: BaseException) -> None:
        raise error

    def handle(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        in_protocol = type(context.get("protocol")).__module__.startswith(_OUR_PACKAGE)
        is_in_callback = isinstance(error, Exception) and ("handle" in context or in_protocol)
        if is_in_callback or isinstance(error, AssertionError):
            assert error is not None
            tasks.create_task(crash(error))
        elif "never retrieved" in context["message"]:
            # All our tasks have a parent: a library gave this one up, and what it was for has failed already.
            log.debug("a task that nobody waits for failed: %r", error)
        else:
            loop.default_exception_handler(context)

    asyncio.get_running_loop().set_exception_handler(handle)


def stop_on_signals(stop: Stop) -> None:
    """The first signal asks for a clean stop, the second ends the process at once.

    One that stops for another reason, being drained for one, is not ended by the first: what is under way is finished.
    """
    loop = asyncio.get_running_loop()
    signals = count(1)

    def stopped(number: int) -> None:
        if next(signals) > 1:
            log.error("stopped at once; the next start goes on from the last clean stop")
            logging.shutdown()
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        if stop.is_asked:
            log.info("is stopping already; once more to stop at once")
        else:
            log.info("stopping; once more to stop at once")
            stop.ask()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped, number)
