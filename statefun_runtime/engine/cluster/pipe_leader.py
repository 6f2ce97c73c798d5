"""The leader of a worker, at the other end of a pipe."""

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping
from typing import Any

from statefun_runtime.core.cluster import words
from statefun_runtime.engine.cluster.questions import Command, answered, error_form
from statefun_runtime.engine.stop import Stop
from statefun_runtime.ports.team import Pipe

_ORDERS_MAX = 10_000
_BEAT_S = 1.0
# How a leader begins what it says to a worker whose life has not begun; the last of it is that it begins.
LIVE = b'{"live"'
AHEAD = (b'{"prepare"', LIVE)


class PipeLeader:
    """The LeaderLink of a worker whose leader is the process at the other end of a pipe; answers its questions."""

    def __init__(self, pipe: Pipe) -> None:
        self._pipe = pipe
        self._orders: asyncio.Queue[words.Order] = asyncio.Queue(_ORDERS_MAX)
        self._asked: asyncio.Queue[dict[str, Any]] = asyncio.Queue(_ORDERS_MAX)
        self._ahead: asyncio.Queue[dict[str, Any]] = asyncio.Queue(_ORDERS_MAX)

    def tell(self, answer: words.Answer) -> None:
        """Tell the leader something."""
        self._pipe.say(words.encode(answer))

    async def orders(self) -> AsyncGenerator[words.Order, None]:
        """Yield what the leader says."""
        while True:
            yield await self._orders.get()

    async def ahead(self) -> dict[str, Any]:
        """Return what the leader says next to a worker whose life has not begun."""
        return await self._ahead.get()

    def say(self, said: dict[str, Any]) -> None:
        """Answer to that."""
        self._pipe.say(said)

    async def listen(self) -> None:
        """Take what is said until the leader is gone."""
        async for line in self._pipe.heard():
            if line.startswith(b'{"ask"'):
                self._asked.put_nowait(json.loads(line))
            elif line.startswith(AHEAD):
                self._ahead.put_nowait(json.loads(line))
            else:
                word = words.decode(line)
                assert isinstance(word, words.Order)
                self._orders.put_nowait(word)

    async def answer(self, commands: Mapping[str, Command]) -> None:
        """Answer questions until cancelled, each when its answer is known: one may wait for a checkpoint."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                tasks.create_task(self._answer(await self._asked.get(), commands))

    async def _answer(self, asked: dict[str, Any], commands: Mapping[str, Command]) -> None:
        self._pipe.say({"told": asked["ask"], **await answered(commands, asked)})

    async def beat(self) -> None:
        """Say that this worker is there while its life begins, until cancelled: its reports do so after that."""
        while True:
            self._pipe.say({"alive": True})
            await asyncio.sleep(_BEAT_S)

    async def tell_failure(self, stop: Stop) -> None:
        """Tell what an operator has declared fatal: it ends the whole application."""
        await stop.asked()
        if stop.failure is not None:
            self._pipe.say({"failing": error_form(stop.failure)})
