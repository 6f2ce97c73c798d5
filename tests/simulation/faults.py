"""Seeded faults: what goes wrong, when, and for how long."""

import asyncio
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

from statefun_runtime.core.partition.retry import Cause, Failure

if TYPE_CHECKING:
    from tests.simulation.world import World

_WEIGHTS = {
    "kill": 5,
    "power": 3,
    "kill at a write": 8,
    "power at a write": 8,
    "kill, then power": 5,
    "stop": 3,
    "freeze": 5,
    "usurp": 3,
    "disk full": 3,
    "sync fails": 2,
    "store fails": 2,
    "broker away": 4,
    "network": 5,
    "functions": 5,
    "http": 3,
    "clock": 3,
}


WAYS = (
    *(Failure(Cause.STATUS, f"status {status}", status) for status in (401, 404, 429, 500, 503)),
    Failure(Cause.STATUS, "status 429", 429, retry_after_s=0.5),
    Failure(Cause.STATUS, "status 503", 503, retry_after_s=7.0),
    Failure(Cause.CONTENT_TYPE, "text/html"),
    Failure(Cause.CONNECT, "refused"),
    Failure(Cause.DISCONNECT, "cut"),
    Failure(Cause.TIMEOUT, "no reply"),
)
_LINEAGE_HISTORIES = 6
# Who would be frozen as long as that never wakes, and says nothing before it is ready: it is the next that is started.
_FOR_EVER_S = 3.0
_WORST_IN_TRANSACTIONS = ("kill", "power", "freeze", "usurp", "broker away")


@dataclass(frozen=True)
class Fault:
    """One fault."""

    kind: str
    at_s: float
    seconds: float


def draw_faults(
    rng: Random, *, window_s: float, kinds_left_out: tuple[str, ...] = ()
) -> list[Fault]:
    """Return the faults of a history, in order of time; a few kinds each, so that they meet."""
    kinds = [kind for kind in _WEIGHTS if kind not in kinds_left_out]
    some = rng.choices(kinds, [_WEIGHTS[kind] for kind in kinds], k=rng.randint(2, 4))
    faults = []
    for _ in range(rng.randint(1, 9)):
        long = rng.random() < 0.25
        seconds = rng.uniform(0.5, 9.0) if long else rng.uniform(0.02, 0.8)
        faults.append(Fault(rng.choice(some), rng.uniform(0.0, window_s), seconds))
    return sorted(faults, key=lambda fault: fault.at_s)


def draw_lineages(seed: int, *, window_s: float, has_http: bool) -> list[Fault]:
    """Return when an operator goes back to an older checkpoint or savepoint, or starts a copy of the folder.

    Drawn apart from the other faults: a seed keeps the history that it had without.
    """
    rng = Random(f"{seed} lineages")
    match seed % _LINEAGE_HISTORIES:
        case 1:
            return [
                Fault("go back", rng.uniform(0.5, window_s + 1.0), rng.choice((0.0, 0.0, 1.0)))
                for _ in range(rng.choice((1, 1, 2)))
            ]
        case 3 if not has_http:
            return [Fault("copy", rng.uniform(0.5, window_s), rng.uniform(0.02, 6.0))]
        case 5:
            taken_s = [rng.uniform(0.2, window_s) for _ in range(rng.choice((1, 2, 3)))]
            starts_s = [
                min(taken_s) + rng.uniform(0.1, window_s) for _ in range(rng.choice((1, 1, 2)))
            ]
            elsewhere = may_start_elsewhere(seed, has_http=has_http)
            where = "elsewhere" if elsewhere else "here"
            faults = [Fault("savepoint", at_s, 0.0) for at_s in taken_s]
            return faults + [
                Fault(f"from savepoint, {where}", at_s, rng.choice((0.0, 1.0))) for at_s in starts_s
            ]
    return []


def draw_team_faults(seed: int, faults: list[Fault], *, window_s: float) -> list[Fault]:
    """Return faults for several workers: some more that hit one of them, and none that only a single one knows."""
    rng = Random(f"{seed} team")
    kept = [fault for fault in faults if fault.kind not in ("usurp", "copy")]
    for _ in range(rng.randint(0, 4)):
        kind = rng.choice(("kill worker", "kill worker", "freeze worker"))
        kept.append(Fault(kind, rng.uniform(0.0, window_s + 1.0), rng.uniform(0.05, 4.0)))
    return sorted(kept, key=lambda fault: fault.at_s)


def may_start_elsewhere(seed: int, *, has_http: bool) -> bool:
    """Return whether an operator may start a new application from a savepoint, which has no HTTP records of the old."""
    return seed % (2 * _LINEAGE_HISTORIES) == _LINEAGE_HISTORIES - 1 and not has_http


async def inject(world: "World", faults: list[Fault]) -> None:
    """Let everything go wrong as planned; returns when the last fault is over."""
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    async with asyncio.TaskGroup() as tasks:
        for fault in faults:
            await asyncio.sleep(max(0.0, began_s + fault.at_s - loop.time()))
            world.say(f"fault: {fault.kind} for {fault.seconds:.2f} s")
            tasks.create_task(_do(world, fault))


async def _do(world: "World", fault: Fault) -> None:
    from tests.simulation.fleet.faults import strike

    if fault.kind in _WORST_IN_TRANSACTIONS and world.rng.random() < 0.5:
        await _transaction(world)
    if world.fleet is not None:
        await strike(world, fault)
        return
    match fault.kind:
        case "kill":
            world.kill(with_power=False)
        case "power":
            world.kill(with_power=True)
        case "kill at a write" | "power at a write":
            world.arm(writes=world.rng.randint(1, 25), with_power=fault.kind.startswith("power"))
        case "kill, then power":
            # What the first left in the page cache, the second takes from whoever relied on it.
            world.arm(writes=world.rng.randint(1, 12), with_power=False)
            await asyncio.sleep(0.3 + fault.seconds)
            world.kill(with_power=True)
        case "stop":
            world.stop()
        case "freeze":
            await _freeze(world, fault.seconds)
        case "kill worker":
            if (found := world.some_worker()) is not None:
                found[0].end(found[1])
        case "freeze worker" if fault.seconds > _FOR_EVER_S:
            world.freezes_worker = True
        case "freeze worker":
            if (found := world.some_worker()) is not None and not found[1].is_frozen:
                world.loop.freeze(found[1])
                await asyncio.sleep(fault.seconds)
                world.loop.thaw(found[1])
        case "usurp":
            await world.usurp(fault.seconds)
        case "copy":
            await world.usurp(fault.seconds, is_copy=True)
        case "go back":
            # With some luck the start that goes back is hit, too, and made again with the same arguments.
            world.operator.go_back(is_kill=fault.seconds > 0)
        case "savepoint":
            world.operator.ask_for_savepoint()
        case "from savepoint, here" | "from savepoint, elsewhere":
            await world.operator.start_from_savepoint(
                is_kill=fault.seconds > 0, is_elsewhere=fault.kind.endswith("elsewhere")
            )
        case "outage":
            way = world.rng.choice(WAYS)
            world.say(f"everybody gets {way.detail}")
            await world.endpoint.be_down(way, fault.seconds)
        case "store fails":
            world.store_failures += 1
        case "clock":
            world.time.offset_s += world.rng.choice((-86_400, -60, -2, 3, 60, 7_200))
        case _:
            await trouble(world, fault)


async def _transaction(world: "World") -> None:
    """Wait until a transaction is open, but not for ever."""
    for _ in range(2_000):
        if any(producer.is_writing for producer in world.cluster.producers.values()):
            return
        await asyncio.sleep(0.0011)


async def _freeze(world: "World", seconds: float) -> None:
    process = world.process
    if process is None or process.is_frozen:
        return
    world.loop.freeze(process)
    await asyncio.sleep(seconds)
    world.loop.thaw(process)


async def trouble(world: "World", fault: Fault) -> None:
    """Something is bad for a while, and then is not; of two at a time the first that ends, ends it."""
    owner, name = {
        "disk full": (world.disk, "is_full"),
        "sync fails": (world.disk, "sync_fails"),
        "broker away": (world.cluster, "is_away"),
        "network": (world, "network_trouble"),
        "functions": (world.endpoint, "trouble"),
        "http": (world.ports, "trouble"),
    }[fault.kind]
    well = getattr(owner, name)
    bad = True if isinstance(well, bool) else world.rng.choice((0.05, 0.3, 0.7))
    setattr(owner, name, bad)
    await asyncio.sleep(fault.seconds)
    setattr(owner, name, False if isinstance(bad, bool) else 0.0)
