"""Endpoints that are not there yet, go away, and come back."""

from collections.abc import Callable

import pytest

from tests.integration.applications import HttpApplication, endpoint
from tests.integration.scripted import COMMAND
from tests.support.processes import Process, wait_until
from tests.support.sockets import free_port

pytestmark = pytest.mark.integration

Applications = Callable[..., HttpApplication]
Serve = Callable[[int], Process]


def _application(application: Applications, port: int, *others: str) -> HttpApplication:
    url = f"http://127.0.0.1:{port}/statefun"
    return application(endpoint(url, "t/*"), *others, topic="out")


def test_an_endpoint_that_is_not_there_is_waited_for_and_the_worker_says_so(
    application: Applications, serve: Serve
) -> None:
    port, other_port = free_port(), free_port()
    serve(other_port)
    app = _application(
        application, port, endpoint(f"http://127.0.0.1:{other_port}/statefun", "t/neighbour")
    )
    for number in range(30):
        app.send(f"t/script/{number % 10}", {"text": "a"}, COMMAND)
    app.send("t/neighbour/n", {}, COMMAND)
    app.worker.process.wait_for_line(
        rf"endpoint http://127.0.0.1:{port}/statefun of t/script fails for everyone: cannot connect to "
        rf"127.0.0.1:{port}: .*; its addresses wait, and it is tried again and again"
    )
    wait_until(lambda: _is_served(app, "neighbour", 1), "the other endpoint's function")
    assert app.worker.metrics().total("statefun_functions_parkedAddresses") == 0

    serve(port)

    texts = [f"{n} a {seen}" for n in range(10) for seen in (1, 2, 3)]
    assert sorted(app.receive(30)) == sorted(texts)
    app.worker.process.wait_for_line(rf"endpoint http://127.0.0.1:{port}/statefun .* answers again")


def test_an_endpoint_that_restarts_in_the_middle_costs_no_message_and_no_order(
    application: Applications, serve: Serve
) -> None:
    port = free_port()
    served = serve(port)
    app = _application(application, port)
    for number in range(200):
        app.send(f"t/script/{number % 20}", {"text": str(number // 20)}, COMMAND)
        if number == 60:
            served.kill9()
        if number == 140:
            served = serve(port)

    records = app.receive(200)

    app.wait_until_idle()
    assert app.take() is None
    for function_id in range(20):
        mine = [record for record in records if record.split()[0] == str(function_id)]
        assert mine == [f"{function_id} {n} {n + 1}" for n in range(10)]


def test_an_endpoint_that_fails_for_everyone_parks_nobody(
    application: Applications, functions: Callable[..., object]
) -> None:
    served = functions("tests.integration.scripted:script", plan="always*status:503")
    app = application(endpoint(served.url, "t/*", transport="call: 200ms"), topic="out")
    for number in range(20):
        app.send(f"t/script/{number}", {"text": "a"}, COMMAND)
    app.worker.process.wait_for_line("fails for everyone: the endpoint answered with status 503")
    assert app.of_function("endpointDown", "script") == 1
    # Several probes fail, over longer than a call's budget.
    probes = _requests(app)
    wait_until(lambda: _requests(app) >= probes + 5, "probes")
    assert app.worker.metrics().total("statefun_functions_parkedAddresses") == 0

    served.set_plan("")

    assert sorted(app.receive(20)) == sorted(f"{number} a 1" for number in range(20))
    assert app.worker.metrics().total("statefun_functions_endpointDown") == 0


def _requests(app: HttpApplication) -> float:
    return app.worker.metrics().total("statefun_functions_requests_total")


def _is_served(app: HttpApplication, name: str, count: int) -> bool:
    return app.of_function("in_total", name) == count and app.of_function("numBacklog", name) == 0
