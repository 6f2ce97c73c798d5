"""How the ports of the HTTP ingress and egress answer: as StateFun's playground does, which says a status in a header, too."""

from collections.abc import Collection

from statefun_runtime.adapters.http.server import HttpRequest, HttpResponse


def respond(
    status: int, body: bytes, *headers: tuple[str, str], said: int | None = None
) -> HttpResponse:
    """Return a response; the header `Status` says what the playground says there: this status, or another one."""
    return HttpResponse(status, body, headers=(("Status", str(said or status)), *headers))


def unavailable(text: str) -> HttpResponse:
    """Return the answer to what may be asked again in a moment."""
    return respond(503, f"{text}\n".encode(), ("Retry-After", "1"))


def no_such_topic(request: HttpRequest, topics: Collection[str]) -> HttpResponse | None:
    """Return the answer to a request that names none of these topics; None if it names one."""
    segments = request.segments()
    if len(segments) == 1 and segments[0] in topics:
        return None
    known = ", ".join(f"/{name}" for name in topics)
    text = f"no such topic: {request.path} (there are: {known})\n"
    return respond(404, text.encode(), said=405)
