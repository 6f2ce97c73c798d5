"""All processes of a simulated cluster: each on a machine of its own, with workers that do not outlive it.

a machine: wanted ─▶ a process ─▶ killed, or it has left ─▶ a pause ─▶ another process, if it is wanted
"""

import asyncio
from random import Random
from typing import TYPE_CHECKING, Any

from statefun_runtime.engine.stop import Stop
from tests.simulation.fleet.process import live, work
from tests.simulation.machine.fake_disk import FakePath
from tests.simulation.machine.loop import RANDOM, Process
from tests.simulation.machine.wall import Time
from tests.simulation.team.channels import SimPipe
from tests.simulation.team.workplace import SimWorkplace

if TYPE_CHECKING:
    from tests.simulation.world import World

_CLOCKS_S = (0.0, 0.0, -3600.0, 3600.0)
_PAUSES_S = (0.02, 0.2, 1.5, 4.0)


class Machine:
    """A machine: its folder, its clock, its way to the brokers, and the process there is on it now."""

    def __init__(self, world: "World", number: int, rng: Random) -> None:
        self.number = number
        self.folder = FakePath(world.disk, f"machine-{number}")
        self.time = Time(world.loop)
        self.time.offset_s = rng.choice(_CLOCKS_S)
        self.seats = rng.choice((1, 1, 1, 2))
        self.is_cut = False
        self.wanted = asyncio.Event()
        self.process: Process | None = None
        self.stop: Stop | None = None
        self.workplace: SimWorkplace | None = None
        self.ended: asyncio.Future[BaseException | None] | None = None

    @property
    def processes(self) -> list[Process]:
        """Return all that runs on it."""
        workers = self.workplace.workers if self.workplace is not None else []
        return [one for one in (self.process, *workers) if one is not None and not one.is_dead]


class Fleet:
    """The machines of a cluster, `most` at most."""

    def __init__(self, world: "World", most: int, rng: Random) -> None:
        self._world = world
        self._rng = rng
        self.machines = [Machine(world, number, rng) for number in range(rng.randint(1, most))]
        # So many more hires until the machine that is asked dies.
        self.dies_at_hire = 0
        self.dies_at_request = self.dies_at_put = 0
        world.cluster.before_put = self._puts

    async def run(self) -> None:
        """Have each machine run processes as long as it is wanted."""
        count = self._rng.randint(1, len(self.machines))
        for machine in self.machines[:count]:
            machine.wanted.set()
        async with asyncio.TaskGroup() as tasks:
            for machine in self.machines:
                tasks.create_task(self._keep(machine))

    async def _keep(self, machine: Machine) -> None:
        world, rng = self._world, self._rng
        await asyncio.sleep(rng.choice((0.0, rng.random())))
        while not (world.is_over or world.failures):
            await machine.wanted.wait()
            if world.is_over:
                return
            error = await self._start(machine)
            last, machine.process = machine.process, None
            assert last is not None
            if error is not None:
                world.judge(error, last)
            await asyncio.sleep(rng.choice(_PAUSES_S))

    def _start(self, machine: Machine) -> "asyncio.Future[BaseException | None]":
        world = self._world
        world.lives += 1
        world.processes += 1
        process = machine.process = Process(world.processes)
        rng = Random(self._rng.getrandbits(32))
        process.context.run(RANDOM.set, rng)
        machine.ended = world.loop.create_future()
        machine.stop = process.context.run(Stop)
        outside = world.outside(process, rng, machine)

        def serve(worker: Process, request: dict[str, Any], _: object, pipe: SimPipe) -> Any:
            self._hires(machine)
            return work(world.outside(worker, Random(rng.getrandbits(32)), machine), request, pipe)

        machine.workplace = SimWorkplace(world, process, Random(rng.getrandbits(32)), serve)
        world.say(f"process {process.number} starts on machine {machine.number}")
        life = live(
            outside,
            machine.stop,
            machine.workplace,
            host=f"m{machine.number}",
            seats=machine.seats,
        )
        task = world.loop.create_task(life, context=process.context)
        task.add_done_callback(lambda task: self._finished(machine, process, task))
        return machine.ended

    def _finished(self, machine: Machine, process: Process, task: "asyncio.Task[None]") -> None:
        if process.is_dead:
            return
        error = task.exception() if not task.cancelled() else None
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        self._world.say(
            f"process {process.number} ended: {type(error).__name__ if error else 'clean'}"
        )
        self._end(machine, error)

    def kill(self, machine: Machine) -> None:
        """End a process at once, and its workers with it."""
        if machine.process is not None and not machine.process.is_dead:
            self._world.say(f"process {machine.process.number} is killed")
            self._end(machine, None)

    def _end(self, machine: Machine, error: BaseException | None) -> None:
        process = machine.process
        assert process is not None
        process.is_dead = True
        self._world.loop.bury(process)
        assert machine.workplace is not None
        machine.workplace.end_all()
        assert machine.ended is not None
        if not machine.ended.done():
            machine.ended.set_result(error)

    def stop(self, machine: Machine) -> None:
        """SIGTERM."""
        if machine.process is not None and machine.stop is not None:
            self._world.loop.call_soon(machine.stop.ask, context=machine.process.context)

    async def stop_all(self) -> None:
        """Stop all of them, one soon after the other, or all at once."""
        longest_s = self._rng.choice((0.0, 1.0, 4.0))
        for machine in self.machines:
            await asyncio.sleep(self._rng.random() * longest_s)
            self.stop(machine)
            machine.wanted.set()

    @property
    def running(self) -> list[Machine]:
        """The machines that have a process."""
        return [one for one in self.machines if one.process and not one.process.is_dead]

    def of(self, process: Process | None) -> Machine | None:
        """Return the machine that a process is on."""
        return next((one for one in self.machines if process in one.processes), None)

    def leads(self, machine: Machine) -> bool:
        """Return whether the process of a machine is the last one that has claimed the log."""
        records = self._world.cluster.topics.get("statefun-sim-log", [])
        marks = [one.value for p in records for one in p.records if one.key == b"leader"]
        return bool(marks) and f'"m{machine.number}-' in (marks[-1] or b"").decode()

    # ── what is waited for to strike ──

    def _hires(self, machine: Machine) -> None:
        if self.dies_at_hire:
            self.dies_at_hire -= 1
            if not self.dies_at_hire:
                after_s = self._rng.choice((0.0, 0.001, 0.05, 0.3))
                self._world.loop.call_later(
                    after_s, self.kill, machine, context=self._world.context.copy()
                )

    def _puts(self, process: Process) -> bool:
        """A process is about to send what came over HTTP; return whether it dies before it has."""
        machine = self.of(process)
        if not self.dies_at_put or machine is None:
            return False
        self.dies_at_put -= 1
        if self.dies_at_put:
            return False
        self._world.loop.call_soon(self.kill, machine, context=self._world.context.copy())
        return True

    def requests(self, process: Process) -> None:
        """A process is about to ask a broker for something."""
        if self.dies_at_request:
            self.dies_at_request -= 1
            machine = None if self.dies_at_request else self.of(process)
            if machine is not None:
                after_s = self._rng.choice((0.0, 0.001, 0.003))
                self._world.loop.call_later(
                    after_s, self.kill, machine, context=self._world.context.copy()
                )
