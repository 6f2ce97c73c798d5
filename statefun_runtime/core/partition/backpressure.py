"""When new records are welcome: the only thing that is ever held back is ingress.

    open ── memory half used ──▶ tight ── a limit reached ──▶ closed

Open: everything comes in. Tight: what feeds an address with too much to do, or an endpoint that is down, waits.
Closed: everything waits. Messages between functions are always accepted.
"""

from dataclasses import dataclass

from statefun_runtime.core.partition.partitions import Partitions


@dataclass(frozen=True, slots=True)
class Limits:
    """From settings: 0 or less for `busy_max` means no limit."""

    waiting_bytes_max: int
    spilled_bytes_max: int
    unsaved_bytes_max: int
    egress_bytes_max: int
    busy_max: int
    outbox_bytes_max: int = 1 << 62


class Load:
    """What waits now, over all partitions.

    `is_stuck` says that changes which are in no checkpoint have reached their limit: then nothing may begin that would
    make more of them, no request and no delayed message, until a checkpoint is complete.
    """

    __slots__ = ("_limits", "_partitions", "is_stuck")

    def __init__(self, limits: Limits, partitions: Partitions) -> None:
        self._limits = limits
        self._partitions = partitions
        self.is_stuck = False

    @property
    def waiting_bytes(self) -> int:
        """The size of what waits in memory or is in flight."""
        return self._partitions.waiting_bytes

    @property
    def spilled_bytes(self) -> int:
        """The size of what waits in chunks."""
        return self._partitions.spilled_bytes

    def unsaved(self, unsaved_bytes: int) -> None:
        """So many bytes are in no complete checkpoint now."""
        self.is_stuck = unsaved_bytes >= self._limits.unsaved_bytes_max

    @property
    def is_tight(self) -> bool:
        """Whether addresses with too much to do shall not be fed."""
        limits = self._limits
        return (
            self.waiting_bytes * 2 >= limits.waiting_bytes_max
            or self.spilled_bytes * 2 >= limits.spilled_bytes_max
        )

    def closed_by(
        self, *, busy: int, egress_bytes: int, unsaved_bytes: int, outbox_bytes: int = 0
    ) -> str | None:
        """Return which limit is reached, in words, or None if new records are welcome.

        `busy` counts addresses with work, without those that are parked or whose endpoint is down.
        """
        limits = self._limits
        waiting_bytes, spilled_bytes = self.waiting_bytes, self.spilled_bytes
        if waiting_bytes >= limits.waiting_bytes_max:
            return f"{waiting_bytes} bytes of messages wait in memory (limit {limits.waiting_bytes_max})"
        if spilled_bytes >= limits.spilled_bytes_max:
            return (
                f"{spilled_bytes} bytes of messages wait on disk (limit {limits.spilled_bytes_max})"
            )
        if unsaved_bytes >= limits.unsaved_bytes_max:
            return (
                f"{unsaved_bytes} bytes are in no checkpoint yet (limit {limits.unsaved_bytes_max})"
            )
        if egress_bytes >= limits.egress_bytes_max:
            return f"{egress_bytes} bytes wait for egresses (limit {limits.egress_bytes_max})"
        if outbox_bytes >= limits.outbox_bytes_max:
            return (
                f"{outbox_bytes} bytes wait in outboxes on disk (limit {limits.outbox_bytes_max})"
            )
        if 0 < limits.busy_max <= busy:
            return f"{busy} addresses are busy (limit {limits.busy_max})"
        return None
