"""Workers of a cluster, as its leader sees them: in seats of processes on any machines, which it hires by what it says.

    leader                                process
      hire N (what is asked of it)  ─▶       forks a worker; those of other lives are ended first
                                    ◀─       hired N, exited N
      down N (a line), kill N       ─▶
                                    ◀─       up N (a line), hung-up N

A process that is silent has no workers any more: whatever they are, they are of no plan.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from statefun_runtime.core.cluster.presence import Here, Presence
from statefun_runtime.core.cluster.seating import Seating, seat
from statefun_runtime.core.cluster.troubles import worker_lost
from statefun_runtime.ports.control import Control, Notice
from statefun_runtime.ports.team import Hired

_HIRED_S = 60.0
# A process that has just come is waited for no longer than others that may come with it.
_SETTLED_BEATS = 3
_LINES_MAX = 100_000
_KILLED = -9

# Returns behind which offset of each slot's inbox all is that will be sent from now on.
InboxEnds = Callable[[Collection[int]], Awaitable[Mapping[int, int]]]


class FarPipe:
    """A pipe to a worker whose process another one has."""

    def __init__(self, control: Control, process: str, number: int) -> None:
        self._control = control
        self._process = process
        self._number = number
        self._lines: asyncio.Queue[bytes | None] = asyncio.Queue(_LINES_MAX)

    def say(self, said: dict[str, Any] | bytes) -> None:
        """Say something."""
        line = said if isinstance(said, bytes) else json.dumps(said).encode()
        self._control.say(self._process, "down", self._number, line)

    async def heard(self) -> AsyncGenerator[bytes, None]:
        """Yield what the worker says, until it is gone."""
        while (line := await self._lines.get()) is not None:
            yield line

    def close(self) -> None:
        """Nothing is held."""

    def take(self, line: bytes | None) -> None:
        """The worker has said something, or hung up."""
        self._lines.put_nowait(line)


@dataclass(slots=True)
class _Worker:
    process: str
    pipe: FarPipe
    pid: asyncio.Future[int]
    has_hung_up: bool = False
    has_ended: bool = False


@dataclass(slots=True)
class FarWorkplace:
    """The Workplace of a cluster; `form` is what its leader's process runs."""

    control: Control
    presence: Presence
    form: str
    slots_max: int
    inbox_ends: InboxEnds
    seating: Seating = field(default_factory=dict)
    _foreseen: Seating = field(default_factory=dict)
    _workers: dict[int, _Worker] = field(default_factory=dict)
    _last: int = 0
    _ended: Callable[[int, int], None] | None = None
    _has_changed: asyncio.Event = field(default_factory=asyncio.Event)

    def attach(self, ended: Callable[[int, int], None]) -> None:
        """Say who is told of the end of a worker."""
        self._ended = ended

    def seat(self) -> list[int]:
        """Plan who has which slot from now on, and return the slots."""
        self.seating = seat(self._known_seating(), self._offers(), self.slots_max)
        self._foreseen = self.seating
        self._workers = {n: one for n, one in self._workers.items() if not one.has_ended}
        self._has_changed.clear()
        return list(self.seating)

    def _known_seating(self) -> Seating:
        """Return what the last plan was: by its leader's word, or by those who worked in it."""
        if self.seating:
            return self.seating
        return {slot: name for name, here in self.presence.present.items() for slot in here.slots}

    def _offers(self) -> dict[str, int]:
        return {
            name: here.seats
            for name, here in self.presence.present.items()
            if here.form == self.form and not here.is_leaving
        }

    async def hire(self, requests: Mapping[int, dict[str, Any]]) -> dict[int, Hired]:
        """Start the workers of a plan; raise UnavailableError if one cannot be had: then the others are ended, too."""
        loop = asyncio.get_running_loop()
        ends = await self.inbox_ends(list(requests))
        numbers = {}
        for slot, request in requests.items():
            self._last += 1
            numbers[slot], process = self._last, self._foreseen[slot]
            pipe = FarPipe(self.control, process, self._last)
            self._workers[self._last] = _Worker(process, pipe, loop.create_future())
            content = json.dumps({**request, "inbox": ends[slot]}).encode()
            self.control.say(process, "hire", self._last, content)
        self.look()
        try:
            async with asyncio.timeout(_HIRED_S):
                return {slot: await self._hired(number) for slot, number in numbers.items()}
        except BaseException as error:
            for number in numbers.values():
                self.kill(number)
            if isinstance(error, TimeoutError):
                raise worker_lost("a worker could not be started") from None
            raise

    async def _hired(self, number: int) -> Hired:
        worker = self._workers[number]
        # Whoever stops waiting for it does not decide that it never comes.
        pid = await asyncio.shield(worker.pid)
        where = self.presence.present.get(worker.process)
        host = where.host if where is not None else ""
        return Hired(number, pid, worker.pipe, f"{host} {worker.process}")

    def kill(self, number: int) -> None:
        """End a worker at once; one that has ended is known no more when there is another plan."""
        worker = self._workers.get(number)
        if worker is None:
            return
        self.control.say(worker.process, "kill", number)
        if worker.process not in self.presence.present:
            self._gone(number, worker)

    async def changed(self) -> None:
        """Return when other seats are offered than the plan has taken."""
        await self._has_changed.wait()

    def foresee(self) -> list[int]:
        """Return the slots of the plan that would come next."""
        self._foreseen = seat(self.seating, self._offers(), self.slots_max)
        self._has_changed.clear()
        return list(self._foreseen)

    def overlook(self) -> None:
        """What was foreseen does not come about; if there is still room for others, that is found again."""
        self._foreseen = self.seating
        self._has_changed.clear()

    def keeps(self, numbers: Mapping[int, int]) -> bool:
        """Return whether workers that were hired before sit as in the plan, and have not ended."""
        found = {slot: self._workers.get(number) for slot, number in numbers.items()}
        there = {slot: one.process for slot, one in found.items() if one and not one.has_ended}
        return there == self.seating

    def now_s(self) -> float:
        """Return the time as far as others could be heard."""
        return self.presence.now_s

    # ── what is heard ──

    def take(self, notice: Notice) -> None:
        """Take what a process says of a worker of this leader."""
        worker = self._workers.get(notice.number)
        if worker is None or worker.process != notice.sender:
            return
        match notice.kind:
            case "hired":
                # Of a process that was taken for gone meanwhile it comes too late.
                if not worker.pid.done():
                    worker.pid.set_result(int(notice.content))
            case "up":
                worker.pipe.take(notice.content)
            case "hung-up":
                self._hung_up(worker)
            case "exited":
                self._exited(notice.number, worker, int(notice.content))

    def look(self) -> None:
        """Bury the workers of processes that are gone, and see whether there are other seats than before."""
        present = self.presence.present
        for number, worker in list(self._workers.items()):
            if worker.process not in present:
                self._gone(number, worker)
        offers = self._offers()
        if seat(self._foreseen, offers, self.slots_max) == self._foreseen:
            return
        is_settled = all(
            self.presence.beats_of(name) >= _SETTLED_BEATS
            for name in offers
            if name not in self._foreseen.values()
        )
        if is_settled:
            self._has_changed.set()

    def stands_by(self, here: Here) -> str:
        """Return why a process has no seat; empty if it may get one."""
        return "" if here.form == self.form else "runs another module, or with other settings"

    def _gone(self, number: int, worker: _Worker) -> None:
        if not worker.pid.done():
            worker.pid.set_exception(worker_lost(f"process {worker.process} is gone"))
            # Whoever waits for another one hears of that.
            worker.pid.exception()
        self._hung_up(worker)
        self._exited(number, worker, _KILLED)

    def _hung_up(self, worker: _Worker) -> None:
        if not worker.has_hung_up:
            worker.has_hung_up = True
            worker.pipe.take(None)

    def _exited(self, number: int, worker: _Worker, status: int) -> None:
        if worker.has_ended:
            return
        worker.has_ended = True
        if not worker.pid.done():
            worker.pid.set_exception(worker_lost(f"a worker ended at once ({status})"))
            worker.pid.exception()
        if self._ended is not None:
            self._ended(number, status)
