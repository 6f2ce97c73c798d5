"""The pauses of addresses that failed: who goes on next, and when."""

import heapq
from collections.abc import Iterator

from statefun_runtime.core.partition.backlog import Backlog

# An alarm may ring a little early.
_EARLY_S = 0.0005


class Pauses:
    """A pause has a number, and its address's failure state names the one that counts: one cut short means nothing."""

    __slots__ = ("_heap", "_number")

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Backlog]] = []
        self._number = 0

    def begin(self, backlog: Backlog, until_s: float) -> None:
        """Have an address that fails wait until then."""
        assert backlog.failing is not None
        self._number += 1
        backlog.failing.pause = self._number
        heapq.heappush(self._heap, (until_s, self._number, backlog))

    def next_end_s(self) -> float | None:
        """Return when the next pause is over, or None."""
        return self._heap[0][0] if self._heap else None

    def over(self, now_s: float) -> Iterator[Backlog]:
        """Remove and yield the addresses whose pause is over, in order of its end."""
        while self._heap and self._heap[0][0] <= now_s + _EARLY_S:
            _, number, backlog = heapq.heappop(self._heap)
            if backlog.failing is not None and backlog.failing.pause == number:
                yield backlog

    def end_s(self, backlog: Backlog) -> float:
        """Return when the pause of an address is over, 0 if it makes none; it is looked up, which takes long."""
        number = backlog.failing.pause if backlog.failing is not None else 0
        return next((until_s for until_s, name, _ in self._heap if number == name), 0.0)
