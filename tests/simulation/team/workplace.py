"""A simulated machine on which a leader starts workers, each a process that can be killed or frozen alone."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from itertools import permutations
from random import Random
from typing import TYPE_CHECKING, Any

from statefun_runtime.errors import StatefunError
from statefun_runtime.ports.team import Hired
from tests.simulation.machine.loop import RANDOM, Process
from tests.simulation.team.channels import OneWay, SimLinks, SimPipe

if TYPE_CHECKING:
    from tests.simulation.world import World

_KILLED = -9

# Runs a worker in a process, with what is asked of it, its links and its pipe.
Serve = Callable[[Process, dict[str, Any], SimLinks, SimPipe], Coroutine[Any, Any, None]]


class SimWorkplace:
    """The Workplace of one leader; its workers die with it."""

    def __init__(self, world: "World", leader: Process, rng: Random, serve: Serve) -> None:
        self._world = world
        self._leader = leader
        self._rng = rng
        self._serve = serve
        self._longest_s = rng.choice((0.0001, 0.002, 0.02))
        self._ended: Callable[[int, int], None] | None = None
        self._said: dict[Process, list[OneWay]] = {}
        self.workers: list[Process] = []

    def attach(self, ended: Callable[[int, int], None]) -> None:
        self._ended = ended

    async def hire(self, requests: Mapping[int, dict[str, Any]]) -> dict[int, Hired]:
        await asyncio.sleep(self._rng.random() * 0.02)
        self.workers = [one for one in self.workers if not one.is_dead]
        at = {slot: self._process() for slot in requests}
        self.workers += at.values()
        ways = {(a, b): self._way(at[b]) for a, b in permutations(requests, 2)}
        hired = {}
        for slot, process in at.items():
            down, up = self._way(process), self._way(self._leader)
            out = {b: way for (a, b), way in ways.items() if a == slot}
            into = {a: way for (a, b), way in ways.items() if b == slot}
            self._said[process] = [up, *out.values()]
            links, pipe = SimLinks(out, into), SimPipe(up, down)
            self._start(process, {**requests[slot], "peers": list(out)}, links, pipe)
            hired[slot] = Hired(process.number, process.number, SimPipe(down, up))
            if self._world.freezes_worker:
                self._world.freezes_worker = False
                self._world.say(f"worker {process.number} is frozen as it starts, for ever")
                self._world.loop.freeze(process)
        return hired

    def _way(self, to: Process) -> OneWay:
        rng = Random(self._rng.getrandbits(32))
        return OneWay(self._world.loop, to, rng, self._longest_s)

    def _process(self) -> Process:
        self._world.processes += 1
        process = Process(self._world.processes)
        process.context.run(RANDOM.set, Random(self._rng.getrandbits(32)))
        return process

    def _start(
        self, process: Process, request: dict[str, Any], links: SimLinks, pipe: SimPipe
    ) -> None:
        process.seed = self._rng.getrandbits(32)
        work = self._serve(process, request, links, pipe)
        task = self._world.loop.create_task(work, context=process.context)
        task.add_done_callback(lambda task: self._finished(process, task))

    def _finished(self, process: Process, task: "asyncio.Task[None]") -> None:
        if process.is_dead:
            return
        error = task.exception() if not task.cancelled() else None
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        if error is not None and not isinstance(error, StatefunError):
            self._world.judge(error, process)
        self._end(process, 1 if error is not None else 0)

    def kill(self, pid: int) -> None:
        for process in self.workers:
            if process.number == pid:
                self.end(process)

    async def changed(self) -> None:
        await asyncio.Event().wait()

    def foresee(self) -> list[int]:
        return []

    def overlook(self) -> None:
        pass

    def keeps(self, numbers: Mapping[int, int]) -> bool:
        return False

    def now_s(self) -> float:
        return self._world.loop.time()

    def end(self, process: Process) -> None:
        """End a worker at once; nothing of it runs any more."""
        if not process.is_dead:
            self._world.say(f"worker {process.number} is killed")
            self._end(process, _KILLED)

    def end_all(self) -> None:
        """The leader is dead, and nobody is left to work for."""
        for process in self.workers:
            self.end(process)

    def _end(self, process: Process, status: int) -> None:
        process.is_dead = True
        self._world.loop.bury(process)
        for way in self._said[process]:
            way.send(None)

        def tell() -> None:
            if self._ended is not None:
                self._ended(process.number, status)

        self._world.loop.call_later(self._rng.random() * 0.01, tell, context=self._leader.context)
