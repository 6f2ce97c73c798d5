"""Messages to functions: built from a value, read as a value."""

import pytest
from statefun import (
    BoolType,
    DoubleType,
    FloatType,
    IntType,
    LongType,
    Message,
    StringType,
    make_json_type,
    message_builder,
    simple_type,
)

from tests.unit.sdk.sdk_requests import INT, value

JSON = make_json_type("com.example/json")
KINDS = {
    "int": (IntType, 7),
    "bool": (BoolType, True),
    "long": (LongType, 2**40),
    "string": (StringType, "x"),
    "float": (FloatType, 1.5),
    "double": (DoubleType, -2.25),
}
KEYWORDS = {kind: f"{kind}_value" for kind in KINDS} | {"string": "str_value"}


@pytest.mark.parametrize("kind", KINDS)
def test_a_primitive_goes_in_and_comes_out(kind: str):
    type_, content = KINDS[kind]

    message = message_builder("com.example/user", "alice", **{KEYWORDS[kind]: content})

    assert (message.target_typename, message.target_id) == ("com.example/user", "alice")
    assert message.value_typename() == type_.typename
    assert message.raw_value() == type_.serializer().serialize(content)
    assert getattr(message, f"as_{kind}")() == content
    assert {other for other in KINDS if getattr(message, f"is_{other}")()} == {kind}


def test_a_value_goes_with_its_type():
    message = message_builder("com.example/user", "alice", value={"x": 1}, value_type=JSON)

    assert message.is_type(JSON)
    assert not message.is_type(make_json_type("com.example/other"))
    assert message.as_type(JSON) == {"x": 1}


def test_a_default_value_is_a_value():
    message = message_builder("com.example/user", "alice", int_value=0)

    assert message.typed_value.has_value
    assert message.raw_value() == b""
    assert message.as_int() == 0


def test_an_absent_value_reads_as_none():
    message = Message("com.example/user", "alice", value(INT, b"", has_value=False))

    assert message.is_int()
    assert message.as_int() is None
    assert message.as_type(JSON) is None
    assert message.raw_value() is None


def test_reading_does_not_ask_for_the_typename():
    message = Message("com.example/user", "alice", value("com.example/json", b'{"x": 1}'))

    assert message.as_type(make_json_type("com.example/other")) == {"x": 1}


HOW = (
    "give one of int_value=, float_value=, long_value=, str_value=, double_value=, bool_value= "
    "or both value= and value_type="
)
REFUSALS = [
    (
        lambda: message_builder("", "alice", int_value=1),
        ValueError,
        "a message needs a target_typename, like 'com.example/user'",
    ),
    (
        lambda: message_builder("a/b", "", int_value=1),
        ValueError,
        "a message to a/b needs a target_id; it cannot be empty",
    ),
    (
        lambda: Message("a/b", "alice", None),
        ValueError,
        "a message to a/b/alice needs a typed_value",
    ),
    (
        lambda: message_builder("a/b", "alice"),
        TypeError,
        f"a message needs exactly one value, but was given none; {HOW}",
    ),
    (
        lambda: message_builder("a/b", "alice", int_value=1, str_value="x"),
        TypeError,
        f"a message needs exactly one value, but was given int_value and str_value; {HOW}",
    ),
    (
        lambda: message_builder("a/b", "alice", value=1, value_type=JSON, int_value=1),
        TypeError,
        "a message needs exactly one value, but was given value and value_type and int_value; "
        f"{HOW}",
    ),
    (
        lambda: message_builder("a/b", "alice", int_value=None),
        ValueError,
        f"int_value is missing or None; {HOW}",
    ),
    (
        lambda: message_builder("a/b", "alice", value=1),
        ValueError,
        f"value_type is missing or None; {HOW}",
    ),
    (
        lambda: message_builder("a/b", "alice", value_type=JSON),
        ValueError,
        f"value is missing or None; {HOW}",
    ),
    (
        lambda: message_builder("a/b", "alice", value=None, value_type=JSON),
        ValueError,
        f"value is missing or None; {HOW}",
    ),
    (
        lambda: message_builder("a/b", "alice", text="x"),
        ValueError,
        f"a message has no text; {HOW}",
    ),
    (
        lambda: message_builder("a/b", "alice", value=1, value_type=int),
        TypeError,
        "a value type must be a statefun Type, like IntType, not <class 'int'>",
    ),
    (
        lambda: message_builder(
            "a/b", "alice", value="x", value_type=simple_type("c/text", str, bytes)
        ),
        TypeError,
        "the serializer of c/text must return bytes, not str",
    ),
]


@pytest.mark.parametrize(("attempt", "error", "message"), REFUSALS)
def test_a_refusal_says_what_was_wrong(attempt, error, message):
    with pytest.raises(error) as refusal:
        attempt()
    assert str(refusal.value) == message
