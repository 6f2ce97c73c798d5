"""The workers that one process of a cluster has: forked for a leader anywhere, whose words are passed on.

hire ─▶ workers of other lives are ended and buried ─▶ fork ─▶ lines up and down ─▶ hung up, exited
hire to stand by ─▶ fork ─▶ its life begins ─▶ workers of other lives are ended and buried ─▶ as above
"""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from statefun_runtime.core.cluster.troubles import beginning_again
from statefun_runtime.engine.cluster.pipe_leader import LIVE
from statefun_runtime.engine.cluster.questions import Questions
from statefun_runtime.engine.cluster.standby import stands_by
from statefun_runtime.ports.control import Control, Notice
from statefun_runtime.ports.team import Pipe, Workplace

_ASKED_S = 10.0
_HIRES_MAX = 1000
# How the answer begins to what this process asks, and not the leader: its numbers are negative.
_OWN_ANSWER = b'{"told": -'


@dataclass(slots=True)
class Lodger:
    """A worker of this process; `number` is its leader's for it."""

    leader: str
    number: int
    slot: int
    nonce: str
    request: dict[str, Any]
    pid: int = 0
    pipe: Pipe | None = None
    is_ready: bool = False
    early: list[bytes] = field(default_factory=list)
    questions: Questions = field(default_factory=lambda: Questions(-1))
    is_unwanted: bool = False
    is_starting: bool = False
    stands_by: bool = False
    is_held: bool = False

    @property
    def incarnation(self) -> int:
        """The number of its life."""
        number: int = self.request["incarnation"]
        return number

    def say(self, line: bytes) -> None:
        """Say something to it; what comes before it is there, or while it is held, waits."""
        if self.pipe is None or self.is_held:
            self.early.append(line)
        else:
            self.pipe.say(line)

    def catch_up(self) -> None:
        """Say what has waited."""
        early, self.early = self.early, []
        for line in early:
            self.say(line)

    async def ask(
        self, command: str, arguments: dict[str, Any], limit_s: float = _ASKED_S
    ) -> dict[str, Any]:
        """Have it carry out a command; raise UnavailableError if it cannot, or is gone."""
        try:
            async with asyncio.timeout(limit_s):
                return await self.questions.ask(
                    lambda number: self.say(
                        json.dumps(
                            {"ask": number, "command": command, "arguments": arguments}
                        ).encode()
                    )
                )
        except TimeoutError:
            raise beginning_again(f"worker {self.slot} does not answer") from None

    def hear(self, line: bytes) -> bool:
        """Return whether a line of it is an answer to this process."""
        if line.startswith(b'{"ready"'):
            self.is_ready = True
        if not line.startswith(_OWN_ANSWER):
            return False
        told = json.loads(line)
        self.questions.told(told["told"], told)
        return True


class Hosting:
    """The workers of this process."""

    def __init__(self, workplace: Workplace, control: Control) -> None:
        self._workplace = workplace
        self._control = control
        # Who is to start, or whose life is to begin.
        self._hires: asyncio.Queue[Lodger] = asyncio.Queue(_HIRES_MAX)
        self._lodgers: list[Lodger] = []
        self._news = asyncio.Event()
        workplace.attach(self._ended)

    @property
    def slots(self) -> tuple[int, ...]:
        """The slots whose workers are here."""
        return tuple(
            sorted(one.slot for one in self._lodgers if not (one.is_unwanted or one.stands_by))
        )

    @property
    def home(self) -> Lodger | None:
        """The worker of the first key groups, if it is here and ready, of the latest life."""
        there = [one for one in self._lodgers if one.is_ready and one.request["is_home"]]
        return max(there, key=lambda one: one.incarnation, default=None)

    def workers(self) -> list[Lodger]:
        """Return those that are asked; raise UnavailableError while they begin."""
        at_work = [one for one in self._lodgers if not one.stands_by]
        if not all(one.is_ready for one in at_work):
            raise beginning_again()
        return at_work

    async def run(self) -> None:
        """Start what is hired, one after the other, until cancelled; end all that is left then."""
        try:
            async with asyncio.TaskGroup() as tasks:
                while True:
                    lodger = await self._hires.get()
                    if lodger.is_held:
                        await self._begin(lodger)
                        continue
                    if not lodger.stands_by:
                        await self._clear(lodger.nonce)
                    if not lodger.is_unwanted:
                        await self._start(lodger, tasks)
        finally:
            for lodger in self._lodgers:
                self._end(lodger)

    async def empty(self) -> None:
        """Return when no worker is left; only those are ended that stand by."""
        for lodger in list(self._lodgers):
            if lodger.stands_by:
                self._end(lodger)
        while self._lodgers:
            self._news.clear()
            await self._news.wait()

    # ── what a leader says ──

    def take(self, notice: Notice) -> None:
        """Take what a leader says of a worker here."""
        if notice.kind == "hire":
            request = json.loads(notice.content)
            nonce, slot = request["nonce"], request["slot"]
            lodger = Lodger(notice.sender, notice.number, slot, nonce, request)
            lodger.stands_by = stands_by(request)
            self._lodgers.append(lodger)
            self._hires.put_nowait(lodger)
            return
        found = self._find(notice.sender, notice.number)
        if found is not None and notice.kind == "down":
            if found.stands_by and notice.content.startswith(LIVE):
                found.stands_by, found.is_held = False, True
                self._hires.put_nowait(found)
            found.say(notice.content)
        elif found is not None and notice.kind == "kill":
            self._end(found)

    def _find(self, leader: str, number: int) -> Lodger | None:
        wanted = (leader, number)
        return next((one for one in self._lodgers if (one.leader, one.number) == wanted), None)

    # ── from its start to its end ──

    async def _begin(self, lodger: Lodger) -> None:
        """Have the life begin of a worker that stood by."""
        live = next(line for line in lodger.early if line.startswith(LIVE))
        lodger.request |= json.loads(live)["live"]
        nonce: str = lodger.request["nonce"]
        # Others that stood by with it are to begin the same life.
        await self._clear(nonce, lodger.nonce)
        lodger.nonce, lodger.is_held = nonce, False
        lodger.catch_up()

    async def _clear(self, *nonces: str) -> None:
        """End the workers of other lives: they have the ports, and what they do is in vain."""
        await self._until_gone(lambda one: one.nonce not in nonces)

    async def _until_gone(self, is_meant: Callable[[Lodger], bool]) -> None:
        for lodger in list(filter(is_meant, self._lodgers)):
            self._end(lodger)
        while any(map(is_meant, self._lodgers)):
            self._news.clear()
            await self._news.wait()

    async def _start(self, lodger: Lodger, tasks: asyncio.TaskGroup) -> None:
        lodger.is_starting = True
        hired = (await self._workplace.hire({lodger.slot: lodger.request}))[lodger.slot]
        lodger.pid, lodger.pipe = hired.pid, hired.pipe
        self._control.say(lodger.leader, "hired", lodger.number, str(hired.pid).encode())
        lodger.catch_up()
        if lodger.is_unwanted:
            self._end(lodger)
        tasks.create_task(self._pass_on(lodger, hired.pipe))

    async def _pass_on(self, lodger: Lodger, pipe: Pipe) -> None:
        async for line in pipe.heard():
            if not lodger.hear(line):
                self._control.say(lodger.leader, "up", lodger.number, line.rstrip(b"\n"))
        self._control.say(lodger.leader, "hung-up", lodger.number)

    def _end(self, lodger: Lodger) -> None:
        """End a worker; one that has not begun never does."""
        lodger.is_unwanted = True
        if lodger.pid:
            self._workplace.kill(lodger.pid)
        elif not lodger.is_starting:
            self._control.say(lodger.leader, "exited", lodger.number, b"-9")
            self._gone(lodger)

    def _ended(self, pid: int, status: int) -> None:
        for lodger in self._lodgers:
            if lodger.pid == pid:
                self._control.say(lodger.leader, "exited", lodger.number, str(status).encode())
                self._gone(lodger)
                return

    def _gone(self, lodger: Lodger) -> None:
        self._lodgers.remove(lodger)
        if lodger.pipe is not None:
            lodger.pipe.close()
        lodger.questions.gone(beginning_again())
        self._news.set()
