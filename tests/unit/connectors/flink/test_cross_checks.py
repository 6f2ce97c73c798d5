"""Rows of a savepoint that say different things about each other are damage."""

from dataclasses import replace

import pytest

from statefun_runtime.connectors.flink.importing.checks import (
    address_damages,
    sender_damages,
    tokens_that_count,
)
from statefun_runtime.connectors.flink.importing.sorting import AddressRows, SenderRows
from statefun_runtime.core.model.address import TypeName
from statefun_runtime.core.model.messages import invocation, typed_value
from statefun_runtime.core.model.state import state_field

SLOW = TypeName("demo", "slow")
PLACE = ("file", 7)
ONE = invocation(b"", typed_value("t/t", b"1"))
STORED = state_field("seen", typed_value("t/t", b"1"))
OTHER = state_field("seen", typed_value("t/t", b"2"))
CALL = (PLACE, SLOW, {"seen": STORED}, ONE)
BUSY = AddressRows(
    "demo.slow", "a", (("seen", 0, STORED),), (CALL,), (PLACE, ONE + ONE), (), (PLACE, 2)
)


def message(due_ms: int, token: str = "") -> tuple[tuple[str, int], int, TypeName, str, str, bytes]:
    return (PLACE, due_ms, SLOW, "b", token, ONE)


DELAYED = SenderRows(
    "a", ((PLACE, 5), (PLACE, 9)), ((PLACE, "t", 9),), (message(5), message(9, "t"), message(9))
)


def test_rows_that_fit_are_no_damage():
    assert list(address_damages(BUSY)) == []
    assert list(sender_damages(DELAYED)) == []
    assert tokens_that_count(DELAYED) == ["", "t", ""]


@pytest.mark.parametrize(
    ("rows", "what"),
    [
        (
            replace(BUSY, queue=(PLACE, ONE)),
            "demo.slow/a has 1 queued messages, and its request state says 2",
        ),
        (
            replace(BUSY, queue=None),
            "demo.slow/a has 0 queued messages, and its request state says 2",
        ),
        (replace(BUSY, calls=()), "demo.slow/a waits for a reply, and no call of it is in flight"),
        (replace(BUSY, requests=None), "demo.slow/a has messages, and no request state"),
        (replace(BUSY, calls=(CALL, CALL)), "demo.slow/a has more than one call in flight"),
        (
            replace(BUSY, values=(("seen", 0, OTHER),)),
            "the call in flight of demo.slow/a was sent another value of state 'seen'",
        ),
    ],
)
def test_a_request_its_queue_and_its_state_belong_together(rows: AddressRows, what: str):
    assert [damage.what for damage in address_damages(rows)] == [what]


@pytest.mark.parametrize(
    ("rows", "whats"),
    [
        (
            replace(DELAYED, alarms=((PLACE, 9),)),
            ["a message of 'a' is due at 5, and there is no alarm for it"],
        ),
        (
            replace(DELAYED, alarms=(*DELAYED.alarms, (PLACE, 6))),
            ["'a' has an alarm at 6, and no message is due then"],
        ),
        (
            replace(DELAYED, tokens=()),
            ["a message of 'a' has token 't', which is not for it"],
        ),
        (
            replace(DELAYED, tokens=((PLACE, "t", 5),)),
            [
                "token 't' of 'a' is for 5, and 0 messages have it",
                "a message of 'a' has token 't', which is not for it",
            ],
        ),
        (
            replace(DELAYED, messages=(*DELAYED.messages, message(9, "t"))),
            ["token 't' of 'a' is for 9, and 2 messages have it"],
        ),
    ],
)
def test_messages_alarms_and_tokens_belong_together(rows: SenderRows, whats: list[str]):
    assert [damage.what for damage in sender_damages(rows)] == whats


def test_two_messages_never_get_one_token():
    """Where damage is accepted the worker may begin: it would not with a token twice."""
    twice = replace(DELAYED, messages=(message(9, "t"), message(9, "t"), message(5, "t")))
    assert tokens_that_count(twice) == ["t", "", ""]
