"""What is read without a parser means what the parser says, whatever was read before it."""

from collections.abc import Callable, Sequence

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st
from statefun._wire import FromFunction

from statefun_runtime.adapters.effects import split_effects
from statefun_runtime.adapters.http.bundles.wire import BrokenBundleError, OutcomeReader
from statefun_runtime.adapters.wire import ReplyReader, decode_outcome, decode_reply
from statefun_runtime.core.model.messages import field, varint
from statefun_runtime.core.model.reply import Reply, ReplyRefused
from tests.support.wire_builders import result

names = st.sampled_from(["", "a", "demo", "größe", "n" * 130])
values = st.one_of(st.binary(max_size=3), st.sampled_from([b"v" * 100, b"v" * 200, b"w" * 17_000]))


@st.composite
def replies(draw: st.DrawFn) -> bytes:
    message = FromFunction()
    result = message.invocation_result
    for _ in range(draw(st.integers(0, 2))):
        change = result.state_mutations.add(state_name=draw(names))
        if draw(st.booleans()):
            change.mutation_type = 1
            change.state_value.typename, change.state_value.has_value = draw(names), True
            change.state_value.value = draw(values)
    for _ in range(draw(st.integers(0, 2))):
        sent = result.outgoing_messages.add()
        sent.target.namespace, sent.target.type = draw(names), draw(names)
        sent.target.id = draw(names)
        sent.argument.typename, sent.argument.value = draw(names), draw(values)
    for _ in range(draw(st.integers(0, 1))):
        later = result.delayed_invocations.add(delay_in_ms=draw(st.integers(-1, 3)))
        later.target.id = draw(names)
    for _ in range(draw(st.integers(0, 2))):
        record = result.outgoing_egresses.add(egress_namespace=draw(names))
        record.egress_type, record.argument.typename = draw(names), draw(names)
        record.argument.has_value, record.argument.value = draw(st.booleans()), draw(values)
    return bytes(message.SerializeToString())


@given(st.lists(replies(), min_size=1, max_size=4))
def test_replies_are_read_as_the_parser_reads_them(bodies: Sequence[bytes]):
    reader = ReplyReader()

    for body in bodies:
        assert reader.decode(body) == decode_reply(body)


SHORT = result(
    send=[("f", "ab", b"1"), ("f", "ab", b"v" * 120)],
    egress=[("out", b"record"), ("out", b"")],
    state={"x": b"v", "y": None},
)


def test_what_differs_by_a_byte_from_what_was_read_is_read_as_the_parser_reads_it():
    for place in range(len(SHORT)):
        for byte in {0, 1, 2, 5, 8, 10, 16, 18, 26, 34, 42, 127, 128, 200, 255}:
            wrong = SHORT[:place] + bytes([byte]) + SHORT[place + 1 :]
            assert said(wrong) == said_by_parser(wrong), (place, byte)


@pytest.mark.parametrize("more", [b"\x12\x01z", b"\x0a\x01z", b"\xba\x01\x01z", b"\x08\x00", b"z"])
def test_what_is_longer_than_what_was_read_is_read_as_the_parser_reads_it(more: bytes):
    effects = [(bytes([tag]), SHORT[start:end]) for tag, start, end in split_effects(SHORT)]
    for longer in range(len(effects)):
        whole = b"".join(
            field(tag, content + (more if number == longer else b""))
            for number, (tag, content) in enumerate(effects)
        )
        for body in (field(b"\xa2\x06", whole), field(b"\xa2\x06", whole) + more):
            assert said(body) == said_by_parser(body)


def said(body: bytes) -> Reply | str:
    """Return what is read of a reply after another one."""
    reader = ReplyReader()
    reader.decode(SHORT)
    return said_of(reader.decode, body)


def said_by_parser(body: bytes) -> Reply | str:
    return said_of(decode_reply, body)


def said_of(decode: Callable[[bytes], Reply], body: bytes) -> Reply | str:
    try:
        return decode(body)
    except ReplyRefused as refused:
        return str(refused)


@given(st.sampled_from([0, 1, 127, 128, 300, 16_383, 16_384, 40_000, 295_212]), values, st.data())
def test_outcomes_are_read_as_the_parser_reads_them(index: int, reply: bytes, data: st.DataObject):
    outcome = bytearray(field(b"\x12", reply))
    if index:
        outcome = bytearray(b"\x08" + varint(index)) + outcome
    if data.draw(st.booleans()):
        outcome[data.draw(st.integers(0, min(len(outcome), 8) - 1))] ^= 1 << data.draw(
            st.integers(0, 7)
        )

    assert read(bytes(outcome)) == parsed(bytes(outcome))


def read(outcome: bytes) -> object:
    try:
        return list(OutcomeReader(1 << 20).feed(varint(len(outcome)) + outcome))
    except BrokenBundleError:
        return "broken"


def parsed(outcome: bytes) -> object:
    try:
        message = decode_outcome(outcome)
    except DecodeError:
        return "broken"
    if not message.HasField("failure"):
        return [(message.index, message.reply)]
    # The words of a failure are another's test.
    ((index, failure),) = OutcomeReader(1 << 20).feed(varint(len(outcome)) + outcome)
    return [(index, failure)]
