import csv
from contextlib import suppress
from pathlib import Path

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st
from statefun._wire import FromFunction, KafkaProducerRecord

from statefun_runtime.adapters import wire
from statefun_runtime.adapters.wire import ReplyReader, decode_kafka_record
from statefun_runtime.core.model.messages import varint
from statefun_runtime.core.model.reply import Incomplete, ReplyRefused, Result
from statefun_runtime.core.model.state import UNSET_TYPENAME, ExpireMode, StateSpec
from statefun_runtime.core.partition.retry import Cause
from tests.support.wire_builders import incomplete, result, typed

decode_reply = ReplyReader().decode
GOLDEN = Path(__file__).parents[2] / "conformance" / "golden" / "golden_cases.tsv"


def golden_replies() -> list[bytes]:
    """Return what the stock SDKs answered."""
    with GOLDEN.open(encoding="utf-8", newline="") as file:
        rows = csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        found = [
            row[5] for row in rows if row[3] == "200" and not set(row[5]) - set("0123456789abcdef")
        ]
    assert len(found) > 20
    return [bytes.fromhex(text) for text in found]


def in_full(body: bytes) -> object:
    """Decode a reply with the full schema, as plain values."""
    reply = FromFunction.FromString(body)
    if reply.HasField("incomplete_invocation_context"):
        return [
            (
                s.state_name,
                s.type_typename or UNSET_TYPENAME,
                s.expiration_spec.mode,
                s.expiration_spec.expire_after_millis,
            )
            for s in reply.incomplete_invocation_context.missing_values
        ]
    said = reply.invocation_result
    return (
        [
            (m.target.namespace, m.target.type, m.target.id, m.argument.SerializeToString())
            for m in said.outgoing_messages
        ],
        [
            (
                d.delay_in_ms,
                d.target.namespace,
                d.target.type,
                d.target.id,
                d.argument.SerializeToString(),
                d.is_cancellation_request,
                d.cancellation_token,
            )
            for d in said.delayed_invocations
        ],
        [
            (e.egress_namespace, e.egress_type, e.argument.typename, e.argument.value)
            for e in said.outgoing_egresses
        ],
        [
            (m.state_name, m.state_value.SerializeToString() if m.mutation_type == 1 else None)
            for m in said.state_mutations
        ],
    )


def lean(body: bytes) -> object:
    reply = decode_reply(body)
    if isinstance(reply, Incomplete):
        return [(s.name, s.typename, s.mode.value, s.expire_after_ms) for s in reply.missing]
    return (
        [tuple(message) for message in reply.messages],
        [tuple(message) for message in reply.delayed],
        [tuple(message) for message in reply.egress],
        [tuple(mutation) for mutation in reply.mutations],
    )


def test_what_stock_sdks_answered_is_read_like_with_the_full_schema():
    for body in golden_replies():
        assert lean(body) == in_full(body)


def test_a_reply_of_every_kind_is_read_like_with_the_full_schema():
    body = result(
        send=[("f", "a", b"1"), ("g", "", b"")],
        delay=[(5, "f", "a", b"later", "token"), (-1, "f", "a", b"", "")],
        cancel=["other", ""],
        egress=[("out", b"record")],
        state={"x": b"v", "y": None},
    )

    assert lean(body) == in_full(body)


def test_the_vectors_of_the_contract_are_read():
    assert lean(
        bytes.fromhex("aa06210a1f0a067669736974731a15696f2e737461746566756e2e74797065732f696e74")
    ) == [("visits", "io.statefun.types/int", 0, 0)]
    assert lean(
        bytes.fromhex(
            "aa06230a210a0676697369747312001a15696f2e737461746566756e2e74797065732f696e74"
        )
    ) == [("visits", "io.statefun.types/int", 0, 0)]
    assert lean(bytes.fromhex("a206081a0650015a027431")) == (
        [],
        [(0, "", "", "", b"", True, "t1")],
        [],
        [],
    )
    assert decode_kafka_record(bytes.fromhex("0a016b1201761a0174")) == ("t", b"k", b"v", None)


@pytest.mark.parametrize("body", [b"", bytes.fromhex("a20600")])
def test_an_empty_reply_is_a_result_without_effects(body: bytes):
    assert decode_reply(body) == Result([], [], [], [])


def test_unknown_fields_of_an_argument_are_passed_on():
    message = FromFunction()
    argument = message.invocation_result.outgoing_messages.add().argument
    argument.MergeFromString(typed(b"v").SerializeToString() + b"\x9a\x06\x03new")

    reply = decode_reply(message.SerializeToString())

    assert isinstance(reply, Result)
    assert reply.messages[0].argument == typed(b"v").SerializeToString() + b"\x9a\x06\x03new"


def test_a_state_without_a_type_is_of_type_unset():
    reply = decode_reply(incomplete("x", typename=""))

    assert reply == Incomplete((StateSpec("x", UNSET_TYPENAME),))


def test_an_unknown_expiration_never_expires():
    message = FromFunction()
    spec = message.incomplete_invocation_context.missing_values.add(state_name="x")
    spec.expiration_spec.MergeFromString(b"\x08\x63\x10\x05")

    reply = decode_reply(message.SerializeToString())

    assert isinstance(reply, Incomplete)
    assert reply.missing[0].mode is ExpireMode.NONE


def test_an_unknown_kind_of_change_is_refused():
    message = FromFunction()
    message.invocation_result.state_mutations.add(state_name="x").MergeFromString(b"\x08\x07")

    with pytest.raises(ReplyRefused) as refused:
        decode_reply(message.SerializeToString())

    assert refused.value.failure.cause is Cause.BAD_STATE
    assert str(refused.value) == (
        "state 'x' has an unknown kind of change (7); is the SDK newer than the worker?"
    )


@pytest.mark.parametrize("body", [b"\xff", b"no protobuf", b"\xa2\x06\x05ab", b"\x0b"])
def test_what_is_no_message_is_refused_in_words(body: bytes):
    with pytest.raises(ReplyRefused) as refused:
        decode_reply(body)

    assert refused.value.failure.cause is Cause.BAD_REPLY
    assert str(refused.value).startswith(
        f"the reply is not a FromFunction message ({len(body)} bytes: "
    )


@given(st.binary(max_size=60))
def test_garbage_is_read_or_refused_and_never_worse(body: bytes):
    for reply in (body, b"\xa2\x06" + bytes([len(body)]) + body):
        with suppress(ReplyRefused):
            decode_reply(reply)


@given(st.integers(0, 10_000), st.integers(0, 7), st.sampled_from(golden_replies()))
def test_a_reply_with_one_wrong_bit_is_read_or_refused(place: int, bit: int, body: bytes):
    if not body:
        return
    broken = bytearray(body)
    broken[place % len(body)] ^= 1 << bit
    with suppress(ReplyRefused):
        decode_reply(bytes(broken))


def test_a_kafka_record_may_have_a_key_that_is_not_text():
    record = KafkaProducerRecord(topic="t", value_bytes=b"v").SerializeToString()

    assert decode_kafka_record(record + b"\x0a\x02\xff\xfe") == ("t", b"\xff\xfe", b"v", None)
    with pytest.raises(ValueError, match="not a KafkaProducerRecord message"):
        decode_kafka_record(b"\xff")


@given(
    st.binary(max_size=200),
    st.binary(max_size=300),
    st.lists(st.tuples(st.integers(0, 600), st.integers(0, 255)), max_size=3),
    st.integers(0, 600),
)
def test_a_kafka_record_says_what_a_parser_finds_in_it_however_it_is_written(
    key: bytes, value: bytes, changes: list[tuple[int, int]], size: int
):
    whole = KafkaProducerRecord(topic="names", value_bytes=value).SerializeToString()
    data = bytearray(b"\x0a" + varint(len(key)) + key + whole)
    assert decode_kafka_record(bytes(data)) == ("names", key, value, None)
    for place, byte in changes:
        data[place % len(data)] = byte
    changed = bytes(data[:size])
    try:
        found = decode_kafka_record(changed)
    except ValueError:
        found = None
    parser = wire._KafkaRecord
    try:
        expected = parser.FromString(changed)
    except DecodeError:
        assert found is None
    else:
        assert found is not None
        assert found[:3] == (expected.topic, expected.key, expected.value)
