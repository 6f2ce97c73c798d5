"""A wrong argument is refused at the call that has it, by its name; not when the reply is made, or by protobuf."""

from datetime import timedelta

import pytest
from statefun import (
    EgressMessage,
    IntType,
    Message,
    RequestReplyHandler,
    StatefulFunctions,
    StringType,
    ValueSpec,
    egress_message_builder,
    kafka_egress_message,
    kinesis_egress_message,
    make_json_type,
    make_protobuf_type,
    message_builder,
    simple_type,
)
from statefun._wire import IntWrapper, TypedValue
from statefun.address import SdkAddress
from statefun.calls.batch import BatchContext

ADDRESS = SdkAddress("a", "b", "c", "a/b")
MESSAGE = message_builder("a/b", "c", int_value=1)
KAFKA, KINESIS = "a message to Kafka egress a/out", "a message to Kinesis egress a/out"
NOWHERE = "is not of the form 'namespace/name', so nothing can be sent to it"


def context() -> BatchContext:
    return BatchContext("a", "b", "a/b", "c", {}, {})


def kafka(**arguments):
    given = {"typename": "a/out", "topic": "t", "value": "v"} | arguments
    return lambda: kafka_egress_message(**given)


def kinesis(**arguments):
    given = {"typename": "a/out", "stream": "s", "value": "v", "partition_key": "k"} | arguments
    return lambda: kinesis_egress_message(**given)


def message(typename="a/b", id_="c", **value):
    return lambda: message_builder(typename, id_, **(value or {"int_value": 1}))


def later(duration, token=""):
    return lambda: context().send_after(duration, MESSAGE, token)


def function(context, message):
    """Do nothing."""


WRONG_TYPES = [
    (message(id_=7), "target_id of a message to a/b must be a str, not 7 (int)"),
    (message(id_=0), "target_id of a message to a/b must be a str, not 0 (int)"),
    (message(7), "target_typename of a message must be a str, not 7 (int)"),
    (
        message(int_value="7"),
        "int_value of a message: io.statefun.types/int takes int, not '7' (str)",
    ),
    (
        lambda: Message("a/b", "c", 7),
        "typed_value of a message to a/b/c must be a TypedValue, not 7 (int)",
    ),
    (later(5), "duration of send_after must be a timedelta, not 5 (int)"),
    (later(timedelta(1), 7), "cancellation_token of send_after must be a str, not 7 (int)"),
    (
        lambda: context().cancel_delayed_message(7),
        "cancellation_token of cancel_delayed_message must be a str, not 7 (int)",
    ),
    (
        lambda: EgressMessage(7, TypedValue()),
        "typename of an egress message must be a str, not 7 (int)",
    ),
    (
        lambda: EgressMessage("a/out", "v"),
        "typed_value of a message to egress a/out must be a TypedValue, not 'v' (str)",
    ),
    (
        lambda: egress_message_builder(7, "v", StringType),
        "typename of an egress message must be a str, not 7 (int)",
    ),
    (kafka(topic=7), f"topic of {KAFKA} must be a str, not 7 (int)"),
    (kafka(key=7), f"key of {KAFKA} must be a str, not 7 (int)"),
    (kafka(partition="1"), f"partition of {KAFKA} must be an int, not '1' (str)"),
    (kafka(partition=True), f"partition of {KAFKA} must be an int, not True (bool)"),
    (kafka(timestamp_ms=1.5), f"timestamp_ms of {KAFKA} must be an int, not 1.5 (float)"),
    (
        kafka(headers=7),
        f"headers of {KAFKA} must be a mapping or pairs of name and value, not 7 (int)",
    ),
    (
        kafka(headers="ab"),
        f"headers of {KAFKA} must be a mapping or pairs of name and value, not 'ab' (str)",
    ),
    (kafka(headers=["ab"]), f"headers of {KAFKA} must be pairs of name and value, not 'ab' (str)"),
    (kafka(headers={7: "v"}), f"the name of a header of {KAFKA} must be a str, not 7 (int)"),
    (kafka(headers={"h": 7}), f"header 'h' of {KAFKA} must be bytes, a str or None, not 7 (int)"),
    (kinesis(stream=7), f"stream of {KINESIS} must be a str, not 7 (int)"),
    (kinesis(partition_key=7), f"partition_key of {KINESIS} must be a str, not 7 (int)"),
    (kinesis(explicit_hash_key=7), f"explicit_hash_key of {KINESIS} must be a str, not 7 (int)"),
    (
        lambda: ValueSpec("s", IntType, expire_after_call=0),
        "expire_after_call of state 's' must be a timedelta, not 0 (int)",
    ),
    (lambda: ValueSpec(0, IntType), "the name of a ValueSpec must be a str, not 0"),
    (lambda: simple_type(7, bytes, bytes), "typename of a type must be a str, not 7 (int)"),
    (
        lambda: simple_type("a/t", 7, bytes),
        "serialize_fn of type 'a/t' must be a function, not 7 (int)",
    ),
    (lambda: make_json_type(7), "typename of a type must be a str, not 7 (int)"),
    (
        lambda: make_protobuf_type(IntWrapper, 7),
        "namespace of the type of io.statefun.sdk.types.IntWrapper must be a str, not 7 (int)",
    ),
    (
        lambda: StatefulFunctions().register(7, function),
        "typename of function must be a str, not 7 (int)",
    ),
    (
        lambda: StatefulFunctions().bind(function),
        "bind needs a typename: write @functions.bind('com.example/user')",
    ),
    (
        lambda: StatefulFunctions().register("a/b", function, ValueSpec("s", IntType)),
        "the specs of function 'a/b' must be a list of ValueSpecs, not one",
    ),
    (
        lambda: RequestReplyHandler(function),
        "functions of a handler must be StatefulFunctions, not ",
    ),
]
WRONG_VALUES = [
    (message("b"), f"typename 'b' {NOWHERE}"),
    (lambda: context().send(Message("b", "c", MESSAGE.typed_value)), f"typename 'b' {NOWHERE}"),
    (kafka(typename="out"), f"typename 'out' {NOWHERE}"),
    (
        lambda: context().send_egress(EgressMessage("out", TypedValue())),
        f"typename 'out' {NOWHERE}",
    ),
    (message(id_=b"\xff"), "target_id of a message to a/b is not UTF-8: b'\\xff'"),
    (message(id_="\ud800"), "target_id of a message to a/b cannot be UTF-8: '\\ud800'"),
    (
        message(int_value=2**40),
        "int_value of a message: 1099511627776 does not fit io.statefun.types/int: ",
    ),
    (later(timedelta(seconds=-1)), "duration of send_after must not be negative, and is -1 s"),
    (
        later(timedelta(microseconds=-1)),
        "duration of send_after must not be negative, and is -1e-06 s",
    ),
    (later(timedelta(microseconds=999)), "duration of send_after is 999 µs; the shortest is 1 ms"),
    (
        lambda: context().cancel_delayed_message(""),
        "the cancellation token is empty; give the one the message was sent with",
    ),
    (kafka(partition=2**31), f"partition of {KAFKA} must be from 0 to 2147483647, not 2147483648"),
    (
        lambda: ValueSpec("s", IntType, expire_after_write=timedelta(seconds=-60)),
        "expire_after_write of state 's' must not be negative, and is -60 s",
    ),
    (
        lambda: ValueSpec("s", IntType, expire_after_call=timedelta(microseconds=1)),
        "expire_after_call of state 's' is 1 µs; the shortest is 1 ms",
    ),
    (
        lambda: Message("a/b", "c", TypedValue()).as_int(required=True),
        "the message to a/b/c has no value; io.statefun.types/int is required",
    ),
]


@pytest.mark.parametrize(("attempt", "problem"), WRONG_TYPES)
def test_an_argument_of_another_type_is_a_type_error_that_names_it(attempt, problem: str):
    with pytest.raises(TypeError) as refused:
        attempt()
    assert str(refused.value).startswith(problem)


@pytest.mark.parametrize(("attempt", "problem"), WRONG_VALUES)
def test_an_argument_with_an_impossible_value_is_a_value_error_that_names_it(attempt, problem: str):
    with pytest.raises(ValueError) as refused:
        attempt()
    assert str(refused.value).startswith(problem)


def test_a_long_argument_is_shortened():
    with pytest.raises(TypeError) as refused:
        kafka(key=list(range(10_000)))()
    assert len(str(refused.value)) < 200


def test_what_protobuf_takes_for_a_text_is_taken():
    """The stock SDK hands ids and keys to protobuf, which takes UTF-8 in bytes."""
    assert message_builder("a/b", "é".encode(), int_value=1).target_id == "é"
    assert kafka(key=b"k")().typed_value.value == kafka(key="k")().typed_value.value


def test_no_delay_at_all_is_a_delay():
    context().send_after(timedelta(0), MESSAGE)


def test_a_value_that_is_required_is_given():
    assert MESSAGE.as_int(required=True) == 1
    assert MESSAGE.as_type(IntType, required=True) == 1
