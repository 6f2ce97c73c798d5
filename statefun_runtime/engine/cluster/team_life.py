"""One life of several workers: from a plan in the commit log until all have ended well, or one has not.

    plan written ─▶ workers started with pipes and channels ─▶ all ready ─▶ checkpoints ─▶ Finish ─▶ all rest ─▶ last
    checkpoints ─▶ all have ended
                    └───────────── a worker is gone, or says nothing ─────────────▶ all are killed

Who leads is the one process that holds the folder, so nobody else can; its plan is void when it writes the next one.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from typing import Any

from statefun_runtime.core.checkpoints.manifest import ObjectId, Outbox, form
from statefun_runtime.core.checkpoints.retention import Retention
from statefun_runtime.core.checkpoints.settling import before_any_other
from statefun_runtime.core.cluster import words
from statefun_runtime.core.cluster.plan import assign
from statefun_runtime.core.cluster.troubles import beginning_again, worker_lost
from statefun_runtime.engine.beginning import Beginning, Ports
from statefun_runtime.engine.checkpoints.checkpointer import Checkpointer
from statefun_runtime.engine.checkpoints.ledger import Identity, Ledger
from statefun_runtime.engine.cluster.leading import RemoteParticipant, Using
from statefun_runtime.engine.cluster.planning import gone_on
from statefun_runtime.engine.cluster.preparation import Preparation
from statefun_runtime.engine.cluster.worker_process import WorkerProcess
from statefun_runtime.engine.phases import Phases
from statefun_runtime.engine.settings import EngineSettings
from statefun_runtime.engine.stop import Stop
from statefun_runtime.errors import UnavailableError
from statefun_runtime.ports.team import Workplace

log = logging.getLogger("statefun.leader")

_SILENCE_LOOK_S = 0.25
# A process that starts does much at once; it beats from the beginning of its life.
_STARTING_SILENCE_S = 15.0
_BURIED_S = 10.0
# A process that leaves has not much more time than that.
_PREPARE_S = 20.0
_PREPARATIONS_MAX = 3
_MOVE_DRAIN_MS = 500


class TeamLife:
    """Leads the workers of one plan."""

    def __init__(
        self,
        workplace: Workplace,
        ports: Ports,
        beginning: Beginning,
        settings: EngineSettings,
        stop: Stop,
        *,
        silence_s: float,
        preparation: Preparation | None = None,
    ) -> None:
        self._workplace = workplace
        self._ports = ports
        self._beginning = beginning
        self._settings = settings
        self._stop = stop
        self._silence_s = silence_s
        # Of this plan; when its life has ended well, of the next one.
        self.preparation = preparation
        self._held = AsyncExitStack()
        self._loop = asyncio.get_running_loop()
        self.plan = beginning.start.started.plan
        self.workers: dict[int, WorkerProcess] = {}
        self._ended_early: dict[int, int] = {}
        self._using = Using()
        self._held_by = ""
        self._is_finishing = False
        self.lost: asyncio.Future[BaseException] = self._loop.create_future()
        self._news = asyncio.Event()
        clock = ports.make_clock(0)
        self._participants = [
            RemoteParticipant(member.owner, self._teller(member.slot), self._using, self._wanted)
            for member in self.plan.members
        ]
        self._ledger = self._make_ledger()
        self.checkpointer = Checkpointer(
            self._participants,
            self._ledger,
            self._using,
            clock,
            interval_s=settings.checkpoint_interval_s,
            first_epoch=beginning.start.first_epoch,
            abandoned=settings.abandoned_egresses,
            first=before_any_other(beginning.start.manifest, self.plan, beginning.outboxes),
        )

    def go_on(self, nonce: str) -> tuple[Ports, Beginning] | None:
        """Return where the next life begins when this one has ended well; None if that has to be read."""
        if self._settings.abandoned_egresses:
            return None
        beginning = gone_on(self._beginning, self._ledger, nonce)
        return None if beginning is None else (self._ports, beginning)

    def _make_ledger(self) -> Ledger:
        settings, start, ports = self._settings, self._beginning.start, self._ports
        return Ledger(
            Identity(start.started, settings.key_group_count, settings.partition_count),
            ports.checkpoints,
            ports.commit_log,
            Retention(
                settings.checkpoints_kept,
                start.kept,
                set(start.there),
                start.started.from_manifest,
            ),
            self._using,
            last=start.manifest,
            collect_every=settings.pace.collect_every,
        )

    def _teller(self, slot: int) -> Callable[[words.Order], None]:
        return lambda order: self.workers[slot].tell(order)

    def _wanted(self) -> None:
        self.checkpointer.end_early()

    # ── from start to end ──

    async def run(self, announce: Callable[[], None]) -> None:
        """Lead until the application has stopped; raise what a worker ended with, or that one is gone."""
        phases = Phases(self._loop.time)
        beside: list[asyncio.Task[Any]] = []
        try:
            await self._ports.commit_log.append(self._beginning.start.started)
            phases.ended("entry")
            await self._start(beside)
            beside.append(self._loop.create_task(self._watch()))
            phases.ended("hired")
            await self._unless_lost(self._all(lambda one: one.is_ready))
            phases.ended("ready")
            log.debug("the life began: %s", phases)
            announce()
            checkpoints = self._loop.create_task(self.checkpointer.run())
            checkpoints.add_done_callback(self._checkpoints_ended)
            beside.append(checkpoints)
            await self._unless_lost(self._over())
            phases = Phases(self._loop.time)
            await self._unless_lost(self._finish(phases))
        except BaseException:
            self._dismiss()
            raise
        finally:
            await self._held.aclose()
            error = beginning_again()
            for worker in self.workers.values():
                worker.gone(error)
            # What may be in the log is known before the next plan is written.
            await self.checkpointer.rest()
            for task in beside:
                task.cancel()
            for worker in self.workers.values():
                self._workplace.kill(worker.number)
            if self.preparation is None:
                await self._buried()
            phases.ended("buried")
            log.debug("the life ended: %s", phases)

    async def _over(self) -> None:
        """Return when the application is to stop, or to go on with other workers, which stand by then if they can."""
        for number in range(_PREPARATIONS_MAX):
            await self._first(self._stop.asked(), self._workplace.changed())
            if self._stop.is_asked or await self._is_prepared(number):
                return
        await self._first(self._stop.asked(), self._workplace.changed())

    async def _first(self, *works: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Return the first that is done; the others are cancelled."""
        tasks = [self._loop.create_task(work) for work in works]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        return next(task for task in tasks if task in done)

    async def _is_prepared(self, number: int) -> bool:
        """Have the workers of the plan to come stand by; return False if that cannot be, or there is room for yet others."""
        slots = self._workplace.foresee()
        if not slots or self.checkpointer.last_id is None:
            return True
        plan = assign(self.plan.key_group_count, slots, self.plan)
        name = f"{self._beginning.start.started.nonce} {number}"
        self.preparation = Preparation(self._workplace, plan, name)
        work = self._prepare(self.preparation)
        first = await self._first(work, self._stop.asked(), self._workplace.changed())
        error = first.exception()
        if first.get_coro() is work and error is None:
            return True
        if isinstance(error, UnavailableError | TimeoutError):
            log.warning("the workers to come cannot be prepared: %s", error)
        elif error is not None:
            raise error
        self._dismiss()
        self._workplace.overlook()
        await self._held.aclose()
        return self._stop.is_asked

    async def _prepare(self, preparation: Preparation) -> None:
        """Nothing is collected meanwhile, and no base taken: those that stand by could not go on from another one."""
        async with asyncio.timeout(_PREPARE_S):
            await self._held.enter_async_context(self._using)
            # A base that was taken before is in a checkpoint then.
            await self.checkpointer.saved()
            await preparation.run(self._last_id)

    def _last_id(self) -> ObjectId:
        last = self.checkpointer.last_id
        assert last is not None, "nobody stands by before there is a checkpoint"
        return last

    def _dismiss(self) -> None:
        if self.preparation is not None:
            self.preparation.dismiss()
            self.preparation = None

    async def _buried(self) -> None:
        """Wait until nobody holds a port or a file any more."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_BURIED_S):
                await self._all(lambda one: one.is_buried)

    async def _unless_lost(self, work: Coroutine[Any, Any, None]) -> None:
        """Wait for something, or raise why a worker is lost."""
        task = self._loop.create_task(work)
        waiting: list[asyncio.Future[Any]] = [task, self.lost]
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            raise self.lost.result()
        await task

    async def _start(self, beside: list[asyncio.Task[Any]]) -> None:
        self._workplace.attach(self._ended)
        slots = [member.slot for member in self.plan.members]
        requests = {slot: self._request(slot) for slot in slots}
        prepared, self.preparation = self.preparation, None
        hired = prepared.begin(self.plan, requests) if prepared is not None else None
        hired = hired or await self._workplace.hire(requests)
        for slot, participant in zip(slots, self._participants, strict=True):
            worker = WorkerProcess(
                slot, hired[slot], participant, self._heard, self._workplace.now_s
            )
            self.workers[slot] = worker
            beside.append(self._loop.create_task(worker.listen()))
        for number, status in self._ended_early.items():
            self._ended(number, status)

    def _request(self, slot: int) -> dict[str, Any]:
        start = self._beginning.start
        return {
            "slot": slot,
            "nonce": start.started.nonce,
            "incarnation": start.started.incarnation,
            "first_epoch": start.first_epoch,
            "is_ours": start.is_ours,
            "is_home": slot == self.plan.home.slot,
            "outboxes": form([one for one in self._beginning.outboxes if self._heir(one) == slot]),
        }

    def _heir(self, outbox: Outbox) -> int:
        """Return the slot of who publishes an outbox: its owner, or if that is no more whoever is at home."""
        for member in self.plan.members:
            if member.owner == outbox.owner:
                return member.slot
        return self.plan.home.slot

    def _ended(self, number: int, status: int) -> None:
        for worker in self.workers.values():
            if worker.number == number:
                worker.is_buried, worker.status = True, status
                self._news.set()
                self._judge(worker)
                return
        # While the others of its plan were still being started.
        self._ended_early[number] = status

    def _judge(self, worker: WorkerProcess) -> None:
        """Decide, when all that a worker has said was heard, whether it was right to end."""
        if not (worker.is_buried and worker.has_hung_up):
            return
        if worker.failure is not None or not (worker.has_ended and self._is_finishing):
            self._lose(worker.slot, f"ended (status {worker.status})")

    def _checkpoints_ended(self, task: asyncio.Task[None]) -> None:
        """Without checkpoints nothing is ever complete: whoever is fenced leads no more, even if nobody else does."""
        error = None if task.cancelled() else task.exception()
        if error is not None and not self.lost.done():
            self.lost.set_result(error)

    def _lose(self, slot: int, what: str) -> None:
        if self.lost.done():
            return
        worker = self.workers[slot]
        self.lost.set_result(worker.failure or worker_lost(f"worker {slot} {what}"))

    async def _all(self, holds: Callable[[WorkerProcess], bool]) -> None:
        while not all(map(holds, self.workers.values())):
            self._news.clear()
            await self._news.wait()

    def _heard(self, worker: WorkerProcess) -> None:
        self._news.set()
        if worker.failure is not None and not worker.has_ended:
            self._stop.fail(worker.failure)
        self._judge(worker)
        reason = next(
            (
                f"worker {one.slot}: {one.participant.closed_by}"
                for one in self.workers.values()
                if one.participant.closed_by
            ),
            "",
        )
        if reason != self._held_by:
            self._held_by = reason
            for one in self.workers.values():
                one.tell(words.Hold(reason))

    async def _watch(self) -> None:
        """A worker that says nothing is dead or frozen: it is killed, and its exit is heard of."""
        while True:
            await asyncio.sleep(_SILENCE_LOOK_S)
            for slot, worker in self.workers.items():
                silent_s = self._workplace.now_s() - worker.heard_s
                limit_s = self._silence_s if worker.is_ready else _STARTING_SILENCE_S
                if silent_s > limit_s and not worker.has_ended:
                    log.error("worker %d has said nothing for %.1f s: it is killed", slot, silent_s)
                    self._workplace.kill(worker.number)
                    self._lose(slot, f"said nothing for {silent_s:.1f} s")

    def describe(self) -> list[dict[str, Any]]:
        """Return what is known of each worker that was started."""
        now_s = self._workplace.now_s()
        return [
            {
                "worker": member.slot,
                "pid": worker.pid,
                "where": worker.where,
                "key_groups": [member.key_groups.first, member.key_groups.end],
                "heard_s": now_s - worker.heard_s,
            }
            for member in self.plan.members
            if (worker := self.workers.get(member.slot)) is not None
        ]

    # ── the end ──

    async def _finish(self, phases: Phases) -> None:
        """Have all stop: requests come back, a last checkpoint, what it completes is published, and one more records that."""
        self._is_finishing = True
        for worker in self.workers.values():
            # A function that is slow holds up nobody else: what it was asked, it is asked again.
            worker.tell(words.Finish(None if self.preparation is None else _MOVE_DRAIN_MS))
        await self._settled()
        for number in range(2):
            await self._all(lambda one: one.participant.is_resting)
            phases.ended("rest")
            await self.checkpointer.rest()
            for participant in self._participants:
                participant.is_resting, participant.is_last = False, True
            if not await self.checkpointer.take() and number == 0:
                log.warning(
                    "nor is there a next one of these workers: what it would have held is done again"
                )
            if self.preparation is not None:
                self.preparation.follow(self._last_id())
            phases.ended("checkpoint")
        if self.preparation is None:
            # Else nobody waits for them to leave: they have nothing any more that counts, and the others are there.
            await self._all(lambda one: one.has_ended)
        phases.ended("ended")

    async def _settled(self) -> None:
        """A last checkpoint waits for the same as the first; if that does not leave in time there is none."""
        try:
            async with asyncio.timeout(self._settings.stop_timeout_s):
                await self.checkpointer.settled()
        except TimeoutError:
            raise worker_lost("what others had to publish has not left in time to stop") from None
