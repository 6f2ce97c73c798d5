"""What the processes of a cluster say to each other, wherever they run."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

EVERYBODY = "*"


@dataclass(frozen=True, slots=True)
class Notice:
    """What a process has said: its kind, the number of what it is about, and its content."""

    sender: str
    kind: str
    number: int
    content: bytes


class Control(Protocol):
    """Where processes talk to each other; names of processes, and kinds, have no spaces.

    Guarantees: what one process says comes in its order, each thing once and whole, from when `begun` was called, or no
    more at all; who says something to everybody hears it, too. Saying never waits.
    """

    def say(self, to: str, kind: str, number: int = 0, content: bytes = b"") -> None:
        """Say something to a process, or to everybody."""
        ...

    async def said(self) -> None:
        """Return when all that was said is with the brokers."""
        ...

    async def run(self, take: Callable[[Notice], None], begun: Callable[[], None]) -> None:
        """Carry what is said until cancelled; raise UnavailableError when that can be gone on with no more."""
        ...
