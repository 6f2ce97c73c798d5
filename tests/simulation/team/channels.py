"""What processes of one simulated machine say to each other: in order, a little later, and not at all when one is dead."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from functools import partial
from random import Random
from typing import Any

from statefun_runtime.ports.team import TakeFrame
from tests.simulation.machine.loop import Process, SimLoop

Taken = Callable[[Any], None]


class OneWay:
    """Carries things to a process; what was sent before the sender died arrives, then the end, which is None."""

    def __init__(self, loop: SimLoop, to: Process, rng: Random, longest_s: float) -> None:
        self._loop = loop
        self._to = to
        self._rng = rng
        self._longest_s = longest_s
        self._last_s = 0.0
        self._is_ended = False
        self._waiting: list[Any] = []
        self._take: Taken | None = None

    def attach(self, take: Taken) -> None:
        """Say who takes what comes."""
        self._take = take
        waiting, self._waiting = self._waiting, []
        for one in waiting:
            take(one)

    def send(self, one: Any) -> None:
        """Have something arrive."""
        if self._is_ended:
            return
        self._is_ended = one is None
        # A turn of the loop may be the next moment, and never one before.
        self._last_s = max(
            self._last_s + 1e-9, self._loop.time() + self._rng.random() * self._longest_s
        )
        self._loop.call_at(self._last_s, self._arrive, one, context=self._to.context)

    def _arrive(self, one: Any) -> None:
        if self._take is None:
            self._waiting.append(one)
        else:
            self._take(one)


class SimPipe:
    """One end of a pipe."""

    def __init__(self, out: OneWay, into: OneWay) -> None:
        self._out = out
        self._into = into

    def say(self, said: dict[str, Any] | bytes) -> None:
        self._out.send(said if isinstance(said, bytes) else json.dumps(said).encode())

    async def heard(self) -> AsyncGenerator[bytes, None]:
        lines: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._into.attach(lines.put_nowait)
        while (line := await lines.get()) is not None:
            yield line

    def close(self) -> None:
        self._out.send(None)


class SimLinks:
    """Links to the other workers of a plan."""

    def __init__(self, out: dict[int, OneWay], into: dict[int, OneWay]) -> None:
        self._out = out
        self._into = into
        self._take: TakeFrame | None = None

    def attach(self, take: TakeFrame) -> None:
        self._take = take

    def send(self, slot: int, frame: bytes) -> None:
        self._out[slot].send(frame)

    @property
    def waiting_bytes(self) -> int:
        return 0

    async def run(self) -> None:
        for slot, channel in self._into.items():
            channel.attach(partial(self._arrived, slot))
        await asyncio.Event().wait()

    def _arrived(self, slot: int, frame: bytes | None) -> None:
        if frame is not None:
            assert self._take is not None
            self._take(slot, frame)
