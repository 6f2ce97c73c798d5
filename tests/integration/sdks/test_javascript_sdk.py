"""The JavaScript SDK of the project: its own tests, and its functions with a worker."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Command, skip_or_fail
from tests.integration.applications import HttpApplication, endpoint
from tests.support.processes import Process, wait_until
from tests.support.provisions import ROOT, Unavailable
from tests.support.sdks.javascript_sdk import SDK, with_what_its_tests_need
from tests.support.sockets import free_port
from tests.support.stock_sdk import FUNCTIONS

pytestmark = pytest.mark.integration

Applications = Callable[..., HttpApplication]
Serve = Callable[[list[str], int], Process]
COMMAND = "application/vnd.js/command"


@pytest.fixture
def tests_of_the_sdk(node: Command, pytestconfig: pytest.Config) -> list[Path]:
    try:
        return sorted(with_what_its_tests_need().glob("test/*.test.js"))
    except Unavailable as error:
        skip_or_fail(pytestconfig, "node (tests of the JavaScript SDK)", error)


def test_the_tests_of_the_sdk_pass(node: Command, tests_of_the_sdk: list[Path]) -> None:
    assert len(tests_of_the_sdk) >= 9
    program, *files = tests_of_the_sdk
    # One after another: the machine is shared with tests that measure time.
    *env_node, first = node(program)
    done = subprocess.run(
        [*env_node, "--test", "--test-concurrency=1", first, *map(str, files)],
        cwd=SDK,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    failed = [part for part in done.stdout.split("\n# Subtest: ") if "\nnot ok" in f"\n{part}"]
    assert done.returncode == 0, "\n".join([*failed, done.stderr])


@pytest.fixture
def greeter(node: Command, application: Applications, serve_command: Serve) -> HttpApplication:
    """The greeter, as it was written for the stock SDK: only the name of the package is another."""
    stock = (FUNCTIONS / "greeter_stock.js").read_text()
    program = ROOT / ".cache" / "javascript" / "greeter.js"
    port = free_port()
    node(program)
    program.write_text(stock.replace('require("apache-flink-statefun")', 'require("statefun-sdk")'))
    serve_command(node(program, port), port)
    return application(
        endpoint(f"http://127.0.0.1:{port}/statefun", "example/*"), topic="greetings"
    )


def test_a_program_for_the_stock_sdk_greets_the_same(greeter: HttpApplication) -> None:
    greeter.greet("Bob", "Ada", "Bob")
    assert sorted(greeter.receive(3)) == ["Nice to see you again Bob", "Welcome Ada", "Welcome Bob"]

    greeter.restart()

    greeter.greet("Bob")
    assert greeter.receive(1) == ["Third time is a charm Bob"]


@pytest.fixture
def functions(node: Command, application: Applications, serve_command: Serve) -> HttpApplication:
    port = free_port()
    serve_command(node(Path(__file__).with_name("functions.js"), port), port)
    return application(endpoint(f"http://127.0.0.1:{port}/", "js/*"), topic="out")


def test_every_type_goes_through_a_worker_and_back(functions: HttpApplication) -> None:
    functions.send("js/types/zoe", {"do": "set"}, COMMAND)
    functions.send("js/types/zoe", {"do": "set"}, COMMAND)

    assert functions.receive(2) == [
        "nothing",
        'true -5 9007199254740993 0.5 0.1 é {"a":[1]} 1970-01-01T00:00:00.000Z',
    ]


def test_timers_and_cancellation(functions: HttpApplication) -> None:
    functions.send("js/timer/max", {"do": "set", "ms": 1000}, COMMAND)
    functions.send("js/timer/max", {"do": "cancel"}, COMMAND)
    functions.send("js/timer/zoe", {"do": "set", "ms": 1500}, COMMAND)

    # Had it not been cancelled, max's would have rung before.
    assert functions.receive(1) == ["zoe rang"]
    assert functions.take() is None


def test_many_addresses_go_in_one_request(functions: HttpApplication) -> None:
    functions.send("js/fan/zoe", {"count": 1}, COMMAND)
    assert functions.receive(1) == ["0 1"]

    functions.send("js/fan/zoe", {"count": 400}, COMMAND)

    expected = sorted(f"{number} {2 if number == 0 else 1}" for number in range(400))
    assert sorted(functions.receive(400, timeout_s=60.0)) == expected
    assert functions.worker.metrics().total("statefun_functions_bundles_total") > 0
    assert functions.take() is None


def test_what_a_function_throws_is_shown_to_the_operator(functions: HttpApplication) -> None:
    functions.send("js/types/bad", {"do": "NaN"}, COMMAND)
    wait_until(
        lambda: "takes a whole number, not NaN" in functions.worker.output(), "the error in the log"
    )
    assert "setting state 'int' (io.statefun.types/int) of function 'js/types'" in (
        functions.worker.output()
    )
