"""What a process of a cluster needs of the world besides its own machine."""

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Protocol

from statefun_runtime.ports.commit_log import CommitLog
from statefun_runtime.ports.control import Control


class LeaderLog(CommitLog, Protocol):
    """The commit log of a cluster, which only who has claimed it last can write.

    Guarantees: what was written before a claim is read after it; terms only grow.
    """

    async def claim(self, process: str) -> int:
        """Become the one that appends; return the term. Raise UnavailableError, or FencedError if another claims, too."""
        ...

    async def confirm(self) -> None:
        """Raise FencedError if somebody else has claimed since."""
        ...

    async def close(self) -> None:
        """Append no more."""
        ...


@dataclass(frozen=True, slots=True)
class ClusterPorts:
    """How a process talks to the others and to their log; `inbox_ends` tells behind which offset of a slot's inbox
    all is that will be sent from now on."""

    make_control: Callable[[str], Control]
    make_log: Callable[[], LeaderLog]
    inbox_ends: Callable[[Collection[int]], Awaitable[Mapping[int, int]]]
    slots_max: int
