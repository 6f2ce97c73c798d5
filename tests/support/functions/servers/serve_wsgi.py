"""A WSGI application: answers every request with the reply in the environment; `/slow` takes 20 ms."""

import os
import time
from collections.abc import Iterable
from typing import Any

REPLY = bytes.fromhex(os.environ["REPLY"])


def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    environ["wsgi.input"].read()
    if environ["PATH_INFO"] == "/slow":
        time.sleep(0.02)
    headers = [("Content-Type", "application/octet-stream"), ("Content-Length", str(len(REPLY)))]
    start_response("200 OK", headers)
    return [REPLY]
