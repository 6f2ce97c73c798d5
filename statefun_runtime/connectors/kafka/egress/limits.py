"""How much a publisher takes on at once."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PublisherLimits:
    """How large a transaction may be, how much of the outboxes is in memory, and how long a commit may take."""

    transaction_bytes_max: int = 8 * 1024 * 1024
    memory_bytes_max: int = 32 * 1024 * 1024
    commit_s: float = 60.0


LIMITS = PublisherLimits()
