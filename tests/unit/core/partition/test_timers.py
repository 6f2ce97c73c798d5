import pytest
from hypothesis import given
from hypothesis import strategies as st

from statefun_runtime.core.model.address import TypeName
from statefun_runtime.core.partition.timers import Delayed, Timers


def delayed(token: str = "", sender_id: str = "alice") -> Delayed:
    return Delayed(sender_id, TypeName("t", "f"), "bob", b"invocation", token)


def schedule(
    timers: Timers, due_ms: int, name: bytes, token: str = "", sender: str = "alice"
) -> None:
    timers.schedule(due_ms, timers.next_sequence(), name, delayed(token, sender))


def due(timers: Timers, now_ms: int, count_max: int) -> list[bytes]:
    """Fire what is due, at most so many, as who delivers does."""
    fired: list[bytes] = []
    while len(fired) < count_max and (key := timers.first_due(now_ms)) is not None:
        timers.remove(key)
        fired.append(key)
    return fired


def test_messages_are_due_by_time_and_within_a_millisecond_by_order():
    timers = Timers()
    for due_ms, name in ((5, b"c"), (3, b"a"), (5, b"d"), (3, b"b"), (9, b"late")):
        schedule(timers, due_ms, name)

    assert timers.next_due_ms() == 3
    assert due(timers, 5, 100) == [b"a", b"b", b"c", b"d"]
    assert timers.next_due_ms() == 9
    assert len(timers) == 1


def test_what_is_due_stays_until_it_is_removed():
    timers = Timers()
    for name in (b"a", b"b", b"c"):
        schedule(timers, 1, name)

    assert timers.first_due(1) == timers.first_due(1) == b"a"
    assert due(timers, 1, 2) == [b"a", b"b"]
    assert timers.first_due(1) == b"c"
    assert len(timers) == 1
    assert due(timers, 1, 2) == [b"c"]
    assert timers.first_due(1) is None


def test_a_cancelled_message_is_never_due():
    timers = Timers()
    schedule(timers, 1, b"a", "token")
    schedule(timers, 2, b"b")

    assert timers.cancel("alice", "token") == b"a"
    assert len(timers) == 1
    assert timers.next_due_ms() == 2
    assert due(timers, 9, 9) == [b"b"]


def test_cancelling_what_is_not_there_does_nothing():
    timers = Timers()
    schedule(timers, 1, b"a", "token")
    assert due(timers, 1, 9) == [b"a"]

    assert timers.cancel("alice", "token") is None
    assert timers.cancel("alice", "other") is None


def test_tokens_belong_to_the_sender_s_id():
    timers = Timers()
    schedule(timers, 1, b"a", "token", "alice")
    schedule(timers, 1, b"b", "token", "bob")

    assert timers.holds("alice", "token")
    assert timers.cancel("bob", "token") == b"b"
    assert timers.holds("alice", "token")
    assert not timers.holds("bob", "token")


def test_a_token_is_free_again_when_its_message_fired_or_was_cancelled():
    timers = Timers()
    schedule(timers, 1, b"a", "token")
    due(timers, 1, 9)
    schedule(timers, 2, b"b", "token")
    timers.cancel("alice", "token")
    schedule(timers, 3, b"c", "token")

    assert due(timers, 9, 9) == [b"c"]


def test_a_token_in_use_cannot_be_used_again():
    timers = Timers()
    schedule(timers, 1, b"a", "token")

    with pytest.raises(AssertionError, match="in use"):
        schedule(timers, 2, b"b", "token")


def test_new_sequences_are_above_restored_ones():
    timers = Timers()

    timers.schedule(7, 41, b"restored", delayed("token"))

    assert timers.next_sequence() == 42
    assert timers.holds("alice", "token")


@given(st.lists(st.tuples(st.integers(0, 20), st.sampled_from("abcd"), st.booleans())))
def test_whatever_is_scheduled_and_not_cancelled_fires_once_in_order(
    steps: list[tuple[int, str, bool]],
):
    timers = Timers()
    model: dict[str, tuple[int, int, bytes]] = {}
    for number, (due_ms, token, is_cancelled) in enumerate(steps):
        if is_cancelled or timers.holds("alice", token):
            key = timers.cancel("alice", token)
            assert key == model.pop(token, (0, 0, None))[2]
        else:
            schedule(timers, due_ms, b"%d" % number, token)
            model[token] = (due_ms, number, b"%d" % number)
        assert len(timers) == len(model)

    assert due(timers, 20, 1000) == [key for _, _, key in sorted(model.values())]
