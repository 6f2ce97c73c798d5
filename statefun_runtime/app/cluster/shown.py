"""The HTTP egress of a cluster: every process takes requests at its port, and the worker that has the topics answers.

    GET ─▶ Door ─▶ Home.ask ─▶ … ─▶ PlaygroundEgress.serve, in that worker ─▶ response

The port belongs to the process, not to a worker of it: it stays while workers come and go, and is answered with 503 as long
as nobody has the topics.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any

from statefun_runtime.adapters.http.server import (
    Deferred,
    HttpRequest,
    HttpResponse,
    HttpServer,
    ServerFactory,
)
from statefun_runtime.connectors.playground.answers import no_such_topic, unavailable
from statefun_runtime.connectors.playground.asked import (
    COMMAND,
    NoPort,
    read_response,
    request_form,
)
from statefun_runtime.connectors.playground.specs import PlaygroundEgressSpec
from statefun_runtime.connectors.playground.writer import PlaygroundEgress
from statefun_runtime.core.model.address import TypeName
from statefun_runtime.core.model.dead_letter import DeadLetter
from statefun_runtime.core.module.checks import Attempt
from statefun_runtime.core.module.specs import DeadLetterRoute
from statefun_runtime.errors import StatefunError, UnavailableError
from statefun_runtime.ports.contexts import EgressBuildContext

log = logging.getLogger("statefun.egress")

# All processes read what is answered to one of them.
READ_BYTES_MAX = 256 * 1024
_BODY_BYTES_MAX = 1024 * 1024
_LISTEN_AGAIN_S = 0.25

Ask = Callable[[str, dict[str, Any]], Awaitable[dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class ShownEgressSpec:
    """A declared HTTP egress, in a cluster."""

    inner: PlaygroundEgressSpec

    @property
    def id(self) -> TypeName:
        """What the module calls it."""
        return self.inner.id

    @property
    def own_port(self) -> int:
        """Others come to it, so that one worker has its records."""
        return self.inner.port

    @property
    def dead_letters(self) -> DeadLetterRoute | None:
        """The same as with one worker."""
        return self.inner.dead_letters

    def describe(self, host: str) -> str:
        """The same as with one worker."""
        return self.inner.describe(host)

    def checks(self) -> Iterator[tuple[str, Attempt]]:
        """The same as with one worker."""
        return self.inner.checks()

    def letter(self, topic: str, letter: DeadLetter) -> tuple[str, bytes]:
        """The same as with one worker."""
        return self.inner.letter(topic, letter)

    def why_no_topic(self, topic: str) -> str | None:
        """The same as with one worker."""
        return self.inner.why_no_topic(topic)

    def letters(self, topic: str) -> AsyncIterator[bytes] | None:
        """The same as with one worker."""
        return self.inner.letters(topic)

    def build(self, context: EgressBuildContext) -> PlaygroundEgress:
        """Return the egress; it has no port."""
        return self.inner.build_at(context, NoPort, read_bytes_max=READ_BYTES_MAX)


class Door:
    """The port of the HTTP egress in a process of a cluster; `ask` asks the worker that has the topics."""

    def __init__(
        self,
        spec: ShownEgressSpec,
        ask: Ask,
        *,
        host: str,
        make_server: ServerFactory = HttpServer,
    ) -> None:
        self._topics = spec.inner.topics
        self._ask = ask
        self._tasks: asyncio.TaskGroup
        self._server = make_server(
            self._serve, host=host, port=spec.own_port, body_bytes_max=_BODY_BYTES_MAX
        )

    async def run(self) -> None:
        """Listen until cancelled; while another process of this machine has the port that one answers."""
        async with asyncio.TaskGroup() as self._tasks:
            await self._listen()
            log.info("results are read at port %d", self._server.port)
            try:
                await asyncio.Event().wait()
            finally:
                await self._server.close()

    async def _listen(self) -> None:
        has_told = False
        while True:
            try:
                await self._server.start(what="the playground egress")
                return
            except UnavailableError as error:
                if not has_told:
                    log.warning(
                        "%s: all is well if it is another process of this cluster that has it",
                        error.line,
                    )
                has_told = True
            await asyncio.sleep(_LISTEN_AGAIN_S)

    def _serve(self, request: HttpRequest) -> HttpResponse | Deferred:
        unknown = no_such_topic(request, self._topics)
        if unknown is not None:
            return unknown
        answer = Deferred()
        self._tasks.create_task(self._resolve(answer, request_form(request)))
        return answer

    async def _resolve(self, answer: Deferred, asked: dict[str, Any]) -> None:
        try:
            answer.resolve(read_response(await self._ask(COMMAND, asked)))
        except StatefunError as error:
            answer.resolve(unavailable(error.line))
