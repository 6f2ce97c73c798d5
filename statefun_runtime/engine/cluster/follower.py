"""A worker's side of checkpoints that a leader takes of all workers.

    Begin n, or the first barrier n ─▶ cut, barriers to all, in one step ─▶ snapshot in the background · barriers of all
    ─▶ what was in transit is written, all is durable ─▶ Acknowledged n ─▶ Complete n or Abort n

It stands where a worker that is alone has its checkpointer. Nothing waits for a checkpoint but the next one.
"""

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import replace
from types import TracebackType

from statefun_runtime.core.checkpoints.manifest import Base, Manifest, Snapshot
from statefun_runtime.core.checkpoints.retention import Savepoint
from statefun_runtime.core.cluster import words
from statefun_runtime.core.cluster.alignment import Alignment
from statefun_runtime.core.model.metrics import Histogram
from statefun_runtime.engine.checkpoints.ledger import Identity, manifest_of
from statefun_runtime.engine.checkpoints.participant import LocalParticipant
from statefun_runtime.engine.cluster.channels import Incoming, Outgoing
from statefun_runtime.engine.stop import Stop
from statefun_runtime.errors import UnavailableError
from statefun_runtime.ports.checkpoint_store import CheckpointStore
from statefun_runtime.ports.clock import Clock
from statefun_runtime.ports.team import LeaderLink

_REPORT_S_MIN, _REPORT_S_MAX = 0.005, 0.1
# Who says nothing is taken for dead.
_ALIVE_S = 0.3


class RemoteUse:
    """Has the leader collect nothing while it is held; stands for a lock where one worker does all."""

    def __init__(self, leader: LeaderLink, named: Callable[[], list[Base]]) -> None:
        self._leader = leader
        self._named = named
        self._lock = asyncio.Lock()
        self._granted: asyncio.Future[None] | None = None

    async def __aenter__(self) -> None:
        await self._lock.acquire()
        self._granted = asyncio.get_running_loop().create_future()
        self._leader.tell(words.Uses())
        try:
            await self._granted
        except BaseException:
            self._release()
            raise

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._release()

    def _release(self) -> None:
        self._leader.tell(words.Frees(tuple(self._named())))
        self._lock.release()

    def locked(self) -> bool:
        """Return whether it is held."""
        return self._lock.locked()

    def granted(self) -> None:
        """The leader collects nothing now."""
        if self._granted is not None and not self._granted.done():
            self._granted.set_result(None)


class Follower:
    """Takes part in the checkpoints of a leader; `closed_by` says which limit this worker is over."""

    def __init__(
        self,
        participant: LocalParticipant,
        leader: LeaderLink,
        alignment: Alignment,
        outgoing: Outgoing,
        use: RemoteUse,
        identity: Identity,
        store: CheckpointStore,
        clock: Clock,
        stop: Stop,
        *,
        closed_by: Callable[[], str | None],
        hold: Callable[[str], None],
        last: Manifest | None,
        interval_s: float,
    ) -> None:
        self._participant = participant
        self._leader = leader
        self._alignment = alignment
        self._outgoing = outgoing
        self._use = use
        self._identity = identity
        self._store = store
        self._clock = clock
        self._stop = stop
        self._closed_by = closed_by
        self._hold = hold
        self._report_s = min(_REPORT_S_MAX, max(_REPORT_S_MIN, interval_s / 10))
        self._idle_s = min(_REPORT_S_MAX, max(_REPORT_S_MIN, interval_s))
        self._incoming: Incoming | None = None
        self._tasks: asyncio.TaskGroup | None = None
        self._loop = asyncio.get_running_loop()
        self._aligned = asyncio.Event()
        self._finished: asyncio.Future[bool] = self._loop.create_future()
        self._is_taking = self._is_last = False
        self._is_last_complete = True
        self._ended: asyncio.Future[bool] | None = None
        self._snapshot: Snapshot | None = None
        self._began_s = self._all_saved_s = self._loop.time()
        self._reported = words.Report()
        self.last_complete = last
        self.trouble = ""
        self.completed_count = self.aborted_count = 0
        self.pause_ms, self.duration_ms = Histogram(), Histogram()

    def attach(self, incoming: Incoming) -> None:
        """Say who records what is in transit."""
        self._incoming = incoming

    # ── what a worker asks of its checkpointer ──

    async def run(self) -> None:
        """Follow the leader until cancelled."""
        async with asyncio.TaskGroup() as self._tasks:
            reporting = self._tasks.create_task(self._report())
            try:
                async with aclosing(self._leader.orders()) as orders:
                    async for order in orders:
                        self._hear(order)
            finally:
                reporting.cancel()

    def end_early(self) -> None:
        """The epoch has grown enough."""
        self._leader.tell(words.Wants())

    def is_changed(self) -> bool:
        """Return whether a checkpoint is worth while: others decide that, too."""
        return True

    def has_published(self) -> bool:
        """Return whether more has been published than the last checkpoint knows."""
        return self._participant.has_published

    def age_s(self) -> float:
        """Return for how long something has been in no complete checkpoint, at most; as of the last look."""
        return self._loop.time() - self._all_saved_s

    async def saved(self) -> None:
        """Return when all that is so now, here and with what was sent from here, is in a complete checkpoint."""
        wanted = self._alignment.epoch + 1
        self._leader.tell(words.Wants())
        while self.last_complete is None or self.last_complete.epoch < wanted:
            if not await asyncio.shield(self._finished):
                self._leader.tell(words.Wants())

    async def rest(self) -> None:
        """Return when no checkpoint is in progress here; others may still follow."""
        while self._is_taking:
            await asyncio.shield(self._finished)

    async def take(self) -> bool:
        """Say that nothing moves here any more, and return when the last checkpoint, which follows, has ended."""
        self._ended = self._loop.create_future()
        self._leader.tell(words.Rests())
        return await self._ended

    async def savepoint(self, place: str) -> Savepoint:
        """Savepoints are the leader's."""
        raise AssertionError("a savepoint is asked of the leader")

    # ── what the leader says ──

    def _hear(self, order: words.Order) -> None:
        match order:
            case words.Begin(epoch, is_last):
                if self._alignment.is_new(epoch):
                    self._cut(epoch)
                self._is_last = is_last
            case words.Complete(epoch):
                if self._is_in(epoch):
                    self._completed(epoch)
            case words.Abort(epoch, why):
                if self._is_in(epoch):
                    self._aborted(epoch, why)
            case words.Collected(left):
                self._participant.collected(left)
            case words.Hold(why):
                self._hold(why)
            case words.Granted():
                self._use.granted()
            case words.Finish(drain_ms):
                self._stop.ask(None if drain_ms is None else drain_ms / 1000)

    def _is_in(self, epoch: int) -> bool:
        """Return whether it is not known here yet how an epoch has ended."""
        return self._is_taking and epoch == self._alignment.epoch

    def met(self, sender: int, epoch: int, is_last_complete: bool) -> None:
        """The barrier of another worker has come; whoever meets it before the leader's word cuts now.

        It may also come before the leader's word on the epoch before, and says how that has ended.
        """
        if self._alignment.is_new(epoch):
            if self._is_taking and is_last_complete:
                self._completed(self._alignment.epoch)
            elif self._is_taking:
                self._aborted(self._alignment.epoch, "another worker has heard of it")
            self._cut(epoch)
        self._alignment.barrier(sender, epoch)
        if self._alignment.is_whole:
            self._aligned.set()

    def _cut(self, epoch: int) -> None:
        """Cut, and have all others hear of it behind what was sent to them: in this step of the loop."""
        assert not self._is_taking, f"epoch {epoch} is cut before the one before it has ended"
        assert self._tasks is not None
        began_s = self._clock.now_s()
        self._is_taking, self._began_s = True, self._loop.time()
        assert self._incoming is not None
        self._participant.cut(epoch)
        self._incoming.cut()
        self._outgoing.cut(epoch, is_last_complete=self._is_last_complete)
        self._alignment.cut(epoch)
        self._aligned.clear()
        if self._alignment.is_whole:
            self._aligned.set()
        self._reported = replace(self._reported, is_changed=False)
        self.pause_ms.add((self._clock.now_s() - began_s) * 1000)
        self._tasks.create_task(self._acknowledge(epoch))

    async def _acknowledge(self, epoch: int) -> None:
        assert self._incoming is not None
        failure: UnavailableError | None = None
        snapshot = None
        try:
            snapshot = await self._participant.snapshot(epoch)
        except UnavailableError as error:
            failure = error
        # Also of one that failed: what is recorded is of this epoch.
        await self._aligned.wait()
        recorded = self._incoming.recorded()
        if snapshot is not None:
            try:
                if recorded:
                    stored = await self._store.put(recorded)
                    snapshot = replace(snapshot, part=replace(snapshot.part, in_transit=stored))
                await self._store.sync()
            except UnavailableError as error:
                failure = error
        if failure is not None or snapshot is None:
            assert failure is not None
            self._leader.tell(words.Failed(epoch, failure.message, failure.code))
            return
        self._snapshot = snapshot
        self._leader.tell(words.Acknowledged(epoch, snapshot))

    def _completed(self, epoch: int) -> None:
        assert self._snapshot is not None, f"epoch {epoch} is complete without this worker"
        snapshot, self._snapshot = self._snapshot, None
        # What this worker knows of it: its own part.
        self.last_complete = manifest_of(self._identity, epoch, [snapshot], None)
        self.completed_count += 1
        self.trouble = ""
        self._all_saved_s = self._began_s
        self._participant.completed(epoch)
        self.duration_ms.add((self._loop.time() - self._began_s) * 1000)
        self._end(is_complete=True)

    def _aborted(self, epoch: int, why: str) -> None:
        self._snapshot = None
        self.aborted_count += 1
        self.trouble = why
        self._participant.aborted(epoch)
        self._end(is_complete=False)

    def _end(self, *, is_complete: bool) -> None:
        self._is_taking, self._is_last_complete = False, is_complete
        finished, self._finished = self._finished, self._loop.create_future()
        finished.set_result(is_complete)
        if self._is_last and self._ended is not None:
            self._is_last = False
            self._ended.set_result(is_complete)

    # ── what the leader is told ──

    async def _report(self) -> None:
        said_s, pause_s = 0.0, self._report_s
        while True:
            report = words.Report(
                self._participant.is_changed,
                self._participant.has_published,
                self._closed_by() or "",
                tuple(
                    (owner, egress, epoch)
                    for owner, egresses in self._participant.confirmed().items()
                    for egress, epoch in egresses.items()
                ),
            )
            if not report.is_changed and not self._is_taking:
                self._all_saved_s = self._loop.time()
            if report != self._reported or self._loop.time() - said_s >= _ALIVE_S:
                self._reported, said_s = report, self._loop.time()
                self._leader.tell(report)
                pause_s = self._report_s
            else:
                pause_s = min(self._idle_s, pause_s * 1.5)
            await asyncio.sleep(pause_s)
