"""All partitions that a worker owns."""

from collections.abc import Iterator

from statefun_runtime.core.checkpoints.manifest import KeyGroups
from statefun_runtime.core.model.address import KeyGroup
from statefun_runtime.core.model.keys import group_prefix
from statefun_runtime.core.partition.backlog import Backlog
from statefun_runtime.core.partition.partition import Partition
from statefun_runtime.core.partition.timers import TIMER_LIMITS, TimerLimits


class Partitions:
    """Contiguous ranges of key groups, `owned` by number; who owns a key group is found by the first bytes of its keys."""

    def __init__(
        self, key_groups: KeyGroups, count: int, timers: TimerLimits = TIMER_LIMITS
    ) -> None:
        first, size = key_groups.first, len(key_groups)
        count = min(count, size)
        self.owned = tuple(
            Partition(
                number,
                range(first + size * number // count, first + size * (number + 1) // count),
                timers,
            )
            for number in range(count)
        )
        self._turn = 0
        self._owner_of = {
            group_prefix(KeyGroup(group)): one for one in self.owned for group in one.groups
        }

    def __iter__(self) -> Iterator[Partition]:
        return iter(self.owned)

    def __len__(self) -> int:
        return len(self.owned)

    def owner(self, key: bytes) -> Partition:
        """Return the partition whose range holds a stored row."""
        return self._owner_of[key[:2]]

    def has_parked(self, backlog: Backlog) -> bool:
        """Return whether an address was set aside, and has not got past what it failed at."""
        return backlog in self.owned[backlog.owner].failures.parked

    def next_look_ms(self) -> int:
        """Return when the next delayed message is due, or more of them are to be read; never, if there is none."""
        return min(partition.timers.next_look_ms() for partition in self.owned)

    def first_due(self, now_ms: int) -> bytes | None:
        """Return the key of a delayed message that is due, or None; its place stays until `taken`.

        Partitions take turns: much that is due in one of them does not hold up the others.
        """
        for turn in range(self._turn, self._turn + len(self.owned)):
            key = self.owned[turn % len(self.owned)].timers.first_due(now_ms)
            if key is not None:
                self._turn = turn % len(self.owned)
                return key
        return None

    def taken(self, key: bytes) -> None:
        """Forget the place that `first_due` returned just now."""
        self.owned[self._turn].timers.remove(key)
        self._turn = (self._turn + 1) % len(self.owned)

    @property
    def waiting_bytes(self) -> int:
        """The size of all messages that wait in memory or are in flight."""
        return sum(partition.waiting_bytes for partition in self.owned)

    @property
    def spilled_bytes(self) -> int:
        """The size of all messages that wait in chunks."""
        return sum(partition.spilled_bytes for partition in self.owned)
