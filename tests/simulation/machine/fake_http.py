"""The worker's HTTP ports without sockets: a client's request becomes a callback of the process that listens."""

import asyncio
from collections.abc import Callable
from contextvars import Context
from random import Random

from statefun_runtime.adapters.http.server import (
    Deferred,
    Handler,
    HttpRequest,
    HttpResponse,
    ServerFactory,
)
from tests.simulation.machine.loop import Process, current_process

_ANSWER_LIMIT_S = 3.0


class Ports:
    """Who listens on which port; a dead process does not."""

    def __init__(self, rng: Random, outside: Context) -> None:
        self._rng = rng
        self._outside = outside
        # By host and port.
        self.listening: dict[tuple[str, int], tuple[Process, Handler]] = {}
        self.trouble = 0.0

    async def ask(self, port: int, request: HttpRequest) -> HttpResponse | None:
        """Return the answer, or None if none came: then nobody knows whether the request took effect."""
        loop = asyncio.get_running_loop()
        answered: asyncio.Future[HttpResponse] = loop.create_future()
        is_lost = self._rng.random() < self.trouble

        def hear(response: HttpResponse) -> None:
            if not answered.done():
                answered.set_result(response)

        def answer(response: HttpResponse) -> None:
            if not is_lost:
                loop.call_later(0.0005, hear, response, context=self._outside.copy())

        listener = self._some(port)
        if listener is None:
            await asyncio.sleep(0.05)
            return HttpResponse(503)
        process, handler = listener
        loop.call_later(0.0005, _serve, handler, request, answer, context=process.context)
        try:
            async with asyncio.timeout(_ANSWER_LIMIT_S):
                return await answered
        except TimeoutError:
            return None

    def _some(self, port: int) -> tuple[Process, Handler] | None:
        """Return one of those that listen; clients try other hosts where nobody does."""
        there = [
            one for (_, at), one in self.listening.items() if at == port and not one[0].is_dead
        ]
        return there[0] if len(there) == 1 else self._rng.choice(there) if there else None


def _serve(handler: Handler, request: HttpRequest, answer: Callable[[HttpResponse], None]) -> None:
    response = handler(request)
    if isinstance(response, HttpResponse):
        answer(response)
        return
    deferred: Deferred = response

    def resolved() -> None:
        current_process().check()
        assert deferred.response is not None
        answer(deferred.response)

    deferred.then(resolved)


def fake_server(ports: Ports) -> ServerFactory:
    """Return a stand-in for HttpServer; one of a zombie that had not begun to listen gets no port where anybody asks."""

    class FakeHttpServer:
        def __init__(self, handler: Handler, *, host: str, port: int, body_bytes_max: int) -> None:
            self._handler = handler
            self._host, self._port = host, port
            self.refused: dict[str, int] = {}

        @property
        def port(self) -> int:
            return self._port

        async def start(self, *, what: str) -> None:
            if not current_process().is_zombie:
                ports.listening[self._host, self.port] = (current_process(), self._handler)

        async def close(self) -> None:
            listener = ports.listening.get((self._host, self.port))
            if listener is not None and listener[0] is current_process():
                del ports.listening[self._host, self.port]

    return FakeHttpServer
