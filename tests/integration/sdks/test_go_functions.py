"""Functions on this project's SDK for Go, and a worker."""

import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.applications import HttpApplication, endpoint
from tests.support.processes import Process, wait_until
from tests.support.sockets import free_port, http_request

pytestmark = pytest.mark.integration

Programs = Callable[[str], Path]
ServeCommand = Callable[[list[str], int], Process]
NAMES = ("Bob", "Ada", "Bob", "Bob", "Bob", "Ada")
GREETINGS = [
    "Nice to see you again Ada",
    "Nice to see you again Bob",
    "Nice to see you at the 4-nth time Bob!",
    "Third time is a charm Bob",
    "Welcome Ada",
    "Welcome Bob",
]


@pytest.fixture
def functions(go_program: Programs, serve_command: ServeCommand) -> tuple[Process, int]:
    port = free_port()
    return serve_command([str(go_program("greeter")), str(port)], port), port


@pytest.fixture
def app(
    functions: tuple[Process, int], application: Callable[..., HttpApplication]
) -> HttpApplication:
    url = f"http://127.0.0.1:{functions[1]}/statefun"
    types = [endpoint(url, pattern, transport="call: 2s") for pattern in ("example/*", "t/*")]
    return application(*types, topic="greetings")


def test_the_greeter_greets_as_the_others_do(app: HttpApplication) -> None:
    app.greet(*NAMES)

    assert sorted(app.receive(len(NAMES))) == GREETINGS


@pytest.mark.parametrize(
    ("function_id", "told"),
    [("bad", "no customer 'bad'"), ("panic", "panic: out of cheese")],
    ids=["error", "panic"],
)
def test_errors_and_panics_reach_the_operator(
    app: HttpApplication, functions: tuple[Process, int], function_id: str, told: str
) -> None:
    app.put(f"t/raising/{function_id}", b"x", "text/plain")
    for _ in range(20):
        # Whoever fails while another succeeds fails alone.
        assert app.put("t/raising/good", b"x", "text/plain")[0] == 200

    app.worker.process.wait_for_line(rf"the endpoint answered with status 500: {told}")
    functions[0].wait_for_line(rf't/raising, id "{function_id}", failed: {told}')
    assert "goroutine" not in app.worker.output()


def test_a_restart_under_load_cuts_no_request(
    app: HttpApplication,
    functions: tuple[Process, int],
    go_program: Programs,
    serve_command: ServeCommand,
) -> None:
    process, port = functions
    _send_at_once(app, "slow", 400)
    wait_until(lambda: app.of_function("in_total", "slow") > 50, "some to be done")
    assert http_request("GET", f"http://127.0.0.1:{port}/healthz") == (200, b"here\n")
    process.stop_cleanly()
    serve_command([str(go_program("greeter")), str(port)], port)
    app.wait_until_idle()

    assert app.of_function("in_total", "slow") == 400
    assert app.failures("disconnect") == 0


def test_many_addresses_share_a_request_and_each_has_its_own_failure(
    app: HttpApplication, functions: tuple[Process, int]
) -> None:
    app.greet("Bob")
    assert app.receive(1) == ["Welcome Bob"]
    _send_at_once(app, "slow", 400)
    app.wait_until_idle()
    told = app.worker.metrics()
    assert told.total("statefun_functions_bundledAddresses_total") > 20
    assert app.of_function("in_total", "slow") == 400

    # Among many that are well.
    _send_at_once(app, "raising", 400)
    app.put("t/raising/panic", b"x", "text/plain")
    _send_at_once(app, "raising", 400)
    functions[0].wait_for_line('t/raising, id "panic", failed: panic: out of cheese')
    wait_until(lambda: app.of_function("in_total", "raising") >= 801, "all to be tried")
    assert app.failures("disconnect") == app.failures("bad-reply") == 0


def _send_at_once(app: HttpApplication, name: str, count: int) -> None:
    """Send a message to each of so many addresses, without waiting between them."""
    requests = b"".join(
        b"PUT /t/%b/id%d HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\n\r\nx"
        % (name.encode(), number)
        for number in range(count)
    )
    with socket.create_connection(("127.0.0.1", app.ingress_port), timeout=30) as there:
        there.sendall(requests)
        answers = b""
        while answers.count(b"HTTP/1.1 200") < count:
            part = there.recv(1 << 16)
            assert part, answers[-200:]
            answers += part
