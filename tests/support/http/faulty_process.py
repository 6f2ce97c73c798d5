"""The faulty server in a process of its own, for tests whose worker is a process too.

    python -m tests.support.http.faulty_process PORT MODULE:HANDLER [PLAN]

Its plan is replaced, and what it saw is read, over HTTP while it serves.
"""

import asyncio
import base64
import importlib
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from tests.support.http.faults import Fault, FaultKind, parse_plan
from tests.support.http.faulty_server import FaultyServer, Handler, Request
from tests.support.processes import Process
from tests.support.provisions import ROOT
from tests.support.sockets import free_port, http_request

_CONTROL = "/_control/"
GREETER = "tests.support.functions.greeter_stock:playground"
KAFKA_GREETER = "tests.support.functions.greeter_stock:kafka"


class FaultyProcess:
    """Serves the handler named `module:attribute` with the project's own SDK, from another process."""

    def __init__(self, handler: str, directory: Path, *, plan: str = "") -> None:
        self.port = free_port()
        path = os.pathsep.join([str(ROOT), str(ROOT / "sdk" / "python")])
        self.process = Process(
            [
                sys.executable,
                "-m",
                "tests.support.http.faulty_process",
                str(self.port),
                handler,
                plan,
            ],
            log=directory / f"functions-{self.port}.log",
            env={"PYTHONPATH": path},
        )
        self.process.wait_for_port(self.port)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/statefun"

    def set_plan(self, plan: str) -> None:
        """Replace the plan from the next request on."""
        self._ask("PUT", "plan", plan.encode())

    def requests(self) -> list[Request]:
        """Return the requests so far, in order of arrival."""
        return [_from_json(item) for item in json.loads(self._ask("GET", "requests"))]

    def request_count(self) -> int:
        return int(self._ask("GET", "count"))

    def drop_connections(self) -> None:
        self._ask("PUT", "drop")

    def close(self) -> None:
        self.process.stop()

    def _ask(self, method: str, what: str, body: bytes = b"") -> bytes:
        answer = http_request(method, f"http://127.0.0.1:{self.port}{_CONTROL}{what}", body)
        assert answer is not None, "the faulty server does not answer"
        assert answer[0] == 200, answer
        return answer[1]


async def serve(port: int, handler: Handler, plan: str) -> None:
    """Serve until SIGTERM."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stopped.set)

    def control(method: str, target: str, body: bytes) -> bytes | None:
        match target.removeprefix(_CONTROL) if target.startswith(_CONTROL) else None:
            case "plan":
                server.plan = parse_plan(body.decode())
            case "requests":
                return json.dumps([_to_json(r) for r in server.requests]).encode()
            case "count":
                return str(len(server.requests)).encode()
            case "drop":
                # After the answer to this very request.
                loop.call_later(0.05, server.drop_connections)
            case _:
                return None
        return b"{}"

    server = FaultyServer(handler, parse_plan(plan), port=port, control=control)
    async with server:
        await stopped.wait()


def load_handler(name: str) -> Handler:
    module, _, attribute = name.partition(":")
    handler: Handler = getattr(importlib.import_module(module), attribute)
    return handler


def _to_json(request: Request) -> dict[str, object]:
    return {
        "number": request.number,
        "connection": request.connection,
        "method": request.method,
        "target": request.target,
        "headers": request.headers,
        "body": base64.b64encode(request.body).decode(),
        "fault": [request.fault.kind, request.fault.detail],
    }


def _from_json(item: dict[str, Any]) -> Request:
    kind, detail = item.pop("fault")
    body = base64.b64decode(item.pop("body"))
    return Request(**item, body=body, fault=Fault(FaultKind(kind), detail))


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), load_handler(sys.argv[2]), "".join(sys.argv[3:])))
