"""A whole application in a simulation: worker, machine, cluster, functions and clients, with one seed for everything.

lives, one after the other, while faults are injected ─▶ all faults are over ─▶ everything that must happen does
─▶ nothing more happens ─▶ clean stop ─▶ the last checkpoint holds what the model says
"""

import asyncio
import contextvars
import hashlib
import logging
from dataclasses import replace
from random import Random
from typing import Any

from statefun_runtime.app.cluster.carried import with_carried_http
from statefun_runtime.config.cluster import ClusterSettings
from statefun_runtime.connectors.kafka.egress.limits import PublisherLimits
from statefun_runtime.engine.stop import Stop
from statefun_runtime.errors import FencedError, StatefunError, UnavailableError
from statefun_runtime.ports.off_loop import OffLoop
from tests.simulation import checker
from tests.simulation.drawing import BURIED_CALL_S, draw_settings, make_module
from tests.simulation.fake_functions import Endpoint
from tests.simulation.faults import (
    draw_faults,
    draw_lineages,
    draw_team_faults,
    inject,
    may_start_elsewhere,
)
from tests.simulation.fleet.faults import draw_fleet_faults
from tests.simulation.fleet.fleet import Fleet, Machine
from tests.simulation.kafka.clients import FakeClients, Network
from tests.simulation.kafka.cluster import Cluster
from tests.simulation.life import Outside, live, make_ports
from tests.simulation.machine.fake_disk import Disk, DiskCalls, FakePath
from tests.simulation.machine.fake_http import Ports, fake_server
from tests.simulation.machine.loop import PROCESS, RANDOM, Killed, Process, SimLoop, off_loop
from tests.simulation.machine.state_store import Failure
from tests.simulation.machine.wall import Time
from tests.simulation.operator import Operator
from tests.simulation.outages import draw_calls
from tests.simulation.programs import IDS, Program
from tests.simulation.team.channels import SimLinks, SimPipe
from tests.simulation.team.member import lead, serve
from tests.simulation.team.workplace import SimWorkplace
from tests.simulation.traffic import Sent, Traffic

_CONVERGE_S, _CLUSTER_CONVERGE_S = 1500.0, 300.0
_BURIED_S = 6000.0
# Delays that follow each other, a worker that starts anew, a pause of a probe, and that of who failed for his endpoint.
_PROMPT_S = 40.0
# Longer than the longest delay that a message which is cancelled may have.
_QUIET_S = 5.0
# A worker hears a little later that the disk has refused something.
_HEARD_OF_S = 0.01
_STEPS_MAX = 400_000
_INBOX_S = (0.0, 0.0, 0.03, 0.3)
_MAKE_ZOMBIES = ("freeze", "cut off", "network", "broker away", "usurp", "copy")
# How long the loop takes for a turn: of a quick machine, and of one that has much else to do.
_TURNS_S = (0.0, 0.000_02, 0.000_5)


class World:
    """One history."""

    def __init__(
        self, seed: int, *, verbose: bool = False, workers: int = 0, cluster: int = 0
    ) -> None:
        self.seed = seed
        # How many there are; none stands for one that is alone.
        self.workers = workers
        # How many processes a cluster has at most; none stands for no cluster.
        self.cluster_size = cluster
        self.fleet: Fleet | None = None
        self.workplaces: dict[Process, SimWorkplace] = {}
        self.rng = Random(seed)
        turn_s = Random(f"{seed} turns").choice(_TURNS_S)
        self.loop = SimLoop(turn_s, steps_max=_STEPS_MAX * (1 + workers + cluster))
        self.verbose = verbose
        self.trace: list[str] = []
        self.failures: list[str] = []
        self.process: Process | None = None
        self.lives = 0
        self.processes = 1000
        self.network_trouble = 0.0
        self.store_failures = 0
        self.freezes_worker = False
        self.store_slowness_s = 0.0
        self._blindness = Random(seed)
        self.is_over = False
        self.is_given_up = False
        self.is_copied = False
        # Whoever does not know yet that others have gone on may show what was there.
        self.has_zombies = False
        self._has_died = False
        self._armed: tuple[int, bool, bool] | None = None
        self.operator = Operator(self, Random(f"{seed} operator"))
        self._stop: Stop | None = None
        self._zombies: dict[Process, None] = {}
        self._healed_s = self._news_s = 0.0
        self._known: dict[tuple[str, str], None] = {}

    # ── what happens is told ──

    def say(self, text: str) -> None:
        line = f"{self.loop.time() - 1000:9.4f} {self.lives:2d} {text}"
        self.trace.append(line)
        if self.verbose:
            print(line)

    def fail(self, text: str) -> None:
        self.failures.append(text)
        self.say(f"FAILURE: {text}")

    @property
    def trace_hash(self) -> str:
        return hashlib.sha256("\n".join(self.trace).encode()).hexdigest()

    # ── building ──

    def run(self) -> list[str]:
        """Play the history; return what was wrong."""
        try:
            contextvars.copy_context().run(self.loop.run, self._play())
        except Exception as error:
            if self.verbose:
                logging.exception("the history ended")
            cause: BaseException = error
            while isinstance(cause, BaseExceptionGroup):
                cause = cause.exceptions[0]
            self.fail(f"{type(cause).__name__}: {cause}")
        for bug in self.loop.errors:
            self.fail(f"in a callback: {type(bug).__name__}: {bug}")
        return self.failures

    def _build(self) -> None:
        rng = self.rng
        self.disk = Disk(Random(rng.getrandbits(32)), self.loop.time)
        self.disk.before_write = lambda: self._at_write(is_before=True)
        self.disk.after_write = lambda: self._at_write(is_before=False)
        self.folder = FakePath(self.disk, "state")
        self.cluster = Cluster(Random(rng.getrandbits(32)), self.say)
        self.ports = Ports(Random(rng.getrandbits(32)), contextvars.copy_context())
        self.time = Time(self.loop)
        few = IDS[: rng.choice((1, 2, 4))]
        calls = self.calls = draw_calls(self.seed)
        ids = calls.ids or few
        # Of four histories one gives poison up as dead letters, and one parks it until everything is well.
        self.is_buried, has_parking = self.seed % 4 == 0, self.seed % 4 == 2
        # Several workers give up as one does, and are too many for so long a history.
        self.is_buried &= not calls.is_outage and not self.workers and not self.cluster_size
        has_poison = self.is_buried or (has_parking and not calls.is_outage)
        self.program = Program(rng.getrandbits(32), ids, has_poison=has_poison)
        self.endpoint = Endpoint(self.program, Random(rng.getrandbits(32)), self._saw)
        self.endpoint.is_patient = self.is_buried
        self.endpoint.fates, self.endpoint.batch_max = calls.fates, calls.batch_max
        self.endpoint.slowness_s = rng.choice((0.002, 0.02, 0.2))
        self.has_http = rng.random() < 0.6
        # Where such a reader begins is known by what functions see, and in an outage they see nothing.
        self.is_latest = rng.random() < 0.3 and not calls.is_outage
        # Where such a reader begins is known by what functions see, and they see no poison.
        self.program.has_poison &= not self.is_latest
        self.first_seen: dict[int, int] = {}
        self.sent = Sent()
        self.traffic = Traffic(
            Random(rng.getrandbits(32)), self.cluster, self.ports, self.sent, ids
        )
        self._module = make_module(
            has_http=self.has_http,
            is_latest=self.is_latest,
            is_buried=self.is_buried,
            calls=calls,
        )
        if self.cluster_size:
            self._module = with_carried_http(self._module, ClusterSettings("sim", "kafka"))
        self.checkpoints_kept = rng.choice((1, 2, 3))
        self._settings = draw_settings(rng, checkpoints_kept=self.checkpoints_kept)
        for topic, partitions in (("in", rng.randint(1, 3)), ("out", 2), ("alo", 1), ("dead", 1)):
            self.cluster.make_topic(topic, partitions)
        if self.cluster_size:
            # What is on its way at a cut is in no worker's state: the longer, the more.
            self.cluster.inbox_slowness_s = Random(f"{self.seed} inbox").choice(_INBOX_S)
            self.context = contextvars.copy_context()
            self.fleet = Fleet(self, self.cluster_size, Random(f"{self.seed} fleet"))
        self._segment_bytes = rng.choice((200, 100_000))
        self._publishing = PublisherLimits(
            transaction_bytes_max=rng.choice((200, 1_000_000)),
            memory_bytes_max=1 << 25 if self.seed % 2 else 300,
            commit_s=6.0,
        )

    # ── playing ──

    async def _play(self) -> None:
        self._build()
        self._pool_size = self.rng.choice((2, 8, 64))
        async with asyncio.TaskGroup() as tasks:
            lives = self._supervise() if self.fleet is None else self.fleet.run()
            supervisor = tasks.create_task(lives)
            reader = tasks.create_task(self.traffic.read_web())
            await self._go_wrong()
            self._heal()
            await self._converge()
            reader.cancel()
            await self._end(supervisor)
        self.failures += checker.check_rest(self)

    async def _go_wrong(self) -> None:
        rng = self.rng
        window_s = rng.uniform(1.0, 4.0)
        records = rng.randint(2, 10) if rng.random() < 0.8 else rng.randint(10, 30)
        if self.cluster_size:
            # Until there is a leader seconds have passed, and to take somebody in lasts seconds more.
            window_s, records = 2 * window_s, 3 * records
        # An application that another follows in another folder is fenced by nobody.
        is_followed = may_start_elsewhere(self.seed, has_http=self.has_http)
        left_out: tuple[str, ...] = ("usurp",) if self.has_http or is_followed else ()
        if self.calls.is_outage:
            left_out += ("functions",)
        faults = draw_faults(rng, window_s=window_s, kinds_left_out=left_out)
        faults += self.calls.outages
        faults += draw_lineages(self.seed, window_s=window_s, has_http=self.has_http)
        if self.workers:
            faults = draw_team_faults(self.seed, faults, window_s=window_s)
        if self.cluster_size:
            drawn = draw_fleet_faults(self.seed, window_s=window_s)
            faults = [fault for fault in drawn if fault.kind not in left_out]
        faults.sort(key=lambda fault: fault.at_s)
        self.has_zombies = any(fault.kind.startswith(_MAKE_ZOMBIES) for fault in faults)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(inject(self, faults))
            tasks.create_task(self.traffic.produce_some(records, window_s))
            if self.has_http:
                for name in "pq"[: rng.randint(1, 2)]:
                    tasks.create_task(self.traffic.put_some(rng.randint(1, 5), window_s, name))

    def _heal(self) -> None:
        self._armed = None
        self.store_failures = 0
        if self.fleet is not None:
            self.fleet.dies_at_hire = self.fleet.dies_at_request = self.fleet.dies_at_put = 0
            self.cluster.unclear_commits = 0
        self.say("all faults are over")
        self._healed_s = self.loop.time()
        self.endpoint.slowness_s = 0.005
        if not self.is_buried:
            self.program.has_poison = False

    async def _converge(self) -> None:
        """Wait for all that must happen, then whether more happens that must not."""
        limit_s = _CLUSTER_CONVERGE_S if self.cluster_size else _CONVERGE_S
        ends_s = self.loop.time() + (_BURIED_S if self.is_buried else limit_s)
        if self.is_latest:
            await self._produce_last()
        if not await self._arrive(ends_s):
            return
        if self.operator.has_decided:
            # What earlier lineages have told hides that the last one has not begun yet, or not read as far.
            self.traffic.produce_everywhere()
            if not await self._arrive(ends_s):
                return
        if self.calls.is_outage and self._news_s > self._healed_s + _PROMPT_S:
            self.fail(f"a function was called {self._news_s - self._healed_s:.0f} s after all")
        if not checker.has_optional(self):
            await asyncio.sleep(1.5)
        elif not self.is_buried:
            await asyncio.sleep(_QUIET_S)
        else:
            await self._give_up()
            await self._arrive(ends_s)

    async def _give_up(self) -> None:
        """A message that is given up takes its time, and those before it take theirs."""
        refused, quiet = self.endpoint.refused, 0
        for _ in range(60):
            self.traffic.produce_well()
            await asyncio.sleep(_QUIET_S)
            quiet = quiet + 1 if refused == self.endpoint.refused else 0
            refused = self.endpoint.refused
            if quiet * _QUIET_S > BURIED_CALL_S:
                return

    async def _arrive(self, ends_s: float) -> bool:
        """Return whether all that must happen does by then."""
        wait_s = 0.5
        while not self.is_given_up and (missing := checker.missing(self)):
            if self.is_buried:
                # Who fails is given up only if others succeed now and then.
                self.traffic.produce_well()
            await asyncio.sleep(wait_s)
            wait_s = min(wait_s * 1.3, 20.0)
            if self.failures or self.loop.time() > ends_s:
                self.fail(f"{len(missing)} effects are missing: {missing[:5]}")
                return False
        return True

    async def _produce_last(self) -> None:
        """A reader that begins at the end shows where that was when it meets a record."""
        while len(self.first_seen) < len(self.cluster.topics["in"]):
            self.traffic.produce()
            await asyncio.sleep(0.5)
            if self.failures or self.is_given_up:
                return

    async def _end(self, supervisor: "asyncio.Task[None]") -> None:
        self.is_over = True
        if self.fleet is not None:
            await self.fleet.stop_all()
        self.stop()
        try:
            async with asyncio.timeout(60):
                await supervisor
        except TimeoutError:
            self.fail("the worker does not stop")
            self.kill(with_power=False)

    # ── lives ──

    async def _supervise(self) -> None:
        while not self.is_over:
            await self._one_life()
            if self.is_over or self.failures or self.is_given_up:
                return
            await asyncio.sleep(self.rng.choice((0.02, 0.2, 1.5)))

    async def _one_life(self) -> None:
        process, ended = self._start()
        result = await ended
        if process is self.process:
            self.process = None
        if result is not None:
            self.judge(result, process)

    def _start(self) -> tuple[Process, "asyncio.Future[BaseException | None]"]:
        self.lives += 1
        process = Process(self.lives)
        rng = Random(self.rng.getrandbits(32))
        process.context.run(RANDOM.set, rng)
        ended: asyncio.Future[BaseException | None] = self.loop.create_future()
        process.ended = ended  # type: ignore[attr-defined]
        stop = process.context.run(Stop)
        self.process, self._stop = process, stop
        self.say("a worker starts")
        outside = self.outside(process, rng)
        count = 1
        if self.workers:
            most = min(self.workers, self._settings.key_group_count)
            count = Random(f"{self.seed} {self.lives} workers").randint(1, most)
        if count > 1:
            workplace = SimWorkplace(self, process, Random(rng.getrandbits(32)), self._serve)
            self.workplaces[process] = workplace
            self.say(f"it leads {count}")
            life = lead(outside, stop, workplace, count, self.say)
        else:
            life = live(outside, stop)
        task = self.loop.create_task(life, context=process.context)
        task.add_done_callback(lambda task: self._finished(process, task))
        return process, ended

    def _serve(
        self, process: Process, request: dict[str, Any], links: SimLinks, pipe: SimPipe
    ) -> Any:
        outside = self.outside(process, Random(process.seed))
        ports = make_ports(outside, is_first=False)
        return serve(outside, ports, lambda _: links, request, pipe)

    def outside(self, process: Process, rng: Random, machine: Machine | None = None) -> Outside:
        disk: Any = DiskCalls(self.disk)
        is_cut = (lambda: machine.is_cut) if machine is not None else (lambda: False)
        network = Network(
            self.cluster, process, rng, lambda: self.network_trouble, is_cut, self._sends
        )
        return Outside(
            replace(self._settings, partition_count=rng.choice((1, 2, 4))),
            self._module,
            self.folder if machine is None else machine.folder,
            disk,
            (self.time if machine is None else machine.time).clocks(),
            fake_server(self.ports),
            self.endpoint,
            FakeClients(network, self.say),
            self._store_fails,
            self._pool_size,
            self._segment_bytes,
            self._publishing,
            self.operator,
            rng,
            None if machine is None else self.folder,
            self._reach(rng),
            "sim" if machine is None else f"m{machine.number}",
            Random(f"{self.seed} reads").choice((20, 1 << 20)),
        )

    def _sends(self, process: Process) -> None:
        if self.fleet is not None:
            self.fleet.requests(process)

    def _reach(self, rng: Random) -> OffLoop:
        async def reach(work: Any, *args: Any) -> Any:
            if self.store_slowness_s:
                await asyncio.sleep(rng.random() * self.store_slowness_s)
            return await off_loop(work, *args)

        return reach

    def _finished(self, process: Process, task: "asyncio.Task[None]") -> None:
        ended = process.ended  # type: ignore[attr-defined]
        if ended.done():
            return
        process.is_dead = True
        self.loop.bury(process)
        self._dismiss(process)
        error = task.exception() if not task.cancelled() else None
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        self.say(f"the worker ended: {type(error).__name__ if error else 'clean'}")
        ended.set_result(error)

    def judge(self, error: BaseException, process: Process) -> None:
        """Decide whether a worker had a reason to end."""
        if isinstance(error, FencedError) and process in self._zombies:
            return
        if isinstance(error, FencedError) and self.is_copied:
            # The original had gone on before the copy spoke: of the two one must end, and the operator says which.
            self.say("the copy was late")
            self.is_given_up = True
            return
        if isinstance(error, FencedError) and any(not zombie.is_dead for zombie in self._zombies):
            # Nobody had told a zombie in the log that it is one, and it wrote there first.
            return
        is_disk_bad = (
            self.disk.is_full
            or self.disk.sync_fails
            or self.loop.time() - self.disk.refused_s < _HEARD_OF_S
        )
        if isinstance(error, UnavailableError | OSError) and is_disk_bad:
            return
        if isinstance(error, UnavailableError) and error.code == "SF3016":
            return
        text = error.message if isinstance(error, StatefunError) else str(error)
        self.fail(f"a worker ended with {type(error).__name__}: {text}{_where(error)}")

    def stop(self) -> None:
        """SIGTERM."""
        if self._stop is not None and self.process is not None:
            self.loop.call_soon(self._stop.ask, context=self.process.context)

    def kill(self, *, with_power: bool, process: Process | None = None) -> None:
        """End a worker at once; nothing of it runs any more."""
        process = process or self.process
        if with_power:
            self.disk.lose_power()
        if process is None or process.is_dead:
            return
        self.say("power is lost" if with_power else "killed")
        process.is_dead = True
        self.loop.bury(process)
        self._dismiss(process)
        ended = process.ended  # type: ignore[attr-defined]
        if not ended.done():
            ended.set_result(None)

    def _dismiss(self, leader: Process) -> None:
        """Workers do not outlive who leads them."""
        workplace = self.workplaces.pop(leader, None)
        if workplace is not None:
            workplace.end_all()

    def some_worker(self) -> tuple[SimWorkplace, Process] | None:
        """Return one of the workers that are led now."""
        workplace = self.workplaces.get(self.process) if self.process is not None else None
        alive = [one for one in workplace.workers if not one.is_dead] if workplace else []
        if workplace is None or not alive:
            return None
        return workplace, self.rng.choice(alive)

    def arm(self, *, writes: int, with_power: bool) -> None:
        """Kill the worker at one of its next writes, just before or just after."""
        self._armed = writes, self.rng.random() < 0.5, with_power

    def _at_write(self, *, is_before: bool) -> None:
        if self._armed is None or self.process is None:
            return
        writes, before, with_power = self._armed
        if before != is_before:
            return
        self._armed = (writes - 1, before, with_power)
        if writes <= 1:
            self._armed = None
            writer = PROCESS.get()
            workplace = self.workplaces.get(self.process)
            if workplace is not None and not with_power and writer in workplace.workers:
                workplace.end(writer)
            else:
                self.kill(with_power=with_power)
            raise Killed

    async def usurp(self, seconds: float, *, is_copy: bool = False) -> None:
        """Freeze the worker, let another take its folder, or a copy, and thaw the first: it must not be noticed.

        On a folder of its own the first can complete checkpoints; nobody but the broker tells it that it is late.
        """
        zombie = self.process
        if zombie is None or zombie.is_frozen or zombie.is_dead:
            return
        self.loop.freeze(zombie)
        ended = zombie.ended  # type: ignore[attr-defined]
        self._zombies[zombie] = None
        zombie.is_zombie = True
        if is_copy:
            copy = FakePath(self.disk, f"{self.folder.path}-copy")
            self.disk.copy_tree(self.folder.path, copy.path)
            self.folder = copy
            self.is_copied = True
            self.say("the folder is copied")
        if not ended.done():
            ended.set_result(None)
        await asyncio.sleep(2.0 + seconds)
        self.say("a zombie goes on")
        zombie.ended = self.loop.create_future()  # type: ignore[attr-defined]
        self.loop.thaw(zombie)
        await asyncio.sleep(20.0)
        if not zombie.is_dead:
            self.say("the zombie is ended")
            zombie.is_dead = True
            self.loop.bury(zombie)

    def _store_fails(self) -> Failure | None:
        if not self.store_failures:
            return None
        self.store_failures -= 1
        return "everything" if self._blindness.random() < 0.5 else "writes"

    def _saw(self, address: str, payloads: list[str]) -> None:
        self.say(f"{address} <- {' '.join(payload.rstrip('.') for payload in payloads)}")
        process = PROCESS.get()
        if self.is_copied and process is not None and process.is_zombie:
            # The original begins where it began; a copy of a folder that held no checkpoint yet begins anew.
            return
        for payload in payloads:
            text, _, place = payload.rstrip(".").partition("|")
            if (address, text) not in self._known:
                self._known[address, text] = None
                self._news_s = self.loop.time()
            if ":" in place and "/" not in text:
                split, offset = map(int, place.split(":"))
                self.first_seen[split] = min(offset, self.first_seen.get(split, offset))


def _where(error: BaseException) -> str:
    traceback = error.__traceback__
    lines = []
    while traceback is not None:
        code = traceback.tb_frame.f_code
        lines.append(f"{code.co_filename.rpartition('/')[2]}:{traceback.tb_lineno}")
        traceback = traceback.tb_next
    return " at " + " ".join(lines[-5:])
