"""Requests for results that reach another process than the worker that has them: as JSON on their way, there and back.

GET ─▶ port of any process ─▶ question ─▶ the worker that has the topics ─▶ answer ─▶ response
"""

import asyncio
from base64 import b64decode, b64encode
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import Any, Protocol, runtime_checkable

from statefun_runtime.adapters.http.server import Deferred, Handler, HttpRequest, HttpResponse

Content = dict[str, Any]

# What the worker that has the topics is asked.
COMMAND = "results"


@runtime_checkable
class HasResults(Protocol):
    """An EgressSink whose records are read here."""

    def serve(self, request: HttpRequest) -> HttpResponse | Deferred:
        """Answer a reader."""
        ...


def results_commands(sinks: Iterable[object]) -> dict[str, Callable[[Content], Awaitable[Content]]]:
    """Return what a worker is asked for others, if results are read here."""
    serving = next((sink.serve for sink in sinks if isinstance(sink, HasResults)), None)
    return {COMMAND: partial(_serve, serving)} if serving is not None else {}


def request_form(request: HttpRequest) -> Content:
    """Return what an egress has to know of a request: its head says nothing of it, and its body is not looked at."""
    return {"method": request.method, "path": request.path, "query": request.query}


def response_form(response: HttpResponse) -> Content:
    """Return a response as JSON has it."""
    return {
        "status": response.status,
        "type": response.content_type,
        "headers": [list(header) for header in response.headers],
        "body": b64encode(response.body).decode(),
    }


def read_response(content: Content) -> HttpResponse:
    """Read what `response_form` made."""
    headers = tuple((name, value) for name, value in content["headers"])
    return HttpResponse(content["status"], b64decode(content["body"]), content["type"], headers)


async def _serve(serve: Handler, asked: Content) -> Content:
    """Have a request of another process answered as one of this one's; return the response when it is known."""
    answer = serve(HttpRequest(asked["method"], asked["path"], asked["query"], {}, b""))
    if isinstance(answer, Deferred):
        answer = await _known(answer)
    return response_form(answer)


async def _known(deferred: Deferred) -> HttpResponse:
    is_known = asyncio.Event()
    deferred.then(is_known.set)
    if deferred.response is None:
        await is_known.wait()
    assert deferred.response is not None
    return deferred.response


class NoPort:
    """The Server of who is asked by others, and listens on no port itself."""

    def __init__(self, handler: Handler, *, host: str, port: int, body_bytes_max: int) -> None:
        self.port = port
        self.refused: dict[str, int] = {}

    async def start(self, *, what: str) -> None:
        """Nobody comes here."""

    async def close(self) -> None:
        """Nobody came."""
