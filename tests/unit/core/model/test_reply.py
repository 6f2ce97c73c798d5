from collections.abc import Sequence

import pytest

from statefun_runtime.core.model.reply import DelayedMessage, ReplyRefused, check_delayed
from statefun_runtime.core.partition.retry import Cause


def later(token: str = "", delay_ms: int = 1) -> DelayedMessage:
    return DelayedMessage(delay_ms, "t", "f", "bob", b"", False, token)


def cancel(token: str) -> DelayedMessage:
    return DelayedMessage(0, "", "", "", b"", True, token)


def check(*messages: DelayedMessage, pending: Sequence[str] = ()) -> None:
    check_delayed(list(messages), is_pending=lambda token: token in pending)


def refusal(*messages: DelayedMessage, pending: Sequence[str] = ()) -> tuple[Cause, str]:
    with pytest.raises(ReplyRefused) as refused:
        check(*messages, pending=pending)
    return refused.value.failure.cause, refused.value.failure.detail


def test_messages_without_token_and_with_new_ones_pass():
    check(later(), later(), later("a"), later("b"), later(delay_ms=0))


def test_a_token_may_be_used_again_after_it_was_cancelled():
    check(cancel("a"), later("a"), pending=["a"])
    check(later("a"), cancel("a"), later("a"))


def test_an_unknown_token_may_be_cancelled():
    check(cancel("a"))


def test_a_token_that_waits_is_refused():
    words = "cancellation token 'a' is still in use by a delayed message of this id"

    assert refusal(later("a"), pending=["a"]) == (Cause.BAD_TOKEN, words)
    assert refusal(later("a"), later("a")) == (Cause.BAD_TOKEN, words)
    assert refusal(cancel("a"), later("a"), later("a"), pending=["a"]) == (Cause.BAD_TOKEN, words)


def test_a_cancellation_without_token_is_refused():
    assert refusal(cancel("")) == (
        Cause.BAD_TOKEN,
        "a cancellation of a delayed message has no token",
    )


def test_a_negative_delay_is_refused():
    assert refusal(later(delay_ms=-1)) == (
        Cause.BAD_DELAY,
        "a delayed message has a delay of -1 ms; it must not be negative",
    )
