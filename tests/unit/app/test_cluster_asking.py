"""How a command finds who leads, while that changes."""

import asyncio
import json

from statefun_runtime.app.cluster.asking import Asking
from statefun_runtime.core.cluster.presence import Here
from statefun_runtime.ports.control import Notice


def beat(name: str, term: int) -> Notice:
    return Notice(name, "here", 0, Here("host", 7, 1, "form", term=term).encode())


def answer(name: str, **content: int) -> Notice:
    return Notice(name, "told", 1, json.dumps({"content": content}).encode())


def test_who_lays_the_lead_down_is_not_asked_but_who_takes_it_up_then():
    async def ask() -> None:
        asked: asyncio.Queue[str] = asyncio.Queue()
        asking = Asking(lambda to, kind, number, content: asked.put_nowait(to))
        asking.take(beat("first", term=1))
        asking.take(beat("first", term=0))
        async with asyncio.TaskGroup() as tasks:
            told = tasks.create_task(asking.ask("mine", "cluster-status", {}))
            await asyncio.sleep(0)
            asking.take(beat("second", term=2))
            # It is awake, and lays it down before its turn.
            asking.take(beat("second", term=0))
            await asyncio.sleep(0)
            asking.take(beat("third", term=3))
            assert await asked.get() == "third"
            asking.take(answer("third", epoch=5))
        assert told.result() == {"epoch": 5}

    asyncio.run(ask())
