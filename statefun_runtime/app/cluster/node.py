"""A process of a cluster: it says that it is there, has workers, and leads when it is its turn.

    control topic ◀═▶ beats (core/cluster/presence.py) ─▶ nobody leads ─▶ claim the log ─▶ Leader over all seats
                 ◀═▶ a leader's words to and from the workers here (hosting.py)
                 ◀═▶ questions to whoever leads, from anywhere

Invariant: what is decided stands in the log, which only the last to claim it can write. A leader that another one has
followed finds out at its next word in the log, or when it hears of it, and is a process like all others then.
"""

import asyncio
import json
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from statefun_runtime.adapters.team.far_workplace import FarWorkplace
from statefun_runtime.app.cluster.describing import cluster_commands
from statefun_runtime.app.cluster.home import Home
from statefun_runtime.app.cluster.hosting import Hosting, Lodger
from statefun_runtime.app.team.leader import Leader
from statefun_runtime.core.cluster.presence import BEAT_S, Here, Presence
from statefun_runtime.core.cluster.troubles import no_leader
from statefun_runtime.engine.cluster.questions import (
    Questions,
    answered,
    error_form,
    read_error,
)
from statefun_runtime.engine.stop import Stop
from statefun_runtime.errors import (
    FencedError,
    StatefunError,
    UnavailableError,
)
from statefun_runtime.ports.cluster import ClusterPorts, LeaderLog
from statefun_runtime.ports.control import EVERYBODY, Notice
from statefun_runtime.ports.team import Workplace

log = logging.getLogger("statefun.cluster")

_ASKED_S = 60.0
# What a process has to leave in beyond the time in which an application stops.
LEAVE_EXTRA_S = 15.0

MakeLeader = Callable[[FarWorkplace, LeaderLog, Stop], Leader]


@dataclass(frozen=True, slots=True)
class Itself:
    """What a process is: its name in the cluster, its host and number, and for how many beats it lets others claim first."""

    name: str
    host: str
    pid: int
    wait_beats: int


class Node:
    """One connection of a process to its cluster; it ends when that is broken, or the process has left.

    `make_leader` makes who leads from here; `stop` has this process leave.
    """

    def __init__(
        self,
        itself: Itself,
        ports: ClusterPorts,
        workplace: Workplace,
        make_leader: MakeLeader,
        stop: Stop,
        *,
        form: str,
        seats: int,
        leave_s: float,
        savepoints: str,
    ) -> None:
        self.name = itself.name
        self._itself, self._form, self._seats = itself, form, seats
        self._ports = ports
        self._make_leader = make_leader
        self._stop = stop
        self._leave_s = leave_s
        self._savepoints = savepoints
        self._control = ports.make_control(self.name)
        self._presence = Presence(self.name, wait=itself.wait_beats)
        self._workplace = FarWorkplace(
            self._control, self._presence, form, ports.slots_max, ports.inbox_ends
        )
        self.hosting = Hosting(workplace, self._control)
        self.home = Home(self.name, self._control, self._presence, self.hosting)
        self._begun = asyncio.Event()
        self._beaten = 0
        self._term = 0
        self._is_leaving = False
        self._leader: Leader | None = None
        self._leading: asyncio.Task[None] | None = None
        self._leader_stop = Stop()
        self._commands: dict[str, Any] = {}
        self._questions = Questions()
        self._told_of = ""
        self._tasks: asyncio.TaskGroup

    # ── what is asked of this process ──

    @property
    def restarts(self) -> int:
        """How often all have begun again, as far as this process has led them."""
        return self._leader.restarts if self._leader is not None else 0

    def workers(self) -> list[Lodger]:
        """Return the workers here."""
        return self.hosting.workers()

    async def ask(self, command: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """Ask whoever leads; raise UnavailableError if nobody does, or no answer comes."""
        leader = self._presence.leader
        if leader is None:
            raise no_leader("nobody leads the cluster now")
        content = json.dumps({"command": command, "arguments": arguments}).encode()
        try:
            async with asyncio.timeout(_ASKED_S):
                return await self._questions.ask(
                    lambda number: self._control.say(leader, "ask", number, content)
                )
        except TimeoutError:
            raise no_leader(f"{leader}, which leads, does not answer") from None

    # ── from coming to leaving ──

    async def run(self) -> None:
        """Be part of the cluster until this process leaves; raise UnavailableError when the brokers are away."""
        try:
            async with asyncio.TaskGroup() as self._tasks:
                beside = [
                    self._tasks.create_task(self._control.run(self._take, self._begun.set)),
                    self._tasks.create_task(self.hosting.run()),
                    self._tasks.create_task(self._beat_always()),
                ]
                await self._stop.asked()
                await self._leave()
                for task in (*beside, *filter(None, [self._leading])):
                    task.cancel()
        finally:
            self.home.close()

    async def _leave(self) -> None:
        """Have the workers here come to rest, and their work go on elsewhere."""
        self._is_leaving = True
        self._beat()
        self._leader_stop.ask()
        try:
            async with asyncio.timeout(self._leave_s):
                if self._leading is not None:
                    await asyncio.wait([self._leading])
                await self.hosting.empty()
        except TimeoutError:
            log.warning(
                "the work of this process did not come to rest in time: it goes all the same"
            )
        self._control.say(EVERYBODY, "bye")
        with suppress(TimeoutError):
            async with asyncio.timeout(BEAT_S):
                await self._control.said()

    async def _beat_always(self) -> None:
        await self._begun.wait()
        while True:
            # While the last one has not come back the brokers are away: it is no use to say it again.
            if self._presence.beats >= self._beaten:
                self._beat()
            await asyncio.sleep(BEAT_S)

    def _beat(self) -> None:
        self._beaten = self._presence.beats + 1
        home = self.hosting.home
        here = Here(
            self._itself.host,
            self._itself.pid,
            self._seats,
            self._form,
            self._term,
            self._is_leaving,
            self.hosting.slots,
            home.incarnation if home is not None else 0,
        )
        self._control.say(EVERYBODY, "here", content=here.encode())

    # ── what is heard ──

    def _take(self, notice: Notice) -> None:
        match notice.kind:
            case "here":
                self._heard(notice.sender, Here.decode(notice.content))
            case "bye":
                self._presence.forget(notice.sender)
            case "hire":
                # Who has just come may be hired before it has heard who leads: its workers ask the log.
                if self._presence.leader in (None, notice.sender):
                    self.hosting.take(notice)
            case "down" | "kill":
                # Of the workers of whoever says it; those of one who leads no more are wanted by nobody.
                self.hosting.take(notice)
            case "up" | "hired" | "hung-up" | "exited":
                self._workplace.take(notice)
            case "ask":
                self._tasks.create_task(self._answer(notice))
            case "told":
                self._questions.told(notice.number, json.loads(notice.content))
            case "seek":
                self._tasks.create_task(self.home.answer(notice))
            case "found":
                self.home.found(notice.number, json.loads(notice.content))
            case "leave":
                log.info("%s is drained: it leaves, and its work goes on elsewhere", self.name)
                self._stop.ask()
            case "over":
                self._stop.fail(read_error(json.loads(notice.content)))

    def _heard(self, name: str, here: Here) -> None:
        self._presence.heard(name, here)
        if name != self.name:
            if here.term > self._term and self._leading is not None and self._term:
                self._step_down(name)
            return
        self._tell()
        self.home.look()
        if self._leading is not None:
            self._workplace.look()
        elif self._presence.is_claim_due and not self._is_leaving:
            self._leading = self._tasks.create_task(self._lead())

    def _tell(self) -> None:
        """Say what this process is, when that has changed."""
        slots = ", ".join(map(str, self.hosting.slots))
        leader = self._presence.leader or "nobody"
        role = f"has worker {slots}" if slots else "stands by"
        told = f"{role}; {leader if leader != self.name else 'this process'} leads"
        if told != self._told_of:
            self._told_of = told
            log.info("%s %s", self.name, told)

    # ── leading ──

    async def _lead(self) -> None:
        leader_log = self._ports.make_log()
        try:
            self._term = await leader_log.claim(self.name)
            self._beat()
            self._leader = self._make_leader(self._workplace, leader_log, self._leader_stop)
            self._commands = cluster_commands(
                self._leader, self._workplace, self._presence, self._control, self._savepoints
            )
            await self._leader.run(lambda: None)
        except FencedError as error:
            log.warning("leads no more: %s", error.line)
        except UnavailableError as error:
            log.warning("cannot lead: %s", error.line)
        except StatefunError as error:
            await self._over(leader_log, error)
        finally:
            self._term, self._leader, self._commands = 0, None, {}
            self._leading = None
            self._beat()
            await leader_log.close()

    async def _over(self, leader_log: LeaderLog, error: StatefunError) -> None:
        """What is wrong is so wherever one leads from; but to one whom another has followed much looks wrong."""
        try:
            await leader_log.confirm()
        except (FencedError, UnavailableError) as fenced:
            log.warning("leads no more: %s; before that: %s", fenced.line, error.line)
            return
        self._control.say(EVERYBODY, "over", content=json.dumps(error_form(error)).encode())

    def _step_down(self, name: str) -> None:
        assert self._leading is not None
        log.warning("%s leads in place of this process", name)
        self._term = 0
        self._leading.cancel()

    async def _answer(self, notice: Notice) -> None:
        asked = json.loads(notice.content)
        if asked["command"] in self._commands:
            told = await answered(self._commands, asked)
        else:
            told = {"error": error_form(no_leader("this process leads no more"))}
        self._control.say(notice.sender, "told", notice.number, json.dumps(told).encode())
