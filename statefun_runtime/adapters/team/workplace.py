"""Workers of this machine: processes that a nursery forks, with a pipe each and a pair of sockets for each two."""

import asyncio
import json
import socket
from collections import deque
from collections.abc import Callable, Mapping
from itertools import combinations
from typing import Any

from statefun_runtime.adapters.team.nursery import Nursery
from statefun_runtime.adapters.team.pipe import Pipe
from statefun_runtime.ports.team import Hired

_STARTED_S = 60.0
_REPORT_BYTES_MAX = 64 * 1024


class LocalWorkplace:
    """The Workplace of one machine; `clear` throws away what the worker of a process has left. Close it."""

    def __init__(self, nursery: Nursery, clear: Callable[[int], None]) -> None:
        self._nursery = nursery
        self._clear = clear
        self._ended: Callable[[int, int], None] | None = None
        # Who waits for the process of each start, in their order.
        self._starting: deque[asyncio.Future[int]] = deque()
        self._loop = asyncio.get_running_loop()
        nursery.reports.setblocking(False)
        self._loop.add_reader(nursery.reports, self._hear)

    def attach(self, ended: Callable[[int, int], None]) -> None:
        """Say who is told of the end of a process."""
        self._ended = ended

    async def hire(self, requests: Mapping[int, dict[str, Any]]) -> dict[int, Hired]:
        """Start the workers of a plan."""
        ends: dict[int, dict[int, socket.socket]] = {slot: {} for slot in requests}
        for one, other in combinations(requests, 2):
            ends[one][other], ends[other][one] = socket.socketpair()
        hired = {}
        for slot, request in requests.items():
            ours, theirs = socket.socketpair()
            started: asyncio.Future[int] = self._loop.create_future()
            self._starting.append(started)
            content = {**request, "peers": list(ends[slot])}
            self._nursery.start(content, [theirs, *ends[slot].values()])
            async with asyncio.timeout(_STARTED_S):
                pid = await started
            hired[slot] = Hired(pid, pid, await Pipe.open(ours))
        return hired

    def _hear(self) -> None:
        try:
            said = json.loads(self._nursery.reports.recv(_REPORT_BYTES_MAX) or b"{}")
        except BlockingIOError:
            return
        if "pid" in said:
            started = self._starting.popleft()
            if started.done():
                # Nobody waits for it any more.
                self._nursery.kill(said["pid"])
            else:
                started.set_result(said["pid"])
        elif "exited" in said:
            # Beside all else: there may be gigabytes, and those who go on are not to wait for that.
            self._loop.run_in_executor(None, self._clear, said["exited"])
            if self._ended is not None:
                self._ended(said["exited"], said["status"])

    def kill(self, number: int) -> None:
        """End a worker at once."""
        self._nursery.kill(number)

    async def changed(self) -> None:
        """There is always room for as many."""
        await asyncio.Event().wait()

    def foresee(self) -> list[int]:
        """Nothing is ever foreseen."""
        return []

    def overlook(self) -> None:
        """Nothing was foreseen."""

    def keeps(self, numbers: Mapping[int, int]) -> bool:
        """Nobody is hired before."""
        return False

    def now_s(self) -> float:
        """Return the loop's time."""
        return self._loop.time()

    def close(self) -> None:
        """Hear of nobody any more."""
        self._loop.remove_reader(self._nursery.reports)
