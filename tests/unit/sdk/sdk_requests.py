"""Requests as a runtime would send them, and responses as it would read them."""

from collections.abc import Callable, Iterable

from statefun import Context, Message, RequestReplyHandler, StatefulFunctions, ValueSpec
from statefun._wire import FromFunction, ToFunction, TypedValue

FUNCTION = "com.example/user"
INT = "io.statefun.types/int"
STRING = "io.statefun.types/string"


def value(typename: str, data: bytes = b"", *, has_value: bool = True) -> TypedValue:
    return TypedValue(typename=typename, has_value=has_value, value=data)


def request(
    *,
    state: dict[str, TypedValue | None] | Iterable[tuple[str, TypedValue | None]] = (),
    arguments: Iterable[TypedValue] = (value(STRING, b"\n\x02hi"),),
    caller: tuple[str, str, str] | None = None,
    target: tuple[str, str, str] = ("com.example", "user", "alice"),
) -> bytes:
    to_function = ToFunction()
    batch = to_function.invocation
    batch.target.namespace, batch.target.type, batch.target.id = target
    for name, typed_value in dict(state).items():
        batch.state.add(state_name=name, state_value=typed_value)
    for argument in arguments:
        invocation = batch.invocations.add(argument=argument)
        if caller is not None:
            invocation.caller.namespace, invocation.caller.type, invocation.caller.id = caller
    return to_function.SerializeToString()


def invoke(
    function: Callable[[Context, Message], object],
    specs: Iterable[ValueSpec] = (),
    **parts: object,
) -> FromFunction:
    functions = StatefulFunctions()
    functions.register(FUNCTION, function, specs)
    answer = RequestReplyHandler(functions).handle_sync(request(**parts))
    return FromFunction.FromString(answer)
