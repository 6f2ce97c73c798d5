"""What goes from worker to worker, as bytes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statefun_runtime.core.cluster import frames
from statefun_runtime.core.model.address import TypeName
from statefun_runtime.core.model.messages import varint

_NAMES = st.text(min_size=1, max_size=8).filter(lambda text: "/" not in text)
_MESSAGES = st.lists(st.tuples(_NAMES, _NAMES, st.text(max_size=300), st.binary(max_size=300)))


@given(_MESSAGES)
def test_messages_come_out_as_they_went_in(messages: list[tuple[str, str, str, bytes]]):
    data, wanted = b"", []
    for namespace, name, function_id, body in messages:
        head = frames.header(frames.FUNCTION, TypeName(namespace, name))
        encoded = function_id.encode()
        data += head + varint(len(encoded)) + encoded + varint(len(body)) + body
        wanted.append(((frames.FUNCTION, TypeName(namespace, name)), encoded, body))

    found = [
        (frames.read_header(head), function_id, body)
        for head, function_id, body, _ in frames.split_messages(frames.MESSAGES + data, 1)
    ]
    assert found == wanted


def test_a_message_that_is_cut_off_is_told():
    data = frames.header(frames.FUNCTION, TypeName("a", "b")) + b"\1i" + b"\5body"
    with pytest.raises(ValueError, match="cut off"):
        list(frames.split_messages(data))


def test_a_barrier_has_its_epoch():
    for outcome in (True, False):
        frame = frames.barrier(70_000, is_last_complete=outcome)
        assert frames.read_barrier(frame) == (70_000, outcome)


def test_bodies_of_keyed_records_and_of_egress_records():
    assert frames.read_keyed(frames.keyed("k", b"digest", b"invocation")) == (
        "k",
        b"digest",
        b"invocation",
    )
    assert frames.read_egress_record(frames.egress_record("a/b", b"")) == ("a/b", b"")
