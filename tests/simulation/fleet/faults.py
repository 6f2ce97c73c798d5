"""What goes wrong with the processes of a cluster, and who comes and leaves."""

import asyncio
from random import Random
from typing import TYPE_CHECKING

from tests.simulation.faults import Fault, trouble
from tests.simulation.machine.loop import Process

if TYPE_CHECKING:
    from tests.simulation.fleet.fleet import Machine
    from tests.simulation.world import World

_WEIGHTS = {
    "kill process": 5,
    "kill worker": 3,
    "freeze process": 4,
    "freeze main": 3,
    "freeze leader": 3,
    "freeze worker": 3,
    "cut off": 4,
    "leave": 4,
    "join": 4,
    "lost": 3,
    "power": 3,
    "moves": 9,
    "dies at hire": 4,
    "dies at request": 4,
    "dies at put": 3,
    "unclear commit": 4,
    "broker away": 3,
    "network": 3,
    "functions": 2,
    "http": 4,
    "disk full": 2,
    "sync fails": 1,
    "slow store": 3,
    "clock": 2,
}


def draw_fleet_faults(seed: int, *, window_s: float) -> list[Fault]:
    """Return the faults of a cluster's history, a few kinds each, so that they meet."""
    rng = Random(f"{seed} fleet")
    kinds = rng.choices(list(_WEIGHTS), list(_WEIGHTS.values()), k=rng.randint(1, 4))
    faults = []
    for _ in range(rng.randint(1, 6)):
        long = rng.random() < 0.3
        seconds = rng.uniform(1.0, 6.0) if long else rng.uniform(0.05, 1.0)
        faults.append(Fault(rng.choice(kinds), rng.uniform(0.0, window_s), seconds))
    return sorted(faults, key=lambda fault: fault.at_s)


async def strike(world: "World", fault: Fault) -> None:
    """Let one of them happen."""
    fleet = world.fleet
    assert fleet is not None
    if fault.kind in ("broker away", "network", "functions", "http", "disk full", "sync fails"):
        await trouble(world, fault)
        return
    if fault.kind == "slow store":
        world.store_slowness_s = world.rng.choice((0.1, 1.0, 3.0))
        await asyncio.sleep(fault.seconds)
        world.store_slowness_s = 0.0
        return
    if fault.kind == "join":
        world.rng.choice(fleet.machines).wanted.set()
        return
    if fault.kind == "moves":
        async with asyncio.TaskGroup() as tasks:
            # What comes meanwhile is behind what those open that stand by.
            tasks.create_task(
                world.traffic.produce_some(world.rng.randint(4, 20), 4 * fault.seconds)
            )
            await _moves(world, fault.seconds)
        return
    running = fleet.running
    if not running:
        return
    machine = world.rng.choice(running)
    match fault.kind:
        case "kill process":
            fleet.kill(machine)
        case "lost":
            # For good, and others do its work; but not the last one.
            if len([one for one in fleet.machines if one.wanted.is_set()]) > 1:
                machine.wanted.clear()
                fleet.kill(machine)
        case "power":
            # Of all machines, and of the one where the checkpoints are.
            for one in running:
                fleet.kill(one)
            world.disk.lose_power()
        case "kill worker" | "freeze worker":
            workers = [one for one in machine.processes if one is not machine.process]
            if not workers:
                return
            worker = world.rng.choice(workers)
            if fault.kind == "kill worker":
                assert machine.workplace is not None
                machine.workplace.end(worker)
            else:
                await _freeze(world, [worker], fault.seconds)
        case "freeze process":
            await _freeze(world, machine.processes, fault.seconds)
        case "freeze main":
            await _freeze(world, machine.processes[:1], fault.seconds)
        case "freeze leader":
            leading = [one for one in running if fleet.leads(one)]
            if leading:
                await _freeze(world, leading[0].processes, fault.seconds + 1.0)
        case "cut off":
            machine.is_cut = True
            await asyncio.sleep(fault.seconds)
            machine.is_cut = False
        case "leave":
            machine.wanted.clear()
            fleet.stop(machine)
            await asyncio.sleep(fault.seconds)
            machine.wanted.set()
        case "dies at hire":
            fleet.dies_at_hire = world.rng.randint(1, 3)
        case "dies at request":
            fleet.dies_at_request = world.rng.randint(1, 300)
        case "dies at put":
            fleet.dies_at_put = world.rng.randint(1, 3)
        case "unclear commit":
            world.cluster.unclear_commits += 1
        case "clock":
            machine.time.offset_s += world.rng.choice((-3600, -2, 3, 3600))


async def _moves(world: "World", seconds: float) -> None:
    """Machines come and leave, one soon after the other: while those before are still moved, too."""
    assert world.fleet is not None
    gone: list[Machine] = []
    for _ in range(world.rng.randint(1, 4)):
        running = world.fleet.running
        if gone and (len(running) < 2 or world.rng.random() < 0.5):
            gone.pop().wanted.set()
        elif len(running) > 1:
            followers = [one for one in running if not world.fleet.leads(one)]
            gone.append(world.rng.choice(followers or running))
            gone[-1].wanted.clear()
            world.fleet.stop(gone[-1])
        else:
            world.rng.choice(world.fleet.machines).wanted.set()
        await asyncio.sleep(world.rng.choice((0.1, 1.0, 2.0)) * seconds)
    for machine in gone:
        machine.wanted.set()


async def _freeze(world: "World", processes: list[Process], seconds: float) -> None:
    some = [one for one in processes if not one.is_frozen]
    for process in some:
        world.loop.freeze(process)
    await asyncio.sleep(seconds)
    for process in some:
        if not process.is_dead:
            world.loop.thaw(process)
