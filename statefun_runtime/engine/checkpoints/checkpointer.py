"""Takes checkpoints while everything runs.

    trigger ─▶ every participant cuts, in one step of the loop ─▶ their snapshots, in the background ─▶ all
    acknowledged ─▶ manifest and commit log ─▶ complete, or aborted and merged under the next

How far a checkpoint has come is decided in core/checkpoints/round.py. One is in progress at a time. Nothing of an
epoch is published before its checkpoint is complete. What was cut and is in no complete checkpoint stays in memory, and
goes into the next snapshot.
"""

import asyncio
import logging
from collections.abc import Collection, Sequence
from typing import Protocol

from statefun_runtime.core.checkpoints.manifest import (
    ANY_OWNER,
    Base,
    Confirmed,
    Manifest,
    ObjectId,
    Outbox,
    Snapshot,
)
from statefun_runtime.core.checkpoints.retention import Savepoint
from statefun_runtime.core.checkpoints.round import Round, Station
from statefun_runtime.core.checkpoints.settling import have_left
from statefun_runtime.core.model.metrics import Histogram
from statefun_runtime.engine.checkpoints.ledger import Ledger
from statefun_runtime.engine.checkpoints.participant import Participant
from statefun_runtime.errors import UnavailableError
from statefun_runtime.ports.clock import Clock

log = logging.getLogger("statefun.checkpoints")

_RETRY_S = 0.5
_LOOK_S = 0.02
_SETTLE_SAY_S = 5.0


class NamesBases(Protocol):
    """Knows the bases that no manifest may name yet: their objects stay."""

    @property
    def named(self) -> Sequence[Base]:
        """Those bases."""
        ...


class Checkpointer:
    """Triggers checkpoints and sees each to its end.

    `abandoned` are egresses of which nothing is to leave any more; `first` is what has to leave before the first checkpoint.
    """

    def __init__(
        self,
        participants: Sequence[Participant],
        ledger: Ledger,
        bases: NamesBases,
        clock: Clock,
        *,
        interval_s: float,
        first_epoch: int,
        abandoned: Collection[str] = (),
        first: Sequence[Outbox] = (),
    ) -> None:
        self._participants = participants
        self._ledger = ledger
        self._bases = bases
        self._clock = clock
        self._interval_s = interval_s
        self._loop = asyncio.get_running_loop()
        self._last_epoch = first_epoch - 1
        self._abandoned = dict.fromkeys(abandoned, first_epoch - 1)
        self._first = tuple(first)
        self._wants_early = asyncio.Event()
        self._finished: asyncio.Future[bool] = self._loop.create_future()
        self._is_taking = self._is_resting = False
        self._all_saved_s = self._loop.time()
        # Why the last one failed, until one is complete.
        self.trouble = ""
        self.completed_count = 0
        self.aborted_count = 0
        self.pause_ms = Histogram()
        self.duration_ms = Histogram()

    @property
    def last_complete(self) -> Manifest | None:
        """The last complete checkpoint."""
        return self._ledger.last_complete

    @property
    def last_id(self) -> ObjectId | None:
        """The object of its manifest."""
        return self._ledger.last_id

    async def run(self) -> None:
        """Take a checkpoint per interval, when anything changed, until cancelled."""
        await self.settled()
        next_s = self._loop.time() + self._interval_s
        while not self._is_resting:
            try:
                async with asyncio.timeout(max(0.0, next_s - self._loop.time())):
                    await self._wants_early.wait()
            except TimeoutError:
                pass
            next_s = self._loop.time() + self._interval_s
            self._wants_early.clear()
            if self._is_resting:
                return
            if not self.is_changed():
                self._all_saved_s = self._loop.time()
            elif not await self.take():
                # Whoever wants one early would have it tried again at once, and for ever.
                await asyncio.sleep(_RETRY_S)

    async def settled(self) -> None:
        """Return when a checkpoint may be taken: nothing of it may leave before what other workers had to publish."""
        since_s, is_said = self._loop.time(), False
        while not self._is_settled():
            if not is_said and self._loop.time() - since_s > _SETTLE_SAY_S:
                is_said = True
                log.warning(
                    "no checkpoint is taken before what other workers had to publish has left"
                )
            await asyncio.sleep(_LOOK_S)

    def _is_settled(self) -> bool:
        if self._first:
            known = [{ANY_OWNER: self._abandoned}, *(one.confirmed() for one in self._participants)]
            self._first = () if have_left(self._first, known) else self._first
        return not self._first

    def end_early(self) -> None:
        """The epoch has grown enough."""
        self._wants_early.set()

    def is_changed(self) -> bool:
        """Return whether a checkpoint now would hold anything new."""
        return any(participant.is_changed for participant in self._participants)

    def age_s(self) -> float:
        """Return for how long something has been in no complete checkpoint, at most; as of the last look."""
        return self._loop.time() - self._all_saved_s

    def has_published(self) -> bool:
        """Return whether more has been published than the last checkpoint knows."""
        return any(participant.has_published for participant in self._participants)

    async def saved(self) -> None:
        """Return when all that is so now is in a complete checkpoint."""
        wanted = self._last_epoch + 1
        while self._is_taking or self.is_changed():
            last = self.last_complete
            if last is not None and last.epoch >= wanted:
                return
            self._wants_early.set()
            await asyncio.shield(self._finished)

    async def rest(self) -> None:
        """Begin none any more by itself; return when none is in progress: one ends before the next is cut."""
        self._is_resting = True
        self._wants_early.set()
        while self._is_taking:
            await asyncio.shield(self._finished)

    async def savepoint(self, place: str) -> Savepoint:
        """Make a checkpoint of what is so now a savepoint; raise UnavailableError if it cannot be written."""
        await self.saved()
        return await self._ledger.savepoint(place)

    async def take(self) -> bool:
        """Take one checkpoint; return whether it is complete. None is taken while that is not `settled`."""
        assert not self._is_taking
        if not self._is_settled():
            return False
        self._is_taking = True
        started_s = self._loop.time()
        try:
            taken = self._trigger()
            failure = await self._snapshot(taken)
            if taken.station is Station.ACKNOWLEDGED:
                failure = await self._commit(taken)
            if failure is not None:
                self._aborted(taken, failure)
                return False
            self._completed(taken)
            self._all_saved_s = started_s
            left = await self._ledger.collect(self._all_confirmed(), self._bases.named)
            if left is not None:
                for participant in self._participants:
                    participant.collected(left)
            self.duration_ms.add((self._loop.time() - started_s) * 1000)
            return True
        finally:
            self._is_taking = False
            finished, self._finished = self._finished, self._loop.create_future()
            finished.set_result(True)

    def _trigger(self) -> Round[Snapshot]:
        """Begin a checkpoint: every participant of this worker cuts in this step of the loop."""
        began_s = self._clock.now_s()
        self._last_epoch += 1
        taken: Round[Snapshot] = Round(self._last_epoch, [one.owner for one in self._participants])
        for participant in self._participants:
            participant.cut(taken.epoch)
            taken.cut(participant.owner)
        self.pause_ms.add((self._clock.now_s() - began_s) * 1000)
        return taken

    async def _snapshot(self, taken: Round[Snapshot]) -> UnavailableError | None:
        """Have what was cut written, and acknowledged; return why one could not, if so."""
        failures: list[UnavailableError] = []

        async def snapshot(participant: Participant) -> None:
            try:
                written = await participant.snapshot(taken.epoch)
            except UnavailableError as error:
                failures.append(error)
                taken.fail(participant.owner)
            else:
                taken.acknowledge(participant.owner, written)

        async with asyncio.TaskGroup() as tasks:
            for participant in self._participants:
                tasks.create_task(snapshot(participant))
        return failures[0] if failures else None

    async def _commit(self, taken: Round[Snapshot]) -> UnavailableError | None:
        """Have it in the log; return why it is not, if that is certain."""
        try:
            await self._ledger.commit(taken.epoch, taken.parts, self._all_confirmed())
        except UnavailableError as error:
            taken.decide(is_logged=False)
            return error
        taken.decide(is_logged=True)
        return None

    def _completed(self, taken: Round[Snapshot]) -> None:
        assert taken.station is Station.COMPLETE
        self.completed_count += 1
        self.trouble = ""
        for participant in self._participants:
            participant.completed(taken.epoch)

    def _aborted(self, taken: Round[Snapshot], failure: UnavailableError) -> None:
        assert taken.station is Station.ABORTED
        self.aborted_count += 1
        self.trouble = failure.message
        log.error(
            "checkpoint %d failed, the next one holds what it would have held: %s",
            taken.epoch,
            failure.line,
        )
        for participant in self._participants:
            participant.aborted(taken.epoch)

    def _all_confirmed(self) -> Confirmed:
        """Return up to which epoch all that waited for it has left; nothing is left of what an operator gave up."""
        confirmed: Confirmed = {ANY_OWNER: self._abandoned}
        for participant in self._participants:
            confirmed |= participant.confirmed()
        return confirmed
