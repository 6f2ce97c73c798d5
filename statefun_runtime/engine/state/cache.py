"""The addresses in memory: busy ones, and as a cache of their values idle ones.

    admitted ─▶ called ─▶ idle ──too many, or not called for long──▶ dropped
                  ▲         │
                  └─called──┘   recent: it has a second chance

What a burst of calls left would otherwise stay for ever, a little of it in each piece of memory that the burst took, and
so keep all of these.
"""

import asyncio
from collections.abc import Callable, Sequence
from itertools import islice

from statefun_runtime.core.partition.backlog import IDLE, Backlog, Function
from statefun_runtime.engine.state.large_values import LargeValues

_SLICE_ADDRESSES = 4096
_SWEEP_S = 30.0
_LARGE_BYTES_MAX = 64 * 1024 * 1024


class AddressCache:
    """Knows how many addresses are in memory; `addresses_max` may stay while idle, `save` writes what only memory knows of one."""

    def __init__(self, save: Callable[[Backlog], None], addresses_max: int) -> None:
        self._save = save
        self._addresses_max = addresses_max
        self.large = LargeValues(_LARGE_BYTES_MAX)
        self.count = 0

    def admitted(self, functions: Sequence[Function]) -> None:
        """One more address is in memory; make room if that is too many."""
        self.count += 1
        if self.count > self._addresses_max and self.count % 1024 == 0:
            for function in functions:
                self._sweep(function, _SLICE_ADDRESSES)

    async def run(self, functions: Sequence[Function]) -> None:
        """Drop who was not called again between two looks, until cancelled."""
        while True:
            await asyncio.sleep(_SWEEP_S)
            for function in tuple(functions):
                left = len(function.backlogs)
                while left > 0:
                    # Those who stay go behind all others, so that each is looked at once.
                    self._sweep(function, min(left, _SLICE_ADDRESSES))
                    left -= _SLICE_ADDRESSES
                    await asyncio.sleep(0)

    def _sweep(self, function: Function, count: int) -> None:
        """Drop idle ones of the first addresses that were not called again since the last look."""
        backlogs = function.backlogs
        for function_id, backlog in list(islice(backlogs.items(), count)):
            if backlog.phase == IDLE and not backlog.is_recent and not backlog.is_touched:
                if backlog.has_unsaved_stamp:
                    self._save(backlog)
                self.count -= 1
                del backlogs[function_id]
                self.large.dropped(backlog)
            else:
                backlog.is_recent = False
                backlogs[function_id] = backlogs.pop(function_id)
