"""The processes of one endpoint's embedded functions: so many, each replaced when it ends.

A connection goes to the process that has fewest. While none is ready whoever wants a connection waits for one, and
hears after a while why there is none: to the rest of the worker that is an endpoint which cannot be reached.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from statefun_runtime.adapters.embedded.child import Child
from statefun_runtime.adapters.http.connection import Connection
from statefun_runtime.core.model.metrics import Metric, MetricKind
from statefun_runtime.core.module.specs import EndpointSpec, ProgramSpec

log = logging.getLogger("statefun.worker")

_PAUSE_FIRST_S = 0.1
_PAUSE_LAST_S = 5.0
# One that served for so long was no false start.
_STEADY_S = 10.0
_STARTING_S = 300.0
_PATIENCE_SHARE = 0.9

Spawn = Callable[[Coroutine[Any, Any, None]], object]


class ProgramTrouble(Exception):
    """The functions of a program cannot be had; the text says why."""


@dataclass(slots=True)
class _Slot:
    """The place of one process; `pause_s` is before the next one, and what runs beside `current` is not ready yet."""

    number: int
    current: Child
    pause_s: float = _PAUSE_FIRST_S


class Family:
    """Keeps the processes of an endpoint; `tasks` are the worker's, and `folder` is for their sockets."""

    def __init__(self, endpoint: EndpointSpec, spawn: Spawn, folder: Path) -> None:
        assert endpoint.program is not None
        self.endpoint = endpoint
        self.restarts = 0
        self._program: ProgramSpec = endpoint.program
        self._spawn = spawn
        self._folder = folder
        self._loop = asyncio.get_running_loop()
        self._moved = asyncio.Event()
        self._slots: list[_Slot] = []
        self._running: dict[Child, None] = {}
        self._made = self._tasks = 0
        self._trouble = ""
        self._closing = asyncio.Event()
        self._is_started = False

    async def start(self) -> list[str]:
        """Start all processes; return the function types that they serve, or raise ProgramTrouble if there are none."""
        for number in range(1, self._program.processes + 1):
            slot = _Slot(number, self._make(number))
            self._slots.append(slot)
            self._begin(slot, slot.current)
        try:
            async with asyncio.timeout(_STARTING_S):
                while not all(slot.current.is_ready for slot in self._slots):
                    if self._trouble:
                        raise ProgramTrouble(self._trouble)
                    await self._wait()
        except TimeoutError:
            raise ProgramTrouble(f"it was not served within {_STARTING_S:g} s") from None
        self._is_started = True
        return self._slots[0].current.functions or []

    async def connect(self, make: Callable[[], Connection]) -> Connection:
        """Open a connection to the process that has fewest; raise OSError if none is ready in time."""
        patience_s = self.endpoint.transport.connect_s * _PATIENCE_SHARE
        try:
            async with asyncio.timeout(patience_s):
                while not (ready := self._ready()):
                    await self._wait()
        except TimeoutError:
            raise OSError(f"none is ready: {self._trouble or 'they are starting'}") from None
        for child in ready:
            child.connections = [each for each in child.connections if each.is_open]
        child = min(ready, key=lambda each: len(each.connections))
        _, connection = await self._loop.create_unix_connection(make, str(child.path))
        connection.overran = child.overran
        child.connections.append(connection)
        return connection

    def reload(self) -> None:
        """Have new processes take the place of these, each once it is ready; one that fails changes nothing."""
        log.info("the functions of %s start anew", self._program.name)
        for slot in self._slots:
            self._begin(slot, self._make(slot.number))

    async def close(self) -> None:
        """End all processes, and wait for it."""
        self._closing.set()
        for child in self._running:
            child.end()
        while self._tasks:
            await self._wait()

    def metrics(self) -> Iterator[Metric]:
        """Yield how many processes are ready, and how many had to be replaced."""
        labels = {"functions": str(self.endpoint.pattern)}
        doc = "processes of embedded functions that are ready"
        ready = len(self._ready())
        yield Metric("statefun_embedded_ready", MetricKind.GAUGE, doc, ready, labels)
        doc = "how often a process of embedded functions ended, and another took its place"
        yield Metric("statefun_embedded_restarts", MetricKind.COUNTER, doc, self.restarts, labels)

    def _ready(self) -> list[Child]:
        return [slot.current for slot in self._slots if slot.current.is_ready]

    def _make(self, number: int) -> Child:
        self._made += 1
        path = self._folder / f"{self._made}.sock"
        return Child(self._program.name, number, path, threads=self._program.threads)

    def _begin(self, slot: _Slot, child: Child) -> None:
        self._tasks += 1
        self._spawn(self._run_slot(slot, child))

    async def _run_slot(self, slot: _Slot, first: Child) -> None:
        """Run a process, and others after it, as long as it is the slot's."""
        try:
            child: Child | None = first
            while child is not None and not self._closing.is_set():
                began_s = self._loop.time()
                await self._run(slot, child)
                child = await self._successor(slot, child, self._loop.time() - began_s)
        finally:
            self._tasks -= 1
            self._moved.set()

    async def _run(self, slot: _Slot, child: Child) -> None:
        self._running[child] = None
        try:
            await child.run(partial(self._is_ready, slot, child))
        finally:
            del self._running[child]
        if child is slot.current:
            self._trouble = child.trouble
        elif child.functions is None and not self._closing.is_set():
            text = "%s cannot start anew, and what ran before goes on: %s"
            log.error(text, child.name, child.trouble)
        self._moved.set()

    def _is_ready(self, slot: _Slot, child: Child) -> None:
        """A process is ready: it serves, and the one whose place it takes ends."""
        before, slot.current = slot.current, child
        if before is not child:
            before.end()
        self._moved.set()

    async def _successor(self, slot: _Slot, child: Child, lived_s: float) -> Child | None:
        """Return the process that is next, when it is time for it; None if the slot is another's, or nobody's any more."""
        if self._closing.is_set() or child is not slot.current:
            return None
        if child.functions is None and not self._is_started:
            # What cannot serve from the beginning is for whoever started it to judge.
            return None
        self.restarts += 1
        if not child.has_overrun:
            await self._pause(slot, child, lived_s)
        slot.current = self._make(slot.number)
        return slot.current

    async def _pause(self, slot: _Slot, child: Child, lived_s: float) -> None:
        """Wait before a process starts again: the longer, the more often it has ended soon."""
        if lived_s >= _STEADY_S and child.functions is not None:
            slot.pause_s = _PAUSE_FIRST_S
        log.error("%s: %s; it starts again in %g s", child.name, child.trouble, slot.pause_s)
        pause_s, slot.pause_s = slot.pause_s, min(2 * slot.pause_s, _PAUSE_LAST_S)
        with suppress(TimeoutError):
            async with asyncio.timeout(pause_s):
                await self._closing.wait()

    async def _wait(self) -> None:
        self._moved.clear()
        await self._moved.wait()
