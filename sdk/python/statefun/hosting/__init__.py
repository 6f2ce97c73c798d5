"""Functions under other people's servers: ASGI, WSGI, and the function services of three clouds.

Each takes StatefulFunctions, or a RequestReplyHandler with settings of its own, and needs no package but the one that
calls it. Bundles are taken by all of them; only ASGI answers them in parts.
"""

from statefun.hosting.asgi import asgi_application
from statefun.hosting.aws import lambda_handler
from statefun.hosting.azure import azure_function
from statefun.hosting.google import google_function
from statefun.hosting.wsgi import wsgi_application

__all__ = [
    "asgi_application",
    "azure_function",
    "google_function",
    "lambda_handler",
    "wsgi_application",
]
