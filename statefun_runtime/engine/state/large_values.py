"""Large values in memory: the cache counts addresses, and these it counts by their bytes, too."""

from statefun_runtime.core.partition.backlog import IDLE, Backlog

LARGE_BYTES = 4096
# So many are looked at each time, for all may be in use.
_TRIES_MAX = 8


class LargeValues:
    """The addresses whose row has more than LARGE_BYTES, from the one that was not used for the longest to the latest.

    Together they keep `bytes_max` in memory, apart from those that are in use; the others are read again when they are needed.
    """

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._sizes: dict[Backlog, int] = {}
        self._bytes = 0

    def used(self, backlog: Backlog, size: int) -> None:
        """The row of an address was read or written, and is large: forget those of others, if these are too many."""
        self._bytes += size - self._sizes.pop(backlog, 0)
        self._sizes[backlog] = size
        tries = _TRIES_MAX
        while self._bytes > self._bytes_max and tries:
            tries -= 1
            oldest = next(iter(self._sizes))
            held = self._sizes.pop(oldest)
            if oldest.phase == IDLE and not oldest.has_unsaved_stamp:
                oldest.values = None
                self._bytes -= held
            else:
                self._sizes[oldest] = held

    def dropped(self, backlog: Backlog) -> None:
        """An address is in memory no more."""
        self._bytes -= self._sizes.pop(backlog, 0)
