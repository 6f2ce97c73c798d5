"""For Azure Functions; needs the package azure-functions, which is there when Azure calls."""

from collections.abc import Callable
from typing import Any

from statefun.hosting.served import Served, handler_of, refusal


def azure_function(functions: Served) -> Callable[[Any], Any]:
    """Return the function of an HTTP trigger: from an `HttpRequest` to an `HttpResponse`."""
    handler = handler_of(functions)

    def main(req: Any) -> Any:
        from azure.functions import HttpResponse

        response = refusal(req.method)
        if response is None:
            content_type = req.headers.get("Content-Type", "")
            response = handler.respond_sync(req.get_body(), content_type)
        return HttpResponse(
            response.body,
            status_code=response.status,
            headers=dict(response.headers),
            mimetype=response.content_type,
        )

    return main
