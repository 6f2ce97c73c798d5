"""What a process asks of the worker that has the first key groups, in whichever process that is: what only it has.

    ask ─▶ it is here ─▶ its pipe
       └─▶ it is in another process ─▶ seek N ─▶ its pipe there ─▶ found N, as much at a time as heartbeats can bear

Who has it, everybody says with each heartbeat: of several, who is of the latest life. Nothing is asked twice, since an
answer that was lost may have been one that took something away.
"""

import asyncio
import json
from dataclasses import dataclass
from typing import Any

from statefun_runtime.app.cluster.hosting import Hosting, Lodger
from statefun_runtime.core.cluster.presence import Presence
from statefun_runtime.core.cluster.troubles import results_away
from statefun_runtime.engine.cluster.questions import error_form, read_answer
from statefun_runtime.errors import StatefunError
from statefun_runtime.ports.control import Control, Notice

# An acknowledgement waits for a checkpoint.
_ANSWER_S = 30.0
_FAR_ANSWER_S = 35.0
_ASKED_MAX = 1000
_ANSWERING_MAX = 256
# What no broker has yet of all answers: heartbeats are behind it.
_UNSAID_BYTES_MAX = 512 * 1024

# A process, and the number of the life whose home is there.
Holder = tuple[str, int]


@dataclass(frozen=True, slots=True)
class _Asked:
    """What has no answer yet."""

    holder: Holder
    answer: asyncio.Future[dict[str, Any]]


class Home:
    """The way of one process to it; `look` is called with each heartbeat."""

    def __init__(self, name: str, control: Control, presence: Presence, hosting: Hosting) -> None:
        self._name = name
        self._control = control
        self._presence = presence
        self._hosting = hosting
        self._asked: dict[int, _Asked] = {}
        self._last = 0
        self._answering = 0
        self._saying = asyncio.Lock()
        self._unsaid_bytes = 0

    async def ask(self, command: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """Have it carry out a command; raise UnavailableError while nobody has it, or no answer comes."""
        holder, lodger = self._holder()
        if lodger is not None:
            return await lodger.ask(command, arguments, _ANSWER_S)
        if holder is None:
            raise results_away("no worker has the results now: the workers begin again")
        if len(self._asked) >= _ASKED_MAX:
            raise results_away(f"process {holder[0]} has too much to answer")
        self._last += 1
        number = self._last
        answer = asyncio.get_running_loop().create_future()
        self._asked[number] = _Asked(holder, answer)
        content = json.dumps({"command": command, "arguments": arguments}).encode()
        self._control.say(holder[0], "seek", number, content)
        try:
            async with asyncio.timeout(_FAR_ANSWER_S):
                return read_answer(await answer)
        except TimeoutError:
            raise results_away(f"process {holder[0]} does not answer") from None
        finally:
            del self._asked[number]

    def _holder(self) -> tuple[Holder | None, Lodger | None]:
        """Return which other process has it, or the worker here that is it."""
        others = [
            (name, here.home)
            for name, here in self._presence.present.items()
            if here.home and name != self._name
        ]
        holder = max(others, key=lambda one: one[1], default=None)
        lodger = self._hosting.home
        if lodger is not None and (holder is None or lodger.incarnation >= holder[1]):
            return None, lodger
        return holder, None

    def look(self) -> None:
        """Let nobody wait for an answer of who has it no more."""
        present = self._presence.present
        for number, asked in self._asked.items():
            name, home = asked.holder
            if name not in present or present[name].home != home:
                self._fail(number, f"process {name} has the results no more")

    def close(self) -> None:
        """No answers will come."""
        for number in self._asked:
            self._fail(number, "this process is cut off from its cluster")

    def _fail(self, number: int, why: str) -> None:
        self.found(number, {"error": error_form(results_away(why))})

    def found(self, number: int, told: dict[str, Any]) -> None:
        """The answer to a question has come; nobody may wait for it any more."""
        asked = self._asked.get(number)
        if asked is not None and not asked.answer.done():
            asked.answer.set_result(told)

    # ── what others ask ──

    async def answer(self, notice: Notice) -> None:
        """Answer another process."""
        told = await self._answered(json.loads(notice.content))
        content = json.dumps(told).encode()
        async with self._saying:
            if self._unsaid_bytes > _UNSAID_BYTES_MAX:
                await self._control.said()
                self._unsaid_bytes = 0
            self._unsaid_bytes += len(content)
            self._control.say(notice.sender, "found", notice.number, content)

    async def _answered(self, asked: dict[str, Any]) -> dict[str, Any]:
        lodger = self._hosting.home
        if lodger is None:
            return {"error": error_form(results_away(f"process {self._name} has them no more"))}
        if self._answering >= _ANSWERING_MAX:
            return {"error": error_form(results_away(f"process {self._name} has too much to do"))}
        self._answering += 1
        try:
            return {"content": await lodger.ask(asked["command"], asked["arguments"], _ANSWER_S)}
        except StatefunError as error:
            return {"error": error_form(error)}
        finally:
            self._answering -= 1
