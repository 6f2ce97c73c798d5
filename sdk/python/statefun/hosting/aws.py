"""For AWS Lambda behind a function URL, an API Gateway or a load balancer: `handler = lambda_handler(functions)`."""

import base64
from collections.abc import Callable, Mapping
from typing import Any

from statefun.calls.failures import Response
from statefun.hosting.served import Served, handler_of, headers_of, refusal

_AS_TEXT = (
    "the body came as text, in which a request does not survive: have 'application/octet-stream' and "
    "'application/vnd.statefun.bundle' passed as binary media types"
)


def lambda_handler(functions: Served) -> Callable[[Mapping[str, Any], object], dict[str, Any]]:
    """Return a Lambda handler for HTTP events of any format."""
    handler = handler_of(functions)

    def handle(event: Mapping[str, Any], context: object) -> dict[str, Any]:
        response = refusal(_method(event))
        if response is None:
            body = event.get("body") or ""
            if body and not event.get("isBase64Encoded"):
                response = Response(400, "text/plain", _AS_TEXT.encode())
            else:
                response = handler.respond_sync(base64.b64decode(body), _content_type(event))
        return {
            "statusCode": response.status,
            "headers": headers_of(response),
            "body": base64.b64encode(response.body).decode(),
            "isBase64Encoded": True,
        }

    return handle


def _method(event: Mapping[str, Any]) -> str:
    http = (event.get("requestContext") or {}).get("http") or {}
    return str(event.get("httpMethod") or http.get("method") or "POST")


def _content_type(event: Mapping[str, Any]) -> str:
    headers = event.get("headers") or event.get("multiValueHeaders") or {}
    for name, value in headers.items():
        if name.lower() == "content-type":
            return str(value[0] if isinstance(value, list) else value)
    return ""
