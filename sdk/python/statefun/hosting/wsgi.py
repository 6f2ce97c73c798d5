"""For WSGI servers and frameworks: `application = wsgi_application(functions)`."""

from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Any

from statefun.hosting.served import Served, handler_of, headers_of, refusal

StartResponse = Callable[[str, list[tuple[str, str]]], object]
Application = Callable[[Mapping[str, Any], StartResponse], Iterable[bytes]]


def wsgi_application(functions: Served) -> Application:
    """Return an application that answers every POST; async functions run in an event loop of their own call."""
    handler = handler_of(functions)

    def application(environ: Mapping[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        response = refusal(environ["REQUEST_METHOD"])
        if response is None:
            response = handler.respond_sync(_body(environ), environ.get("CONTENT_TYPE") or "")
        headers = {**headers_of(response), "Content-Length": str(len(response.body))}
        status = f"{response.status} {HTTPStatus(response.status).phrase}"
        start_response(status, list(headers.items()))
        return [response.body]

    return application


def _body(environ: Mapping[str, Any]) -> bytes:
    if environ.get("wsgi.input_terminated"):
        return bytes(environ["wsgi.input"].read())
    return bytes(environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)))
