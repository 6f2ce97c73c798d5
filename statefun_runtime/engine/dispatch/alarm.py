"""Rings when the pause of an address that failed is over, in whichever partition."""

import asyncio

from statefun_runtime.core.partition.backlog import Function
from statefun_runtime.core.partition.partition import Partition
from statefun_runtime.core.partition.partitions import Partitions


class PauseAlarm:
    """One timer of the loop for all pauses."""

    def __init__(self, partitions: Partitions) -> None:
        self._partitions = partitions
        self._loop = asyncio.get_running_loop()
        self._handle: asyncio.TimerHandle | None = None
        self._rings_s = 0.0

    def paused(self, partition: Partition) -> None:
        """An address of a partition began a pause."""
        end_s = partition.failures.pauses.next_end_s()
        if end_s is not None and (self._handle is None or end_s < self._rings_s):
            self._set(end_s)

    def stop(self) -> None:
        """Resume nobody any more."""
        if self._handle is not None:
            self._handle.cancel()

    def _set(self, end_s: float) -> None:
        self.stop()
        self._rings_s = end_s
        self._handle = self._loop.call_later(max(0.0, end_s - self._loop.time()), self._ring)

    def _ring(self) -> None:
        self._handle = None
        now_s = self._loop.time()
        woken: dict[Function, None] = {}
        for partition in self._partitions:
            for backlog in partition.failures.resume_due(now_s):
                woken[backlog.function] = None
        ends_s = [
            end_s
            for partition in self._partitions
            if (end_s := partition.failures.pauses.next_end_s()) is not None
        ]
        if ends_s:
            self._set(min(ends_s))
        for function in woken:
            function.wake()
