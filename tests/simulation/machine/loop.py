"""An event loop with virtual time that runs several processes, of which each can be frozen or killed.

Every callback belongs to the process in whose context it was scheduled, or to the world outside. A killed process
runs nothing any more, no `finally` either; a frozen one runs what has gathered when it is thawed.
"""

import asyncio
import contextvars
import heapq
from asyncio import events
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from itertools import count
from typing import Any

START_MS = 1_700_000_000_000
_STEPS_MAX = 400_000
_CLOSES_MAX = 8


class Stuck(Exception):
    """Everything waits and no timer is set, or the work never ends."""


class Killed(BaseException):
    """The process that runs this is dead; nothing may catch it."""


class Process:
    """One life of a worker; `context` is what its callbacks run in."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.is_dead = False
        self.is_frozen = False
        self.is_zombie = False
        self.seed = 0
        self.deferred: list[Handle] = []
        self.tasks: list[asyncio.Task[Any]] = []
        self.context = contextvars.copy_context()
        self.context.run(PROCESS.set, self)

    def check(self) -> None:
        """Every port calls this first: a dead process touches nothing."""
        if self.is_dead:
            raise Killed


PROCESS: contextvars.ContextVar[Process | None] = contextvars.ContextVar("process", default=None)


def current_process() -> Process:
    """Return the process that runs now."""
    process = PROCESS.get()
    assert process is not None, "this runs in no process"
    return process


class Handle:
    """A callback that waits for its turn; asyncio's own handles look for a debugger each time."""

    __slots__ = ("_when_s", "args", "callback", "context", "is_cancelled")

    def __init__(
        self,
        callback: Any,
        args: tuple[Any, ...],
        context: contextvars.Context | None,
        when_s: float = 0.0,
    ) -> None:
        self.callback = callback
        self.args = args
        self.context = contextvars.copy_context() if context is None else context
        self.is_cancelled = False
        self._when_s = when_s

    def cancel(self) -> None:
        """Run nothing of it, and hold nothing for it."""
        self.is_cancelled = True
        self.callback, self.args = None, ()

    def cancelled(self) -> bool:
        return self.is_cancelled

    def when(self) -> float:
        return self._when_s


# What asyncio's loops promise by their types beyond what is used here is of no use to a simulation.
_Loop: Any = asyncio.AbstractEventLoop


class SimLoop(_Loop):  # type: ignore[misc]
    """Never waits: time jumps to the next timer when nothing is left to do.

    A turn of the loop takes `turn_s`, in which timers come due: what was sent arrives between two steps of one task that
    only lets others have a turn.
    """

    def __init__(self, turn_s: float = 0.0, *, steps_max: int = _STEPS_MAX) -> None:
        self._steps_max = steps_max
        self._now_s = 1000.0
        self._turn_s = turn_s
        self._outside = contextvars.copy_context()
        self._ready: deque[Handle] = deque()
        self._timers: list[tuple[float, int, Handle]] = []
        self._numbers = count()
        self._exception_handler: Callable[..., None] | None = None
        self.steps = 0
        self.errors: list[BaseException] = []

    # ── what asyncio asks for ──

    def time(self) -> float:
        return self._now_s

    def call_soon(
        self, callback: Any, *args: Any, context: contextvars.Context | None = None
    ) -> Handle:
        handle = Handle(callback, args, context)
        self._ready.append(handle)
        return handle

    call_soon_threadsafe = call_soon

    def call_later(
        self, delay: float, callback: Any, *args: Any, context: contextvars.Context | None = None
    ) -> Handle:
        return self.call_at(self._now_s + delay, callback, *args, context=context)

    def call_at(
        self, when: float, callback: Any, *args: Any, context: contextvars.Context | None = None
    ) -> Handle:
        handle = Handle(callback, args, context, when)
        heapq.heappush(self._timers, (when, next(self._numbers), handle))
        return handle

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(
        self,
        coro: Coroutine[Any, Any, Any],
        *,
        name: str | None = None,
        context: contextvars.Context | None = None,
    ) -> asyncio.Task[Any]:
        process = PROCESS.get() if context is None else context.get(PROCESS)
        task = asyncio.Task(coro, loop=self, name=name or "task", context=context)
        if process is not None:
            process.tasks.append(task)
        return task

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return True

    def is_closed(self) -> bool:
        return False

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        process = PROCESS.get()
        if process is not None and process.is_dead:
            return
        if "never retrieved" in context.get("message", ""):
            return
        error = context.get("exception") or RuntimeError(context.get("message"))
        if not isinstance(error, Killed):
            self.errors.append(error)

    # ── running ──

    def run(self, main: Coroutine[Any, Any, Any]) -> Any:
        """Run until `main` is done; return its result."""
        before = events._get_running_loop()
        events._set_running_loop(self)
        try:
            task = self.create_task(main)
            while not task.done():
                self._step()
            return task.result()
        finally:
            events._set_running_loop(before)

    def _step(self) -> None:
        """A turn of the loop."""
        ready, timers = self._ready, self._timers
        if ready:
            self._now_s += self._turn_s
        else:
            self._jump()
        while timers and timers[0][0] <= self._now_s:
            ready.append(heapq.heappop(timers)[2])
        for _ in range(len(ready)):
            self._run(ready.popleft())
        if self.steps > self._steps_max:
            raise Stuck(f"{self.steps} steps, and no end")

    def _run(self, handle: Handle) -> None:
        if handle.is_cancelled:
            return
        process = handle.context.get(PROCESS)
        if process is not None and (process.is_dead or process.is_frozen):
            if not process.is_dead:
                process.deferred.append(handle)
            return
        self.steps += 1
        try:
            handle.context.run(handle.callback, *handle.args)
        except Killed:
            pass
        except Exception as error:
            if process is None or not process.is_dead:
                self.errors.append(error)

    def _jump(self) -> None:
        timers = self._timers
        while timers and timers[0][2].is_cancelled:
            heapq.heappop(timers)
        if not timers:
            raise Stuck("everything waits, and no timer is set")
        self._now_s = max(self._now_s, timers[0][0])

    # ── processes ──

    def freeze(self, process: Process) -> None:
        """SIGSTOP."""
        process.is_frozen = True

    def thaw(self, process: Process) -> None:
        """SIGCONT."""
        process.is_frozen = False
        self._ready.extend(process.deferred)
        process.deferred = []

    def bury(self, process: Process) -> None:
        """Let go of what a dead process had, without running it."""
        assert process.is_dead
        process.deferred = []
        for task in process.tasks:
            if not task.done():
                task._log_destroy_pending = False  # type: ignore[attr-defined]
        tasks, process.tasks = process.tasks, []
        self.call_soon(lambda: process.context.run(_close, tasks), context=self._outside)


def _close(tasks: list[asyncio.Task[Any]]) -> None:
    """The ports of the dead process are severed: what its `finally` clauses try has no effect."""
    for task in tasks:
        coroutine = task.get_coro()
        for _ in range(_CLOSES_MAX):
            try:
                coroutine.close()
                break
            except BaseException:
                # It waits in a `finally` now.
                continue


async def off_loop(work: Callable[..., Any], *args: Any) -> Any:
    """Stand in for `in_a_thread`: the work happens at some moment, in one piece; then its result is heard of."""
    process = current_process()
    rng = process.context[RANDOM]
    await asyncio.sleep(rng.random() * 0.004)
    process.check()
    result = work(*args)
    await asyncio.sleep(rng.random() * 0.002)
    return result


RANDOM: contextvars.ContextVar[Any] = contextvars.ContextVar("random")
Async = Callable[..., Awaitable[Any]]
