import pytest

from statefun_runtime.core.partition.circuit import Circuit, CircuitState
from statefun_runtime.core.partition.retry import Cause, Failure

REFUSED = Failure(Cause.CONNECT, "cannot connect")
ERROR = Failure(Cause.STATUS, "status 500", 500)
LATER = [
    Failure(Cause.STATUS, "", 429),
    Failure(Cause.STATUS, "", 429, retry_after_s=3600.0),
    Failure(Cause.STATUS, "", 503, retry_after_s=7.0),
]
BAD_REPLY = Failure(Cause.BAD_REPLY, "no FromFunction")


def opened() -> Circuit:
    circuit = Circuit()
    assert circuit.failed("", REFUSED)
    return circuit


def test_one_address_that_fails_leaves_the_circuit_closed():
    circuit = Circuit()

    assert not any(circuit.failed("alice", ERROR) for _ in range(100))
    assert circuit.is_closed


def test_five_addresses_that_fail_in_a_row_open_it():
    circuit = Circuit()

    assert [circuit.failed(str(n), ERROR) for n in range(5)] == [False] * 4 + [True]
    assert circuit.state is CircuitState.OPEN
    assert circuit.reason == "status 500"
    assert circuit.opened_times == 1


def test_a_success_between_them_keeps_it_closed():
    circuit = Circuit()
    for number in range(4):
        circuit.failed(str(number), ERROR)

    assert not circuit.succeeded(1.0, started_s=0.5)

    assert not circuit.failed("4", ERROR)


def test_a_refused_connection_opens_it_at_once():
    assert opened().state is CircuitState.OPEN


def test_an_answer_that_cannot_be_used_shows_that_the_endpoint_lives():
    circuit = Circuit()
    for number in range(4):
        circuit.failed(str(number), ERROR)

    assert not circuit.failed("x", BAD_REPLY)
    assert not circuit.failed("4", ERROR)


def test_a_probe_that_succeeds_closes_it():
    circuit = opened()
    circuit.probe()

    assert circuit.state is CircuitState.PROBING
    assert circuit.succeeded(1.0, started_s=0.5)
    assert circuit.is_closed


def test_a_probe_whose_reply_cannot_be_applied_closes_it():
    circuit = opened()
    circuit.probe()

    assert not circuit.failed("alice", BAD_REPLY)
    assert circuit.is_closed


@pytest.mark.parametrize(
    "failure",
    [
        *(Failure(Cause.STATUS, "", status) for status in (401, 404, 500, 503)),
        Failure(Cause.CONTENT_TYPE, "text/html"),
        Failure(Cause.BAD_HTTP, "no HTTP"),
    ],
)
def test_how_they_fail_is_not_what_opens_it_but_that_all_do(failure: Failure):
    circuit = Circuit()

    assert [circuit.failed(str(n), failure) for n in range(5)] == [False] * 4 + [True]


def test_addresses_that_fail_where_others_go_well_do_not_open_it():
    circuit = Circuit()

    assert not any(circuit.failed(str(number), ERROR, is_known=True) for number in range(20))


@pytest.mark.parametrize("later", LATER)
def test_an_address_that_is_to_come_later_says_nothing_against_the_endpoint(later: Failure):
    circuit = Circuit()

    assert not any(circuit.failed(str(number), later) for number in range(100))
    assert circuit.is_closed


@pytest.mark.parametrize("later", LATER)
def test_a_probe_that_is_to_come_later_closes_it(later: Failure):
    circuit = opened()
    circuit.probe()

    assert not circuit.failed("alice", later)
    assert circuit.is_closed


def test_pauses_double_with_each_failed_probe_up_to_five_seconds():
    circuit = opened()
    pauses = [circuit.pause_s]
    for _ in range(12):
        circuit.probe()
        assert circuit.failed("alice", ERROR)
        pauses.append(circuit.pause_s)

    assert pauses[:4] == [0.02, 0.04, 0.08, 0.16]
    assert pauses[-1] == 5.0
    assert circuit.opened_times == 1


def test_what_fails_while_it_is_open_does_not_lengthen_the_pause():
    circuit = opened()

    assert circuit.failed("alice", ERROR)

    assert circuit.pause_s == 0.02


def test_after_it_closed_pauses_are_short_again():
    circuit = opened()
    circuit.probe()
    circuit.failed("", REFUSED)
    circuit.probe()
    circuit.succeeded(1.0, started_s=0.5)

    circuit.failed("", REFUSED)

    assert circuit.pause_s == 0.02
    assert circuit.opened_times == 2
