"""Who listens to a function client in a test: one request at a time, and what came of it."""

import asyncio
from collections.abc import Callable

from statefun_runtime.core.model.address import TypeName
from statefun_runtime.core.module.specs import EndpointSpec, FunctionPattern
from statefun_runtime.core.partition.backlog import Backlog, Function
from statefun_runtime.core.partition.partition import Partition
from statefun_runtime.core.partition.retry import Failure
from statefun_runtime.ports.function_client import FunctionClient

_FUNCTION = Function(TypeName("t", "f"), EndpointSpec(FunctionPattern("t", None), "http://x/"))


class Caller:
    """Sends requests over a client and returns what became of each: a body, or a failure."""

    def __init__(self, client: FunctionClient) -> None:
        self.client = client
        self._told = asyncio.Event()
        self._outcomes: list[bytes | Failure] = []
        client.attach(self)

    async def call(self, body: bytes = b"body", *, limit_s: float = 10.0) -> bytes | Failure:
        """Send a request; a connection that cannot be had is its failure."""
        self._outcomes.clear()
        await self._until(lambda: bool(self._outcomes) or self.client.can_send(1))
        if not self._outcomes:
            self.client.send(self.backlog(), body, limit_s=limit_s)
            await self._until(lambda: bool(self._outcomes))
        return self._outcomes[0]

    def backlog(self) -> Backlog:
        """Return an address whose request may be out."""
        return Partition(0, range(1)).admit(_FUNCTION, "alice", b"")

    async def failure(self, *, limit_s: float = 10.0) -> Failure:
        """Send a request that must fail."""
        outcome = await self.call(limit_s=limit_s)
        assert isinstance(outcome, Failure), outcome
        return outcome

    async def _until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not condition():
                self._told.clear()
                await self._told.wait()

    def replied(self, backlog: Backlog, body: bytes) -> None:
        self._add(body)

    def failed(self, backlog: Backlog, failure: Failure) -> None:
        self._add(failure)

    def came_back(self, backlog: Backlog, *, goes_alone: bool) -> None:
        raise AssertionError

    def unreachable(self, failure: Failure) -> None:
        self._add(failure)

    def has_room(self) -> None:
        self._told.set()

    def _add(self, outcome: bytes | Failure) -> None:
        self._outcomes.append(outcome)
        self._told.set()
