import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statefun_runtime.adapters.wire import decode_kafka_record
from statefun_runtime.core.model.address import Address, TypeName
from statefun_runtime.core.model.dead_letter import (
    DeadLetter,
    Origin,
    keyed_record_for,
    read_letter,
    text_record_for,
)
from statefun_runtime.core.model.messages import address_field, invocation, typed_value

TARGET = Address(TypeName("t", "f"), "alice")
CALLED = invocation(address_field(TypeName("t", "caller"), "bob"), typed_value("t/text", b"hello"))

texts = st.text(st.characters(codec="utf-8"))
letters = st.builds(
    DeadLetter,
    id=texts,
    time_ms=st.integers(0, 4_000_000_000_000),
    reason=texts,
    error=texts,
    target=st.none() | st.builds(Address, st.just(TARGET.type), texts),
    invocation=st.none() | st.binary(),
    attempts=st.integers(0, 1000),
    endpoint=st.just("http://f/"),
    origin=st.none()
    | st.builds(Origin, texts, texts, texts, st.none() | st.binary(), st.none() | st.binary()),
)


@given(letters)
def test_a_letter_is_read_as_it_was_written(letter: DeadLetter):
    line = letter.to_json()

    assert b"\n" not in line
    assert read_letter(line) == letter


def test_a_person_sees_who_sent_what():
    content = json.loads(DeadLetter("1", 0, "status", "no", TARGET, CALLED).to_json())

    assert content["caller"] == {"type": "t/caller", "id": "bob"}
    assert content["argument"] == {"typename": "t/text", "bytes": 5, "text": "hello"}
    assert content["time"] == "1970-01-01T00:00:00.000+00:00"


def test_a_record_for_kafka_is_keyed_by_the_function_id():
    letter = DeadLetter("1", 0, "status", "no", TARGET, CALLED)

    topic, key, value, _ = decode_kafka_record(keyed_record_for("dead", letter))

    assert (topic, key) == ("dead", b"alice")
    assert read_letter(value) == letter


def test_a_record_for_the_http_egress_is_json_with_topic_and_payload():
    letter = DeadLetter("1", 0, "status", "no", TARGET, CALLED)

    content = json.loads(text_record_for("dead", letter))

    assert content["topic"] == "dead"
    assert read_letter(content["payload"]) == letter


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("hello", "not a dead letter: JSONDecodeError: Expecting value: line 1 column 1 (char 0)"),
        ("[]", "not a dead letter: AttributeError: 'list' object has no attribute 'get'"),
        ("{}", "not a dead letter: KeyError: 'id'"),
        (
            '{"id":"1","time":"yesterday","reason":"","error":""}',
            "not a dead letter: ValueError: Invalid isoformat string: 'yesterday'",
        ),
    ],
)
def test_what_is_no_letter_is_told(line: str, problem: str):
    with pytest.raises(ValueError) as raised:
        read_letter(line)
    assert str(raised.value) == problem
