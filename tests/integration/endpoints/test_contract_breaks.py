"""Replies that break the contract: nothing of them is applied, and nobody else notices."""

from collections.abc import Callable, Iterator

import pytest

from statefun_runtime.adapters.admin.admin_socket import admin_socket, ask_worker
from tests.integration.applications import HttpApplication, endpoint
from tests.integration.scripted import CAUSES, COMMAND
from tests.support.http.faulty_process import FaultyProcess
from tests.support.processes import wait_until

pytestmark = pytest.mark.integration

SCRIPT = "tests.integration.scripted:script"
Shared = tuple[FaultyProcess, HttpApplication]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    folder = tmp_path_factory.mktemp("breaks")
    served = FaultyProcess(SCRIPT, folder)
    app = HttpApplication([endpoint(served.url, "t/*")], folder, topic="out")
    app.send("t/script/first", {"text": "hello"}, COMMAND)
    assert app.receive(1) == ["first hello 1"]
    yield served, app
    app.close()
    served.close()


@pytest.mark.parametrize("wrong", list(CAUSES))
def test_nothing_of_a_reply_that_cannot_be_applied_whole_is_applied(
    shared: Shared, wrong: str
) -> None:
    _, app = shared
    app.wait_until_idle()
    cause, told = CAUSES[wrong], _told(app)
    counted = app.failures(cause)

    app.send(f"t/script/bad-{wrong}", {"text": "a", "wrong": wrong, "times": 2}, COMMAND)
    app.send(f"t/script/good-{wrong}", {"text": "a"}, COMMAND)

    assert sorted(app.receive(2)) == [f"bad-{wrong} a 1", f"good-{wrong} a 1"]
    app.wait_until_idle()
    assert app.take() is None
    assert app.failures(cause) - counted == 2
    # Each address has told its neighbour once: of the two refused replies no message was sent.
    assert _told(app) - told == 2
    assert app.worker.metrics()["statefun_delayed_messages"] == 0


def test_functions_that_break_the_contract_for_ever_are_parked_and_harm_nobody(
    functions: Callable[..., FaultyProcess], application: Callable[..., HttpApplication]
) -> None:
    served = functions(SCRIPT)
    app = application(endpoint(served.url, "t/*", transport="call: 500ms"), topic="out")
    for wrong in CAUSES:
        app.send(f"t/script/{wrong}", {"text": "a", "wrong": wrong, "times": 10**9}, COMMAND)
    for number in range(50):
        app.send("t/script/good", {"text": str(number)}, COMMAND)

    assert app.receive(50) == [f"good {number} {number + 1}" for number in range(50)]
    wait_until(lambda: _parked(app) == len(CAUSES), "all of them parked")
    app.send("t/script/good", {"text": "last"}, COMMAND)
    assert app.receive(1) == ["good last 51"]
    assert app.take() is None
    assert _told(app) == 51
    assert all(app.failures(cause) > 0 for cause in set(CAUSES.values()))
    shown = ask_worker(admin_socket(app.worker.state_dir), "parked-list", {"limit": 100})
    errors = {one["id"]: one["error"] for one in shown["parked"]}
    assert errors.keys() == set(CAUSES)
    assert any(
        error.endswith("which is not declared (declared: io.statefun.playground/egress)")
        for error in errors.values()
    )
    app.worker.stop_cleanly()


def _told(app: HttpApplication) -> float:
    return app.of_function("in_total", "neighbour")


def _parked(app: HttpApplication) -> float:
    return app.worker.metrics().total("statefun_functions_parkedAddresses")
