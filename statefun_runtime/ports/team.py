"""The other workers of an application, and who leads them."""

from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from typing import Protocol

from statefun_runtime.core.cluster.words import Answer, Order

# Is told of a frame: the slot of its sender, and its content.
TakeFrame = Callable[[int, bytes], None]


class Links(Protocol):
    """A channel to, and from, every other worker of one plan.

    Guarantees: frames of one sender come in the order in which they were sent, each once and whole, or no more at all;
    nothing comes that was sent under another plan. Sending never waits: what is on its way is counted.
    """

    def attach(self, take: TakeFrame) -> None:
        """Say who takes what comes; once, before `run`."""
        ...

    def send(self, slot: int, frame: bytes) -> None:
        """Send a frame to the worker of a slot."""
        ...

    @property
    def waiting_bytes(self) -> int:
        """The size of what was sent and is still here."""
        ...

    async def run(self) -> None:
        """Carry frames until cancelled; raise UnavailableError when a channel is broken."""
        ...


class LeaderLink(Protocol):
    """What a worker hears from its leader, and tells it.

    Guarantees: orders come in the order in which they were given, answers go in theirs; none is lost while both live.
    """

    def tell(self, answer: Answer) -> None:
        """Tell the leader something; never waits."""
        ...

    def orders(self) -> AsyncGenerator[Order, None]:
        """Yield what the leader says; raise UnavailableError if it is gone."""
        ...


@dataclass(frozen=True, slots=True)
class Team:
    """What a worker has that is not alone."""

    links: Links
    leader: LeaderLink
