"""What an endpoint can do wrong on the way of a reply, and that it harms nobody else."""

import time
from collections.abc import Callable, Iterator

import pytest

from tests.integration.applications import HttpApplication, endpoint
from tests.integration.scripted import COMMAND
from tests.support.http.faulty_process import FaultyProcess
from tests.support.processes import wait_until
from tests.support.wire_builders import Request

pytestmark = pytest.mark.integration

SCRIPT = "tests.integration.scripted:script"
Shared = tuple[FaultyProcess, HttpApplication]
Applications = Callable[..., HttpApplication]
Functions = Callable[..., FaultyProcess]

ACCEPTED = [
    "chunked",
    "gzip",
    "bytewise",
    "until-close",
    "informational",
    "close-after",
    "connection-close",
    "surplus",
    "slow:0.3",
    "late:0.3",
    "content-type:application/octet-stream; charset=binary",
    "content-type:Application/Octet-Stream",
]
# What is answered → as what each attempt counts.
RETRIED = {
    "status:500": "status",
    "status:503": "status",
    "status:404": "status",
    "status:302": "status",
    "content-type:text/plain": "content-type",
    "content-type": "content-type",
    "not-http": "bad-http",
    "garbage": "bad-reply",
    "truncated": "disconnect",
    "huge:200000": "too-large",
}
# The first of them may be a kept-alive connection that ended just then, which is tried again and not counted.
CUT = ["close-early", "reset", "lost-reply"]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    folder = tmp_path_factory.mktemp("faults")
    served = FaultyProcess(SCRIPT, folder)
    transport = "call: 1s, payload_max_bytes: 100000"
    app = HttpApplication([endpoint(served.url, "t/*", transport=transport)], folder, topic="out")
    app.send("t/script/first", {"text": "hello"}, COMMAND)
    assert app.receive(1) == ["first hello 1"]
    yield served, app
    app.close()
    served.close()


@pytest.fixture
def ids(request: pytest.FixtureRequest) -> tuple[str, str]:
    """Return a bad and a good id that no other test has."""
    name = "".join(c if c.isalnum() else "-" for c in request.node.name)
    return f"bad-{name}", f"good-{name}"


def _send(app: HttpApplication, function_id: str, *texts: str) -> None:
    for text in texts:
        app.send(f"t/script/{function_id}", {"text": text}, COMMAND)


@pytest.mark.parametrize("kind", ACCEPTED)
def test_a_correct_reply_of_an_unusual_kind_is_accepted(
    shared: Shared, ids: tuple[str, str], kind: str
) -> None:
    served, app = shared
    bad, _ = ids
    failed = _failures(app)
    served.set_plan(f"1*{kind}@{bad}")

    _send(app, bad, "a")
    assert app.receive(1) == [f"{bad} a 1"]
    _send(app, bad, "b")
    assert app.receive(1) == [f"{bad} b 2"]

    assert _failures(app) == failed


@pytest.mark.parametrize("kind", list(RETRIED))
def test_a_failed_attempt_is_counted_by_cause_and_made_again(
    shared: Shared, ids: tuple[str, str], kind: str
) -> None:
    served, app = shared
    bad, good = ids
    cause = RETRIED[kind]
    counted, failed = app.failures(cause), _failures(app)
    served.set_plan(f"3*{kind}@{bad}")

    _send(app, bad, "a", "b")
    _send(app, good, "a")

    assert sorted(app.receive(3)) == [f"{bad} a 1", f"{bad} b 2", f"{good} a 1"]
    app.wait_until_idle()
    assert app.take() is None
    assert app.failures(cause) - counted == 3
    assert _failures(app) - failed == 3


@pytest.mark.parametrize("kind", CUT)
def test_a_connection_that_ends_without_a_reply_costs_an_attempt_and_no_effect_twice(
    shared: Shared, ids: tuple[str, str], kind: str
) -> None:
    served, app = shared
    bad, good = ids
    counted = app.failures("disconnect")
    served.set_plan(f"3*{kind}@{bad}")

    _send(app, bad, "a")
    _send(app, good, "a")

    assert sorted(app.receive(2)) == [f"{bad} a 1", f"{good} a 1"]
    app.wait_until_idle()
    assert app.take() is None
    # On a connection that was kept it may as well have been closed while idle, and what goes again on a new one counts.
    assert app.failures("disconnect") - counted in (1, 2, 3)


def test_what_came_during_a_slow_request_leaves_as_one_batch_in_order(
    shared: Shared, ids: tuple[str, str]
) -> None:
    served, app = shared
    slow, other = ids
    served.set_plan(f"1*slow:0.4@{slow}")
    before = served.request_count()
    _send(app, slow, "a")
    wait_until(lambda: served.request_count() > before, "the slow request")

    _send(app, slow, "b", "c", "d")
    _send(app, other, "a")

    assert app.receive(1) == [f"{other} a 1"]
    assert app.receive(4) == [f"{slow} {text} {n}" for n, text in enumerate("abcd", 1)]
    requests = [Request(r.body) for r in served.requests()[before:]]
    batches = [len(r.values) for r in requests if (r.target, r.id) == ("t/script", slow)]
    assert batches == [1, 3]


def test_a_function_that_hangs_is_parked_after_its_budget_and_others_go_on(
    shared: Shared, ids: tuple[str, str]
) -> None:
    served, app = shared
    bad, good = ids
    timeouts = app.failures("timeout")
    served.set_plan(f"1*hang@{bad}")

    _send(app, bad, "a", "b")
    _send(app, good, *"0123456789")

    assert app.receive(10) == [f"{good} {n} {n + 1}" for n in range(10)]
    assert app.take() is None
    wait_until(lambda: _parked(app) == 1, "the address parked")
    assert app.failures("timeout") - timeouts == 1
    _send(app, good, "x")
    assert app.receive(1) == [f"{good} x 11"]

    assert app.receive(2) == [f"{bad} a 1", f"{bad} b 2"]
    assert _parked(app) == 0
    assert f"t/script/{bad} at {served.url}: parked after 1 attempts" in app.worker.output()


def test_many_functions_that_hang_do_not_stop_the_others(
    functions: Functions, application: Applications
) -> None:
    served = functions(SCRIPT)
    app = application(endpoint(served.url, "t/*"), topic="out")
    _send(app, "good", "first")
    app.receive(1)
    served.set_plan("always*hang@bad")
    for number in range(40):
        _send(app, f"bad{number}", "a")

    sent = 0
    while app.failures("timeout") < 41:
        _send(app, "good", str(sent))
        # At worst it waits for one probe of the open circuit, which may hang until its budget ends.
        assert app.receive(1, timeout_s=5.0) == [f"good {sent} {sent + 2}"]
        sent += 1
    assert sent > 5

    served.set_plan("")
    assert sorted(app.receive(40)) == sorted(f"bad{number} a 1" for number in range(40))


def test_a_pool_full_of_functions_that_hang_does_not_stop_the_others_for_long(
    functions: Functions, application: Applications
) -> None:
    served = functions(SCRIPT)
    transport = "call: 1s, pool_size: 16"
    app = application(endpoint(served.url, "t/*", transport=transport), topic="out")
    _send(app, "good", "first")
    app.receive(1)
    served.set_plan("always*hang@bad")
    for number in range(40):
        _send(app, f"bad{number}", "a")
    wait_until(lambda: app.failures("timeout") >= 16, "the first round")

    _send(app, "good", "a")

    assert app.receive(1, timeout_s=10.0) == ["good a 2"]


def test_a_parked_address_keeps_its_backlog_over_a_restart(
    functions: Functions, application: Applications
) -> None:
    served = functions(SCRIPT)
    app = application(endpoint(served.url, "t/*", transport="call: 300ms"), topic="out")
    served.set_plan("always*status:500@bad")
    _send(app, "good", "a")
    _send(app, "bad", "a", "b")
    assert app.receive(1) == ["good a 1"]
    wait_until(lambda: _parked(app) == 1, "the address parked")
    _send(app, "bad", "c")

    app.worker.stop_cleanly()
    served.set_plan("")
    app.start()

    assert app.receive(3) == ["bad a 1", "bad b 2", "bad c 3"]


@pytest.mark.parametrize("kind", ["status:400", "content-type:text/plain", "garbage"])
def test_okhttp_does_not_retry_what_is_not_transient(
    okhttp: Shared, ids: tuple[str, str], kind: str
) -> None:
    served, app = okhttp
    bad, good = ids
    failed = _failures(app)
    served.set_plan(f"1*{kind}@{bad}")

    _send(app, bad, "a")
    _send(app, good, "a")

    # Parked at once, for a second: one failure, and no second attempt before the other's reply.
    assert app.receive(1) == [f"{good} a 1"]
    wait_until(lambda: _parked(app) == 1, "the address parked")
    assert _failures(app) - failed == 1
    assert app.receive(1) == [f"{bad} a 1"]


@pytest.mark.parametrize("kind", ["later:1", "later-date:4", "later:60"])
@pytest.mark.parametrize("transport", ["shared", "okhttp"])
def test_a_server_is_asked_again_when_it_says_at_most_a_budget_later(
    request: pytest.FixtureRequest, ids: tuple[str, str], transport: str, kind: str
) -> None:
    """The budget is a second; waiting as told takes nothing of it."""
    served, app = request.getfixturevalue(transport)
    bad, good = ids
    served.set_plan(f"2*{kind}@{bad}")
    began_s = time.monotonic()

    _send(app, bad, "a")
    _send(app, good, "a")

    assert app.receive(1) == [f"{good} a 1"]
    assert time.monotonic() - began_s < 1.0
    assert app.receive(1) == [f"{bad} a 1"]
    assert 2.0 <= time.monotonic() - began_s < 8.0
    assert _parked(app) == 0


@pytest.mark.parametrize("kind", ["status:503", "status:429"])
def test_okhttp_retries_what_is_transient(okhttp: Shared, ids: tuple[str, str], kind: str) -> None:
    served, app = okhttp
    bad, good = ids
    failed = app.failures("status")
    served.set_plan(f"3*{kind}@{bad}")

    _send(app, bad, "a")
    _send(app, good, "a")

    assert sorted(app.receive(2)) == [f"{bad} a 1", f"{good} a 1"]
    assert app.failures("status") - failed == 3
    assert _parked(app) == 0


@pytest.fixture(scope="module")
def okhttp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    folder = tmp_path_factory.mktemp("okhttp")
    served = FaultyProcess(SCRIPT, folder)
    transport = (
        "type: io.statefun.transports.v1/okhttp, "
        "timeouts: {call: 1s, connect: 1s, read: 1s, write: 1s}"
    )
    app = HttpApplication([endpoint(served.url, "t/*", transport=transport)], folder, topic="out")
    yield served, app
    app.close()
    served.close()


def _failures(app: HttpApplication) -> float:
    return app.worker.metrics().total("statefun_functions_remoteInvocationFailures_total")


def _parked(app: HttpApplication) -> float:
    return app.worker.metrics().total("statefun_functions_parkedAddresses")
