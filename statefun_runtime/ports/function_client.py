"""How one function type is called."""

from typing import Protocol

from statefun_runtime.core.partition.backlog import Backlog
from statefun_runtime.core.partition.retry import Failure


class ReplyListener(Protocol):
    """Who is told what became of a request. Called on the loop, never inside `send`."""

    def replied(self, backlog: Backlog, body: bytes) -> None:
        """The endpoint answered with success, and this is the body."""
        ...

    def failed(self, backlog: Backlog, failure: Failure) -> None:
        """There is no reply, and there will be none."""
        ...

    def came_back(self, backlog: Backlog, *, goes_alone: bool) -> None:
        """There is no reply, which was not the address's fault: it is to be sent again; alone if it was near the fault."""
        ...

    def unreachable(self, failure: Failure) -> None:
        """No connection could be opened, and there is none; no request was sent."""
        ...

    def has_room(self) -> None:
        """A connection became free after `can_send` was False, or a reply was handed over."""
        ...


class FunctionClient(Protocol):
    """Sends requests of one function type to its endpoint.

    Guarantees: for each request that was sent, and not cancelled, exactly one of `replied`, `failed`, `came_back` is called,
    once, and before the limit given has passed by much; between requests there is no order. After `close` nothing is
    called. A request that went out on a connection which turned out to be closed before any byte of a reply came is
    sent again, once, on a new one, and nobody is told. No connection stays open for long on which nothing was asked.

    Requests may leave together with others, and share the fate of a connection; one that is sent alone never does, and
    never comes back.
    """

    def attach(self, listener: ReplyListener) -> None:
        """Tell who listens; once, before the first request."""
        ...

    def can_send(self, wanted: int, *, is_alone: bool = False) -> bool:
        """Return whether a request can be sent now; `wanted` requests wait, connections are opened for them."""
        ...

    def send(
        self, backlog: Backlog, body: bytes, *, limit_s: float, is_alone: bool = False
    ) -> None:
        """Send one request for an address; only after `can_send` returned True to the same question."""
        ...

    def cancel(self, backlog: Backlog) -> bool:
        """Forget the request that is out for an address, and close its connection: nobody is told what comes of it.

        Return whether it was out; if not, it has been answered.
        """
        ...

    def capacity(self) -> int:
        """Return how many requests may be out at once, as far as is known by now; it changes."""
        ...

    def in_flight(self) -> int:
        """Return how many requests are out."""
        ...

    def close(self) -> None:
        """Close all connections; requests that are out are forgotten."""
        ...
