"""For Google's functions framework, and any that hands over a Flask request."""

from collections.abc import Callable
from typing import Any

from statefun.hosting.served import Served, handler_of, headers_of, refusal

# What Flask makes a response of: body, status and headers.
Answer = tuple[bytes, int, dict[str, str]]


def google_function(functions: Served) -> Callable[[Any], Answer]:
    """Return an HTTP function: `serve = functions_framework.http(google_function(functions))`."""
    handler = handler_of(functions)

    def serve(request: Any) -> Answer:
        response = refusal(request.method)
        if response is None:
            content_type = request.headers.get("Content-Type", "")
            response = handler.respond_sync(request.get_data(), content_type)
        return response.body, response.status, headers_of(response)

    return serve
