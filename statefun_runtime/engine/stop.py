"""That a worker is to stop, and why."""

import asyncio
import logging

from statefun_runtime.errors import StatefunError

log = logging.getLogger("statefun.worker")


class Stop:
    """Asked for from outside, or by what the operator declared fatal; the first reason counts."""

    def __init__(self) -> None:
        self._asked = asyncio.Event()
        self.failure: StatefunError | None = None
        # For how long requests that are out are waited for, if whoever asked has said that.
        self.drain_s: float | None = None

    @property
    def is_asked(self) -> bool:
        """Whether the worker is stopping, or will."""
        return self._asked.is_set()

    def ask(self, drain_s: float | None = None) -> None:
        """Have the worker stop cleanly."""
        self.drain_s = drain_s
        self._asked.set()

    def fail(self, error: StatefunError) -> None:
        """Have the worker stop cleanly, and end with an error: nothing is lost by it."""
        if self.failure is None:
            self.failure = error
            log.error("the worker stops: %s", error.line)
            self._asked.set()

    async def asked(self) -> None:
        """Return when the worker is to stop."""
        await self._asked.wait()
