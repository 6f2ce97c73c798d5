"""A request comes in, a response goes out."""

import asyncio
import dataclasses
import re
from datetime import timedelta

import pytest
import statefun
from google.protobuf.message import DecodeError
from statefun import (
    Context,
    IntType,
    Message,
    RequestReplyHandler,
    SdkAddress,
    StatefulFunctions,
    StringType,
    ValueSpec,
    egress_message_builder,
    kafka_egress_message,
    message_builder,
)
from statefun._wire import FromFunction

from tests.unit.sdk.sdk_requests import FUNCTION, STRING, invoke, request, value

ALICE = SdkAddress("com.example", "user", "alice", "com.example/user")


def to(target_id: str) -> Message:
    return message_builder("com.example/other", target_id, str_value=target_id)


def do_nothing(context, message):
    pass


def serving(function=do_nothing, specs=None) -> RequestReplyHandler:
    functions = StatefulFunctions()
    functions.register(FUNCTION, function, specs)
    return RequestReplyHandler(functions)


def test_the_exports_are_those_of_the_stock_sdk_and_two_of_ours():
    exports = """
        TypeSerializer, Type, simple_type, ValueSpec, SdkAddress, BoolType, IntType, FloatType,
        DoubleType, LongType, StringType, Message, EgressMessage, message_builder,
        egress_message_builder, kafka_egress_message, kinesis_egress_message, Context,
        StatefulFunctions, RequestReplyHandler, make_protobuf_type, make_json_type
    """
    ours = ["RetryLater", "TypedContext"]
    assert sorted(statefun.__all__) == sorted([*re.findall(r"\w+", exports), *ours])


# --- what a function sees


def test_a_function_sees_its_message_its_address_and_its_caller():
    seen = []

    def look(context, message):
        seen.append((context.address, context.caller, message.target_id, message.as_string()))
        assert isinstance(context, Context)

    invoke(look, caller=("com.example", "shop", "7"))

    caller = SdkAddress("com.example", "shop", "7", "com.example/shop")
    assert seen == [(ALICE, caller, "alice", "hi")]


@pytest.mark.parametrize(
    ("caller", "expected"),
    [
        (None, None),
        (("", "", ""), None),
        (("n", "", ""), SdkAddress("n", "", "", "n/")),
        (("", "t", ""), SdkAddress("", "t", "", "/t")),
        (("", "", "i"), SdkAddress("", "", "i", "/")),
    ],
)
def test_only_an_address_without_any_content_is_no_caller(caller, expected):
    seen = []
    invoke(lambda context, message: seen.append(context.caller), caller=caller)
    assert seen == [expected]


def test_each_invocation_of_a_batch_has_its_own_caller():
    requests = [
        request(arguments=[value(STRING, b"\n\x01a")], caller=("n", "t", "1")),
        request(arguments=[value(STRING, b"\n\x01b")]),
    ]
    # Concatenated protobuf messages merge, and repeated fields append.
    seen = []
    handler = serving(lambda context, message: seen.append((message.as_string(), context.caller)))

    handler.handle_sync(b"".join(requests))

    assert seen == [("a", SdkAddress("n", "t", "1", "n/t")), ("b", None)]


def test_the_invocations_of_a_batch_run_one_after_another():
    steps = []

    async def slow(context, message):
        steps.append(f"begin {message.as_string()}")
        await asyncio.sleep(0)
        steps.append(f"end {message.as_string()}")

    invoke(slow, arguments=[value(STRING, b"\n\x01a"), value(STRING, b"\n\x01b")])

    assert steps == ["begin a", "end a", "begin b", "end b"]


def test_requests_at_the_same_time_do_not_meet():
    async def echo(context, message):
        await asyncio.sleep(0)
        context.send(to(context.caller.id))
        await asyncio.sleep(0)

    async def run():
        handler = serving(echo)
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(handler.handle_async(request(caller=("n", "t", str(number)))))
                for number in range(3)
            ]
        return [FromFunction.FromString(task.result()) for task in tasks]

    responses = asyncio.run(run())

    assert [r.invocation_result.outgoing_messages[0].target.id for r in responses] == list("012")


def test_an_invocation_without_an_argument_is_a_message_without_a_value():
    seen = []
    invoke(
        lambda context, message: seen.append((message.value_typename(), message.raw_value())),
        arguments=[value("", has_value=False)],
    )
    assert seen == [("", None)]


# --- what a function asks for


def test_a_function_that_asks_for_nothing_answers_no_bytes():
    assert serving().handle_sync(request()) == b""


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_the_body_may_be_any_bytes(kind):
    assert serving().handle_sync(kind(request())) == b""


def test_messages_leave_in_the_order_in_which_they_were_sent():
    def send(context, message):
        for name in "abc":
            context.send(to(name))

    response = invoke(send, arguments=[value(STRING)] * 2)

    sent = response.invocation_result.outgoing_messages
    assert [m.target.id for m in sent] == list("abcabc")
    assert {(m.target.namespace, m.target.type) for m in sent} == {("com.example", "other")}
    assert StringType.serializer().deserialize(sent[1].argument.value) == "b"


def test_delayed_messages_and_cancellations_share_one_order():
    def send(context, message):
        context.send_after(timedelta(hours=1), to("a"), "token")
        context.cancel_delayed_message("token")
        context.send_after(timedelta(microseconds=1999), to("b"))
        context.send_after(timedelta(0), to("c"), cancellation_token="")

    delayed = invoke(send).invocation_result.delayed_invocations

    assert [
        (d.delay_in_ms, d.target.id, d.is_cancellation_request, d.cancellation_token)
        for d in delayed
    ] == [
        (3_600_000, "a", False, "token"),
        (0, "", True, "token"),
        (1, "b", False, ""),
        (0, "c", False, ""),
    ]
    assert not delayed[1].HasField("target")


def test_egress_messages_leave_in_order():
    def send(context, message):
        context.send_egress(egress_message_builder("com.example/out", 1, IntType))
        context.send_egress(kafka_egress_message("com.example/deep/kafka", "topic", "v"))

    sent = invoke(send).invocation_result.outgoing_egresses

    assert [(m.egress_namespace, m.egress_type) for m in sent] == [
        ("com.example", "out"),
        ("com.example/deep", "kafka"),
    ]


def test_the_namespace_ends_at_the_last_slash():
    def send(context, message):
        context.send(message_builder("a/b/c", "1", int_value=1))

    target = invoke(send).invocation_result.outgoing_messages[0].target
    assert (target.namespace, target.type) == ("a/b", "c")


def test_a_message_can_be_forwarded_as_it_came():
    def forward(context, message):
        context.send(Message("com.example/other", "1", message.typed_value))

    response = invoke(forward, arguments=[value("com.example/opaque", b"\x00\xff")])

    sent = response.invocation_result.outgoing_messages[0].argument
    assert sent == value("com.example/opaque", b"\x00\xff")


def test_a_message_changed_after_it_was_sent_leaves_as_it_is_in_the_end():
    def send(context, message):
        outgoing = to("a")
        context.send(outgoing)
        outgoing.target_id = "b"

    assert invoke(send).invocation_result.outgoing_messages[0].target.id == "b"


def test_a_failure_anywhere_in_the_batch_fails_all_of_it():
    def fail_on_b(context, message):
        context.send(to("x"))
        if message.as_string() == "b":
            raise RuntimeError("the function's own")

    with pytest.raises(RuntimeError, match=r"^the function's own$"):
        invoke(fail_on_b, arguments=[value(STRING, b"\n\x01a"), value(STRING, b"\n\x01b")])


# --- incomplete requests


SPECS = [
    ValueSpec("none", IntType),
    ValueSpec("write", IntType, expire_after_write=timedelta(days=1)),
    ValueSpec("call", StringType, expire_after_call=timedelta(minutes=5)),
]


def missing(response: FromFunction) -> list[tuple[str, str, int, int]]:
    return [
        (
            spec.state_name,
            spec.type_typename,
            spec.expiration_spec.mode,
            spec.expiration_spec.expire_after_millis,
        )
        for spec in response.incomplete_invocation_context.missing_values
    ]


def test_missing_states_are_asked_for_in_the_order_of_the_specs():
    def must_not_run(context, message):
        raise AssertionError("invoked with an incomplete context")

    response = invoke(must_not_run, SPECS)

    assert missing(response) == [
        ("none", "io.statefun.types/int", 0, 0),
        ("write", "io.statefun.types/int", 1, 86_400_000),
        ("call", "io.statefun.types/string", 2, 300_000),
    ]
    specs = response.incomplete_invocation_context.missing_values
    assert all(spec.HasField("expiration_spec") for spec in specs)


def test_only_what_is_missing_is_asked_for():
    response = invoke(do_nothing, SPECS, state={"write": None, "zombie": None})

    assert [name for name, *_ in missing(response)] == ["none", "call"]


# --- refusals


def attempt(function, **parts):
    return lambda: invoke(function, **parts)


def send(make):
    return attempt(lambda context, message: context.send(make()))


def send_after(*arguments):
    return attempt(lambda context, message: context.send_after(*arguments))


async def sync_inside_a_loop():
    serving().handle_sync(request())


NOWHERE = "is not of the form 'namespace/name', so nothing can be sent to it"
REFUSALS = [
    (
        lambda: RequestReplyHandler(None),
        ValueError,
        "a handler needs the StatefulFunctions that it serves",
    ),
    (
        lambda: serving().handle_sync(b""),
        ValueError,
        "the request holds no invocation batch; was its body lost on the way?",
    ),
    (
        lambda: serving().handle_sync("text"),
        TypeError,
        "the request body must be bytes, not str",
    ),
    (
        lambda: serving().handle_sync(request(target=("a", "b", "1"))),
        KeyError,
        "no function is registered as 'a/b'; registered are: com.example/user",
    ),
    (
        lambda: serving().handle_sync(request(target=("com.example", "user", ""))),
        ValueError,
        "a message to com.example/user needs a target_id; it cannot be empty",
    ),
    (
        lambda: asyncio.run(sync_inside_a_loop()),
        RuntimeError,
        "an event loop runs in this thread: await handle_async instead",
    ),
    (
        send(lambda: message_builder("other", "1", int_value=1)),
        ValueError,
        f"typename 'other' {NOWHERE}",
    ),
    (
        send(lambda: message_builder("/other", "1", int_value=1)),
        ValueError,
        f"typename '/other' {NOWHERE}",
    ),
    (
        send(lambda: message_builder("com.example/", "1", int_value=1)),
        ValueError,
        f"typename 'com.example/' {NOWHERE}",
    ),
    (
        send(lambda: None),
        TypeError,
        "a message from message_builder is needed, not None (NoneType)",
    ),
    (
        send(lambda: egress_message_builder("a/b", 1, IntType)),
        TypeError,
        "a message from message_builder is needed, not an EgressMessage; "
        "context.send_egress takes those",
    ),
    (
        attempt(lambda context, message: context.send_egress(message)),
        TypeError,
        "a message from egress_message_builder, kafka_egress_message or kinesis_egress_message "
        "is needed, not a Message to a function; context.send takes those",
    ),
    (
        attempt(
            lambda context, message: context.send_egress(egress_message_builder("a", 1, IntType))
        ),
        ValueError,
        f"typename 'a' {NOWHERE}",
    ),
    (
        send_after(5, to("a")),
        TypeError,
        "duration of send_after must be a timedelta, not 5 (int)",
    ),
    (
        send_after(timedelta(1), None),
        TypeError,
        "a message from message_builder is needed, not None (NoneType)",
    ),
    (
        attempt(lambda context, message: context.cancel_delayed_message(None)),
        TypeError,
        "the cancellation token is None; give the one the message was sent with",
    ),
    (
        attempt(lambda context, message: setattr(context, "caller", None)),
        AttributeError,
        "property 'caller' of 'BatchContext' object has no setter",
    ),
    (
        lambda: setattr(ALICE, "id", "bob"),
        dataclasses.FrozenInstanceError,
        "cannot assign to field 'id'",
    ),
]


@pytest.mark.parametrize(("attempt", "error", "message"), REFUSALS)
def test_a_refusal_says_what_was_wrong(attempt, error, message):
    with pytest.raises(error) as refusal:
        attempt()
    assert str(refusal.value) == message


def test_a_body_that_is_no_request_is_reported_as_such():
    with pytest.raises(DecodeError, match=r"^the request body is not a ToFunction: "):
        serving().handle_sync(b"\xff\xff\xff\xff")


def test_a_refused_handle_sync_leaves_no_coroutine_behind(recwarn):
    with pytest.raises(RuntimeError):
        asyncio.run(sync_inside_a_loop())
    assert [str(warning.message) for warning in recwarn] == []


# --- when a batch is over


@pytest.mark.parametrize(
    "ask",
    [
        lambda context: context.send(to("late")),
        lambda context: context.send_after(timedelta(seconds=1), to("late")),
        lambda context: context.cancel_delayed_message("token"),
        lambda context: context.send_egress(
            egress_message_builder("com.example/out", "late", StringType)
        ),
        lambda context: setattr(context.storage, "seen", 7),
        lambda context: delattr(context.storage, "seen"),
    ],
    ids=["send", "send_after", "cancel", "send_egress", "set", "del"],
)
def test_what_is_asked_for_when_the_batch_is_over_is_refused_not_lost(ask):
    contexts = []

    def keep(context, message):
        context.storage.seen = 5
        contexts.append(context)

    served = serving(keep, [ValueSpec("seen", IntType)])
    served.handle_sync(request(state={"seen": value("io.statefun.types/int", has_value=False)}))

    with pytest.raises(RuntimeError) as refused:
        ask(contexts[0])
    assert str(refused.value) == (
        "the batch is over, and what is asked for now would be lost; await what goes on"
    )
    assert contexts[0].storage.seen == 5
