"""The greeter over HTTP: on three SDKs, and what its state outlives."""

import time
from collections.abc import Callable, Iterator

import pytest

from tests.conftest import Command
from tests.integration.applications import HttpApplication, endpoint
from tests.integration.scripted import COMMAND
from tests.support.http.faulty_process import GREETER, FaultyProcess
from tests.support.processes import Process, wait_until
from tests.support.sockets import free_port
from tests.support.stock_sdk import FUNCTIONS

pytestmark = pytest.mark.integration

NAMES = ("Bob", "Ada", "Bob", "Bob", "Bob", "Ada")
GREETINGS = [
    "Nice to see you again Ada",
    "Nice to see you again Bob",
    "Nice to see you at the 4-nth time Bob!",
    "Third time is a charm Bob",
    "Welcome Ada",
    "Welcome Bob",
]
Applications = Callable[..., HttpApplication]
Functions = Callable[..., FaultyProcess]


@pytest.fixture(scope="module")
def greeter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultyProcess]:
    served = FaultyProcess(GREETER, tmp_path_factory.mktemp("greeter"))
    yield served
    served.close()


def _check_greetings(application: HttpApplication) -> None:
    application.greet(*NAMES)
    assert sorted(application.receive(len(NAMES))) == GREETINGS


def _greeter(application: Applications, url: str, **settings: object) -> HttpApplication:
    return application(endpoint(url, "example/*"), topic="greetings", **settings)


def test_our_sdk_greets(greeter: FaultyProcess, application: Applications) -> None:
    _check_greetings(_greeter(application, greeter.url))


@pytest.mark.stock_sdk
def test_the_stock_python_sdk_greets_the_same(
    stock_python: Command, application: Applications, serve_command: Callable[..., Process]
) -> None:
    port = free_port()
    serve_command(stock_python(FUNCTIONS / "greeter_stock.py", port), port)
    _check_greetings(_greeter(application, f"http://127.0.0.1:{port}/statefun"))


@pytest.mark.stock_sdk
def test_the_stock_javascript_sdk_greets_the_same(
    stock_js: Command, application: Applications, serve_command: Callable[..., Process]
) -> None:
    port = free_port()
    serve_command(stock_js(FUNCTIONS / "greeter_stock.js", port), port)
    _check_greetings(_greeter(application, f"http://127.0.0.1:{port}/statefun"))


def test_state_goes_on_after_a_clean_stop_within_two_seconds(
    greeter: FaultyProcess, application: Applications
) -> None:
    app = _greeter(application, greeter.url)
    app.greet("Bob")
    assert app.receive(1) == ["Welcome Bob"]

    since_s = time.monotonic()
    app.worker.stop_cleanly()
    assert time.monotonic() - since_s < 2.0
    assert "stopped; the next start goes on from checkpoint" in app.worker.output()

    app.start()
    assert "continues from checkpoint" in app.worker.output()
    app.greet("Bob")
    assert app.receive(1) == ["Nice to see you again Bob"]


def test_after_a_kill_nothing_is_lost_and_nothing_counted_twice(
    greeter: FaultyProcess, application: Applications
) -> None:
    app = _greeter(application, greeter.url)
    for _ in range(4):
        app.greet("Bob")
        app.worker.kill9()
        app.start()
    app.greet("Bob")

    # 200 means that it is on disk: five greetings were taken, and five are counted.
    assert _until(app, "Nice to see you at the 5-nth time Bob!")
    app.wait_until_idle()
    assert app.take() is None
    assert "incarnation 5" in app.worker.output()
    app.worker.stop_cleanly()


def _until(app: HttpApplication, last: str) -> list[str]:
    """Read greetings until one has come; what was read before a crash may come again."""
    greetings: list[str] = []
    while last not in greetings:
        greetings += app.receive(1)
    return greetings


def test_what_was_not_read_from_the_egress_is_there_after_a_restart(
    greeter: FaultyProcess, application: Applications
) -> None:
    app = _greeter(application, greeter.url)
    app.greet("Bob", "Bob")
    app.wait_until_idle()

    app.restart()

    assert app.receive(2) == ["Welcome Bob", "Nice to see you again Bob"]
    assert app.take() is None


def test_backlog_and_delayed_messages_outlive_a_clean_stop(
    functions: Functions, application: Applications
) -> None:
    served = functions("tests.integration.scripted:script")
    app = application(
        endpoint(served.url, "t/*"), topic="out", arguments=["--stop-timeout", "400ms"]
    )
    app.send("t/script/clock", {"text": "tick", "later": 2500, "to": "alarm"}, COMMAND)
    assert app.receive(1) == ["clock tick 1"]
    served.set_plan("1*hang@busy")
    for number in range(5):
        app.send("t/script/busy", {"text": f"m{number}"}, COMMAND)
    wait_until(lambda: served.request_count() >= 3, "the request that hangs")

    app.restart()

    assert "1 requests got no reply in time; they are sent again" in app.worker.output()
    assert sorted(app.receive(6)) == [
        "alarm tick-later 1",
        *(f"busy m{number} {number + 1}" for number in range(5)),
    ]
    assert app.take() is None


def test_a_message_that_fell_due_while_the_worker_was_down_is_delivered_at_the_next_start(
    functions: Functions, application: Applications
) -> None:
    served = functions("tests.integration.scripted:script")
    app = application(endpoint(served.url, "t/*"), topic="out")
    app.send("t/script/clock", {"text": "tick", "later": 300, "to": "alarm"}, COMMAND)
    app.receive(1)
    app.worker.stop_cleanly()
    fell_due_s = time.monotonic() + 0.3
    wait_until(lambda: time.monotonic() > fell_due_s, "the moment")

    app.start()

    assert app.receive(1) == ["alarm tick-later 1"]
