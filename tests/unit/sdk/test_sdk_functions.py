"""Registering functions."""

import functools

import pytest
from statefun import IntType, StatefulFunctions, ValueSpec, message_builder

from tests.unit.sdk.sdk_requests import INT, invoke


def plain(context, message):
    context.send(message_builder("com.example/other", "1", int_value=1))


async def asynchronous(context, message):
    plain(context, message)


class Service:
    def method(self, context, message):
        plain(context, message)

    async def async_method(self, context, message):
        plain(context, message)

    async def __call__(self, context, message):
        plain(context, message)


async def with_settings(settings, context, message):
    plain(context, message)


@functools.wraps(with_settings)
async def wrapper(context, message):
    await with_settings({}, context, message)


@pytest.mark.parametrize(
    "function",
    [
        plain,
        asynchronous,
        lambda context, message: plain(context, message),
        Service().method,
        Service().async_method,
        Service(),
        functools.partial(with_settings, {}),
        wrapper,
        lambda context, message, *rest, flag=False: plain(context, message),
    ],
)
def test_whatever_takes_context_and_message_is_a_function(function):
    response = invoke(function)

    assert [m.argument.typename for m in response.invocation_result.outgoing_messages] == [INT]


def test_bind_leaves_the_function_as_it_is():
    functions = StatefulFunctions()

    assert functions.bind("com.example/user", specs=[ValueSpec("seen", IntType)])(plain) is plain
    assert functions.for_typename("com.example/user").fun is plain


def test_the_last_function_of_a_typename_counts():
    functions = StatefulFunctions()
    functions.register("com.example/user", plain)
    functions.register("com.example/user", asynchronous)

    assert functions.for_typename("com.example/user").fun is asynchronous


def test_each_function_is_inspected_once_when_it_is_registered(monkeypatch):
    functions = StatefulFunctions()
    functions.register("com.example/user", asynchronous)

    monkeypatch.setattr("inspect.iscoroutinefunction", None)
    assert functions.for_typename("com.example/user").is_async


def register(function, typename="com.example/user", specs=None):
    return lambda: StatefulFunctions().register(typename, function, specs)


def one_argument(context):
    pass


def two_and_a_default(context, message, extra=None):
    pass


def any_arguments(*arguments):
    pass


TWO = "must take exactly two arguments, context and message, but takes"
REFUSALS = [
    (
        register(None),
        ValueError,
        "a function is needed, with the arguments context and message",
    ),
    (
        register(plain, typename=""),
        ValueError,
        "plain needs a typename, like 'com.example/user'",
    ),
    (
        register("plain"),
        TypeError,
        "function 'com.example/user' must be callable, not 'plain'",
    ),
    (
        register(one_argument),
        ValueError,
        f"function 'com.example/user' (one_argument) {TWO} (context)",
    ),
    (
        register(two_and_a_default),
        ValueError,
        f"function 'com.example/user' (two_and_a_default) {TWO} (context, message, extra)",
    ),
    (
        register(any_arguments),
        ValueError,
        f"function 'com.example/user' (any_arguments) {TWO} ()",
    ),
    (
        register(Service.method),
        ValueError,
        f"function 'com.example/user' (Service.method) {TWO} (self, context, message)",
    ),
    (
        register(plain, specs=[ValueSpec("seen", IntType), ValueSpec("seen", IntType)]),
        ValueError,
        "function 'com.example/user' has two ValueSpecs named 'seen'",
    ),
    (
        register(plain, specs=["seen"]),
        TypeError,
        "the specs of function 'com.example/user' must be ValueSpecs, not 'seen'",
    ),
    (
        lambda: StatefulFunctions().for_typename("a/b"),
        KeyError,
        "no function is registered as 'a/b'; registered are: none",
    ),
]


@pytest.mark.parametrize(("attempt", "error", "message"), REFUSALS)
def test_a_refusal_says_what_was_wrong(attempt, error, message):
    with pytest.raises(error) as refusal:
        attempt()
    assert str(refusal.value) == message
