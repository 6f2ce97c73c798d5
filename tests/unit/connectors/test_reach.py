"""Whether brokers answer: said once when they do not, and once when they do again."""

import logging

import pytest

from statefun_runtime.connectors.reach import Reach
from tests.fakes.virtual_time import run_virtual

log = logging.getLogger("statefun.test")


def said(caplog: pytest.LogCaptureFixture, *answers: str) -> list[str]:
    """Return what is said of these answers, a second apart; a broker's name stands for its silence."""
    caplog.set_level(logging.INFO)
    reach = Reach(log, "egress t/out", lambda: "3 records wait to leave")
    for second, answer in enumerate(answers):
        reach.found([answer] if answer else [], float(second))
    return [record.getMessage() for record in caplog.records]


def test_one_answer_that_is_missing_is_nothing(caplog: pytest.LogCaptureFixture):
    assert said(caplog, "", "k:1", "", "k:1", "") == []


def test_silence_is_said_once_with_what_waits_and_its_end_with_how_long_it_was(
    caplog: pytest.LogCaptureFixture,
):
    silence, end = said(caplog, "", "k:1", "k:1", "k:1", "k:1", "", "")

    assert silence.startswith("egress t/out has had no answer of k:1 since ")
    assert silence.endswith(": 3 records wait to leave")
    assert end == "egress t/out reaches its brokers again, after 4 s"


def test_what_was_never_reached_is_not_connected_and_has_no_age():
    async def main() -> None:
        reach = Reach(log, "ingress t/in", lambda: "nothing is read")
        assert [(m.name, m.value) for m in reach.metrics("ingress")] == [
            ("statefun_ingress_connected", 0.0)
        ]
        reach.found([], 998.0)
        assert [(m.name, m.value) for m in reach.metrics("ingress")] == [
            ("statefun_ingress_connected", 1.0),
            ("statefun_ingress_answer_age_seconds", 2.0),
        ]

    run_virtual(main)
