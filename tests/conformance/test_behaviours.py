"""One semantics: what functions see and do is the same in an application under test and with a real worker."""

import threading
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote
from urllib.request import Request, urlopen

import pytest
from statefun import RequestReplyHandler
from statefun.testing import Application

from tests.conformance.behaviours.functions import PROGRAM, RECORD, TOLD, functions
from tests.conformance.behaviours.table import BEHAVIOURS, Behaviour
from tests.support.processes import wait_until
from tests.support.sockets import free_port, http_get
from tests.support.worker import Worker

Told = dict[str, list[str]]

MODULE = """\
kind: io.statefun.endpoints.v2/http
spec:
  functions: behaviours/*
  urlPathTemplate: http://127.0.0.1:{functions}/
---
kind: io.statefun.playground.v1/ingress
spec:
  port: {ingress}
---
kind: io.statefun.playground.v1/egress
spec:
  port: {egress}
  topics: [told]
"""


def by_address(told: list[str]) -> Told:
    """Return what was told, per address and in its order."""
    found: Told = {}
    for one in told:
        address, _, text = one.partition(" ")
        found.setdefault(address, []).append(text)
    return found


class Handler(BaseHTTPRequestHandler):
    handler = RequestReplyHandler(functions)
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        answer = self.handler.respond_sync(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    """Have a worker do all that is in the table, and return what was told in all."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    ports = {"functions": server.server_port, "ingress": free_port(), "egress": free_port()}
    worker = Worker(MODULE.format(**ports), Path(tmp_path_factory.mktemp("behaviours")))
    try:
        worker.start()
        yield by_address(play(ports["ingress"], ports["egress"]))
    finally:
        worker.close()
        server.shutdown()
        server.server_close()


def play(ingress: int, egress: int) -> list[str]:
    """Send everything, a message of every behaviour in turn, and read until all is there, or nothing comes."""
    for turn in range(max(len(one.sent) for one in BEHAVIOURS)):
        for behaviour in BEHAVIOURS:
            for typename, id_, program in behaviour.sent[turn : turn + 1]:
                put(ingress, typename, id_, program)
    wanted = sum(len(texts) for one in BEHAVIOURS for texts in one.told.values())
    told: list[str] = []

    def is_all_there() -> bool:
        while (answer := http_get(f"http://127.0.0.1:{egress}/told")) and answer[0] == 200:
            told.append(answer[1].decode())
        return len(told) >= wanted

    with suppress(TimeoutError):
        wait_until(is_all_there, "everything to be told", timeout_s=30)
    return told


def put(port: int, typename: str, id_: str, program: str) -> None:
    request = Request(
        f"http://127.0.0.1:{port}/{typename}/{quote(id_)}",
        data=program.encode(),
        method="PUT",
        headers={"Content-Type": f"application/vnd.{PROGRAM.typename}"},
    )
    with urlopen(request, timeout=10) as answer:
        assert answer.status == 200


@pytest.mark.parametrize("behaviour", BEHAVIOURS, ids=lambda one: one.name)
def test_an_application_under_test_does_it(behaviour: Behaviour) -> None:
    with Application(functions, egresses=[TOLD], has_failure_policy=True) as app:
        for typename, id_, program in behaviour.sent:
            app.send(typename, id_, program, PROGRAM)
            app.advance(milliseconds=20)
        app.advance(seconds=3)
        told = [record.as_type(RECORD)["payload"] for record in app.egress(TOLD)]

    assert by_address(told) == behaviour.told


@pytest.mark.parametrize("behaviour", BEHAVIOURS, ids=lambda one: one.name)
def test_a_worker_does_it(behaviour: Behaviour, real: Told) -> None:
    assert {address: real.get(address) for address in behaviour.told} == behaviour.told


def test_there_are_sixty_of_them() -> None:
    assert len(BEHAVIOURS) >= 60
    assert len({one.name for one in BEHAVIOURS}) == len(BEHAVIOURS)
    addresses = [address for one in BEHAVIOURS for address in one.told]
    assert len(set(addresses)) == len(addresses)
