"""Asks the leader of a cluster from anywhere its brokers are reached."""

import asyncio
import json
import secrets
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from statefun_runtime.config.cluster import ClusterSettings
from statefun_runtime.connectors.kafka.cluster.control import ControlTopic
from statefun_runtime.connectors.kafka.cluster.topics import brokers_of, require_topics
from statefun_runtime.core.cluster.presence import Here, Presence
from statefun_runtime.core.cluster.troubles import no_leader
from statefun_runtime.engine.cluster.questions import read_answer
from statefun_runtime.errors import StatefunError, first_of
from statefun_runtime.ports.control import Notice

_HEAR_S = 3.0
_ASKED_MAX = 4


def ask_cluster(
    settings: ClusterSettings, command: str, arguments: dict[str, Any]
) -> dict[str, Any]:
    """Return what the leader answers; raise UnavailableError if nobody leads, or it does not answer."""
    try:
        return asyncio.run(_ask(settings, command, arguments))
    except* StatefunError as group:
        raise first_of(group) from None


async def _ask(
    settings: ClusterSettings, command: str, arguments: dict[str, Any]
) -> dict[str, Any]:
    brokers = brokers_of(settings)
    await require_topics(brokers)
    control = ControlTopic(brokers, f"ask-{secrets.token_hex(4)}")
    asking = Asking(control.say)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(control.run(asking.take, lambda: None))
        try:
            return await asking.ask(settings.name, command, arguments)
        finally:
            running.cancel()


class Asking:
    """Waits for who leads, asks, and waits for the answer; what it has to `say` goes to a process: its name, kind, number, content."""

    def __init__(self, say: Callable[[str, str, int, bytes], None]) -> None:
        loop = asyncio.get_running_loop()
        self._say = say
        self._presence = Presence("", wait=0)
        self._led = asyncio.Event()
        self._told: asyncio.Future[dict[str, Any]] = loop.create_future()

    def take(self, notice: Notice) -> None:
        """Hear what any process says."""
        if notice.kind == "here":
            self._presence.heard(notice.sender, Here.decode(notice.content))
            if self._presence.leader is not None:
                self._led.set()
        elif notice.kind == "told" and not self._told.done():
            self._told.set_result(json.loads(notice.content))

    async def ask(self, cluster: str, command: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """Ask whoever leads, once more if no answer comes: who leads may have died meanwhile."""
        content = json.dumps({"command": command, "arguments": arguments}).encode()
        why = "no process is there, or they begin"
        for number in range(1, _ASKED_MAX + 1):
            with suppress(TimeoutError):
                async with asyncio.timeout(_HEAR_S):
                    leader = await self._heard_leader()
                    why = f"{leader} leads, and does not answer"
                    self._say(leader, "ask", number, content)
                    told = await asyncio.shield(self._told)
                    break
        else:
            raise no_leader(f"cluster '{cluster}' gives no answer: {why}")
        return read_answer(told)

    async def _heard_leader(self) -> str:
        # Who leads may lay it down at any time, also between what wakes this and its turn.
        while (leader := self._presence.leader) is None:
            self._led.clear()
            await self._led.wait()
        return leader
