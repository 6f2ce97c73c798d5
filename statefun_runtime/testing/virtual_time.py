"""An event loop whose time is virtual: it jumps to the next timer when nothing is left to do."""

import asyncio
import selectors
from typing import Any

START_MS = 1_700_000_000_000


class Stuck(Exception):
    """Everything waits, and no timer is set: in real time this would hang for ever."""


class VirtualLoop(asyncio.SelectorEventLoop):
    """Never waits; `time()` begins at 1000."""

    def __init__(self) -> None:
        self._now_s = 1000.0
        super().__init__(_Jumping(self))

    def time(self) -> float:
        """Return the virtual time, in seconds."""
        return self._now_s

    def jump(self, seconds: float) -> None:
        """Let time pass."""
        self._now_s += seconds


class _Jumping(selectors.SelectSelector):
    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise Stuck
        self._loop.jump(timeout)
        return super().select(0)


class VirtualClock:
    """The Clock port on the running loop's time."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.began_s = self._loop.time()

    def now_s(self) -> float:
        """Return seconds that only grow."""
        return self._loop.time()

    def now_ms(self) -> int:
        """Return the date, in milliseconds since 1970."""
        return START_MS + round((self._loop.time() - self.began_s) * 1000)
