"""What a function says when it fails reaches the operator; what anybody says cannot forge or flood the log."""

import sys
from collections.abc import Callable
from urllib.parse import quote

import pytest

from tests.integration.applications import HttpApplication, endpoint
from tests.support.processes import Process, wait_until
from tests.support.provisions import ROOT
from tests.support.sockets import free_port

pytestmark = pytest.mark.integration

Applications = Callable[..., HttpApplication]
ServeCommand = Callable[[list[str], int], Process]


@pytest.fixture
def app(application: Applications, serve_command: ServeCommand) -> HttpApplication:
    port = free_port()
    program = ROOT / "tests" / "support" / "functions" / "raising.py"
    serve_command([sys.executable, str(program), str(port)], port)
    url = f"http://127.0.0.1:{port}/statefun"
    return application(endpoint(url, "t/raising", transport="call: 300ms"), topic="out")


def _keep_well(app: HttpApplication) -> None:
    """Let another address succeed: whoever fails meanwhile fails alone."""
    assert app.put("t/raising/good", b"x", "text/plain")[0] == 200


def test_the_functions_exception_is_in_the_workers_log(app: HttpApplication) -> None:
    app.put("t/raising/bad", b"x", "text/plain")
    for _ in range(20):
        _keep_well(app)

    app.worker.process.wait_for_line(
        r"the endpoint answered with status 500: LookupError: no customer 'bad' of any kind"
    )


def test_an_id_cannot_forge_a_line_of_the_log(app: HttpApplication) -> None:
    forged = "2026-01-01 00:00:00 ERROR statefun.worker  all is lost"
    app.put(f"t/raising/{quote(f'x{chr(10)}{forged}')}", b"x", "text/plain")
    wait_until(lambda: rf"x\n{forged}" in app.worker.output(), "the id in the log")

    assert not any(line.startswith(forged) for line in app.worker.output().splitlines())


def test_a_long_id_does_not_fill_the_log(app: HttpApplication) -> None:
    assert app.put(f"t/raising/{'k' * 60_000}", b"x", "text/plain")[0] == 200
    for _ in range(20):
        _keep_well(app)

    wait_until(lambda: "… (60,000 characters)" in app.worker.output(), "the id in the log")
    assert max(map(len, app.worker.output().splitlines())) < 2000
