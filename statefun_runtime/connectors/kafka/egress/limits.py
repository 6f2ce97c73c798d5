"""How much a publisher takes on at once."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PublisherLimits:
    """How large a transaction may be, how much of the outboxes is in memory, and how long a commit may take."""

    transaction_bytes_max: int = 8 * 1024 * 1024
    memory_bytes_max: int = 32 * 1024 * 1024
    commit_s: float = 60.0


LIMITS = PublisherLimits()
_BYTES_MIN = 16 * 1024


class PortionSize:
    """How many bytes a transaction takes now: half as many after one that did not end in time, slowly more again."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self.bytes = bytes_max

    def took_too_long(self, tried_bytes: int) -> None:
        """A transaction of so many bytes has not ended in time."""
        tried_bytes = min(self.bytes, tried_bytes)
        self.bytes = min(self._bytes_max, max(_BYTES_MIN, tried_bytes // 2))

    def went_well(self) -> None:
        """A transaction is committed."""
        self.bytes = min(self._bytes_max, self.bytes + self.bytes // 8 + 1)
