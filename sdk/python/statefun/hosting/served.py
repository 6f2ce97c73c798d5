"""What all of them have in common."""

from statefun.calls.failures import Response
from statefun.functions import StatefulFunctions
from statefun.handler import RequestReplyHandler

Served = StatefulFunctions | RequestReplyHandler


def handler_of(served: Served) -> RequestReplyHandler:
    """Return a handler for what is to be served."""
    return served if isinstance(served, RequestReplyHandler) else RequestReplyHandler(served)


def refusal(method: str) -> Response | None:
    """Return the response to a request that calls no function, or None."""
    if method.upper() == "POST":
        return None
    text = f"functions are called with POST, not {method}"
    return Response(405, "text/plain", text.encode(errors="replace"), {"Allow": "POST"})


def headers_of(response: Response) -> dict[str, str]:
    """Return all that a response says beside its status and body."""
    return {"Content-Type": response.content_type, **response.headers}
