"""The other workers of an application, and who leads them."""

from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

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


class Pipe(Protocol):
    """What a leader and a worker have to say to each other, line by line.

    Guarantees: lines come in the order in which they were said, each once and whole, or no more at all.
    """

    def say(self, said: dict[str, Any] | bytes) -> None:
        """Say something: an object, or one that is encoded already; never waits."""
        ...

    def heard(self) -> AsyncGenerator[bytes, None]:
        """Yield what the other end says, until it is gone."""
        ...

    def close(self) -> None:
        """Leave."""
        ...


@dataclass(frozen=True, slots=True)
class Hired:
    """A worker that was started: its number at its workplace, its process, where that is, and the pipe to it."""

    number: int
    pid: int
    pipe: Pipe
    where: str = ""


class Workplace(Protocol):
    """Where workers are started; each has a channel to every other one of its plan.

    Guarantees: of each worker that was started it is told once that it has ended, with its status, after its pipe has ended.
    """

    async def hire(self, requests: Mapping[int, dict[str, Any]]) -> dict[int, Hired]:
        """Start the workers of a plan, by slot, each with what its leader asks of it."""
        ...

    def attach(self, ended: Callable[[int, int], None]) -> None:
        """Say who is told of the end of a worker: its number, and its status."""
        ...

    def kill(self, number: int) -> None:
        """End a worker at once."""
        ...

    async def changed(self) -> None:
        """Return when there is room for other workers than those of the plan, or than were foreseen last."""
        ...

    def foresee(self) -> list[int]:
        """Return the slots of the plan that would come next; whoever is hired from now on sits as in that."""
        ...

    def overlook(self) -> None:
        """What was foreseen does not come about: whoever is hired sits as in the plan that is."""
        ...

    def keeps(self, numbers: Mapping[int, int]) -> bool:
        """Return whether workers that were hired before, by slot, sit as in the plan, and have not ended."""
        ...

    def now_s(self) -> float:
        """Return the time by which a worker's silence is judged: it stands while no worker could be heard."""
        ...


@dataclass(frozen=True, slots=True)
class Team:
    """What a worker has that is not alone."""

    links: Links
    leader: LeaderLink
