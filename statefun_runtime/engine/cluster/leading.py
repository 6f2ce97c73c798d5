"""A leader's side of checkpoints: every worker of a plan is a participant that is told, and answers.

    Checkpointer ─▶ RemoteParticipant per worker ═ Begin, Complete, Abort ═▶ worker
                                                 ◀═ Acknowledged, Failed, Report ═

A worker that is gone fails what it was to answer; what becomes of its plan is decided elsewhere.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence

from statefun_runtime.core.checkpoints.manifest import Base, Confirmed, Positions, Snapshot
from statefun_runtime.core.cluster import words
from statefun_runtime.errors import UnavailableError

log = logging.getLogger("statefun.leader")

Tell = Callable[[words.Order], None]


class Using:
    """Who needs objects that no manifest names; it is locked meanwhile, as while unneeded ones are deleted."""

    def __init__(self) -> None:
        self._users: dict[str, None] = {}
        self._waiting: list[tuple[str, Callable[[], None]]] = []
        self._named: dict[str, tuple[Base, ...]] = {}
        self._is_collecting = False

    @property
    def named(self) -> list[Base]:
        """The bases of all workers that no manifest may name yet."""
        return [base for bases in self._named.values() for base in bases]

    def uses(self, owner: str, granted: Callable[[], None]) -> None:
        """A worker needs objects: it is told when nothing is collected any more."""
        if self._is_collecting:
            self._waiting.append((owner, granted))
            return
        self._users[owner] = None
        granted()

    def frees(self, owner: str, bases: tuple[Base, ...]) -> None:
        """A worker needs them no more, but for those of these bases."""
        self._users.pop(owner, None)
        self._named[owner] = bases

    def locked(self) -> bool:
        """Return whether nothing is to be collected now."""
        return bool(self._users) or self._is_collecting

    async def __aenter__(self) -> None:
        while self.locked():  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        self._is_collecting = True

    async def __aexit__(self, *_: object) -> None:
        self._is_collecting = False
        waiting, self._waiting = self._waiting, []
        for owner, granted in waiting:
            self.uses(owner, granted)


class RemoteParticipant:
    """The Participant that is another worker."""

    def __init__(self, owner: str, tell: Tell, using: Using, wants: Callable[[], None]) -> None:
        self.owner = owner
        self._tell = tell
        self._using = using
        self._wants = wants
        self._is_wanted = False
        self._report = words.Report()
        self._answer: asyncio.Future[Snapshot] | None = None
        self._epoch = 0
        self._gone: UnavailableError | None = None
        self.is_resting = False
        self.is_last = False

    @property
    def is_changed(self) -> bool:
        """Whether it has said that a snapshot would hold anything new, or that somebody there waits for one."""
        return self._report.is_changed or self._is_wanted

    @property
    def has_published(self) -> bool:
        """Whether it has said that more has left than the last complete checkpoint knows."""
        return self._report.has_published

    @property
    def closed_by(self) -> str:
        """Which limit it is over, in words."""
        return self._report.closed_by

    def cut(self, epoch: int) -> None:
        """Have it cut."""
        self._is_wanted = False
        self._report = words.Report(
            False, self._report.has_published, self._report.closed_by, self._report.confirmed
        )
        self._epoch = epoch
        self._answer = asyncio.get_running_loop().create_future()
        if self._gone is not None:
            self._answer.set_exception(self._gone)
            return
        self._tell(words.Begin(epoch, is_last=self.is_last))

    async def snapshot(self, epoch: int) -> Snapshot:
        """Return what it acknowledged."""
        assert self._answer is not None
        assert epoch == self._epoch
        return await self._answer

    def completed(self, epoch: int) -> None:
        """Tell it."""
        self._tell(words.Complete(epoch))

    def aborted(self, epoch: int) -> None:
        """Tell it."""
        self._tell(words.Abort(epoch, "a worker could not write its part, or the log"))

    def collected(self, left: Sequence[Positions]) -> None:
        """Tell it."""
        self._tell(words.Collected(tuple(left)))

    def confirmed(self) -> Confirmed:
        """Return what it has said."""
        confirmed: Confirmed = {}
        for owner, egress, epoch in self._report.confirmed:
            confirmed.setdefault(owner, {})[egress] = epoch
        return confirmed

    # ── what it says ──

    def hear(self, answer: words.Answer) -> None:
        """Take an answer of it."""
        match answer:
            case words.Report():
                self._report = answer
            case words.Wants():
                self._is_wanted = True
                self._wants()
            case words.Acknowledged(epoch, snapshot):
                if self._is_asked(epoch):
                    assert self._answer is not None
                    self._answer.set_result(snapshot)
            case words.Failed(epoch, why, code):
                if self._is_asked(epoch):
                    assert self._answer is not None
                    self._answer.set_exception(UnavailableError(why, code=code))
            case words.Uses():
                self._using.uses(self.owner, lambda: self._tell(words.Granted()))
            case words.Frees(bases):
                self._using.frees(self.owner, bases)
            case words.Rests():
                self.is_resting = True
                self._wants()

    def _is_asked(self, epoch: int) -> bool:
        return self._answer is not None and epoch == self._epoch and not self._answer.done()

    def gone(self, error: UnavailableError) -> None:
        """It answers no more."""
        self._gone = error
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)
