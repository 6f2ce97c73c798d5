"""What the SDKs are asked: requests to the functions of `programs/`, in five chapters."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from statefun._wire import IntWrapper, StringWrapper, ToFunction, TypedValue

INT = "io.statefun.types/int"
TEXT = "io.statefun.types/string"
JSON = "matrix/json"
State = Mapping[str, TypedValue | None]

# Fields with the number 4000: a varint, eight bytes, a string, a group, four bytes.
UNKNOWN = bytes.fromhex(
    "80fa010581fa01010203040506070882fa010361626383fa01080184fa0185fa0101020304"
)


@dataclass(frozen=True)
class Case:
    """Requests, one after another; what counts is the answer to the last."""

    title: str
    bodies: tuple[bytes, ...]
    method: str = "POST"
    headers: tuple[tuple[str, str], ...] = ()


def typed(typename: str, value: bytes | None) -> TypedValue:
    if value is None:
        return TypedValue(typename=typename)
    return TypedValue(typename=typename, has_value=True, value=value)


def integer(value: int) -> TypedValue:
    return typed(INT, IntWrapper(value=value).SerializeToString())


def text(value: str) -> TypedValue:
    return typed(TEXT, StringWrapper(value=value).SerializeToString())


def request(
    name: str,
    *arguments: str | TypedValue,
    state: State | None = None,
    target_id: str = "zoe",
    caller: Mapping[str, str] | None = None,
) -> ToFunction:
    """Return the request that brings messages to `matrix/NAME`."""
    wanted = ToFunction()
    batch = wanted.invocation
    batch.target.namespace, batch.target.type, batch.target.id = "matrix", name, target_id
    for state_name, value in (state or {}).items():
        known = batch.state.add(state_name=state_name)
        if value is not None:
            known.state_value.CopyFrom(value)
    for argument in arguments:
        invocation = batch.invocations.add()
        invocation.argument.CopyFrom(text(argument) if isinstance(argument, str) else argument)
        if caller is not None:
            invocation.caller.SetInParent()
            for field, value in caller.items():
                setattr(invocation.caller, field, value)
    batch.SetInParent()
    return wanted


def _body(name: str, *arguments: str | TypedValue, **content: object) -> tuple[bytes, ...]:
    return (request(name, *arguments, **content).SerializeToString(),)  # type: ignore[arg-type]


def _states(title: str, *commands: str, **state: TypedValue | None) -> Case:
    known: State = {"n": None, "t": None, "j": None, "b": None} | state
    return Case(title, _body("states", *commands, state=known))


def _wide(title: str, *commands: str) -> Case:
    return Case(title, _body("wide", *commands, state={"l": None, "d": None}))


def _plain(title: str, *commands: str, **content: object) -> Case:
    return Case(title, _body("plain", *commands, **content))


_CART = typed(JSON, b'{"items":[]}')

CHAPTERS: Mapping[str, Sequence[Case]] = {
    "State": (
        Case("states that the runtime has not been told of", _body("states", "read n")),
        _states("read: known to the runtime, without a value", "read n"),
        _states("read: typed, without a value", "read n", n=typed(INT, None)),
        _states("read: a value of no bytes, which is zero", "read n", n=typed(INT, b"")),
        _states("read: a value of another type", "read n", n=text("7")),
        _states("read: a name that is not declared", "read undeclared"),
        _states("set zero", "n 0"),
        _states("set an empty text", "t-empty"),
        _states("set, then delete", "n 5", "delete n", n=integer(1)),
        _states("delete, then set", "delete n", "n 5", n=integer(1)),
        _states("set to nothing (`None`, `null`, `nil`)", "none n", n=integer(1)),
        _states("change a value within, and do not set it", "j-within", j=_CART),
        _states("set an integer to a text", "n-text"),
        _states("set an integer to NaN", "n NaN"),
        _states("set an integer to 1.5", "n 1.5"),
        _states("set an integer to 2147483648", "n 2147483648"),
        _states("set a boolean to 2", "b-number"),
        _states("set a text to the number 5", "t-number"),
        _states("set a text to what is no Unicode", "t-half"),
        _states("set JSON with NaN within", "j-nan"),
        _states("set a name that is not declared", "undeclared"),
        _wide("a long of 2^53 + 1, set and read", "l 9007199254740993", "read l"),
        _wide("a double of 0.1, set and read", "d 0.1", "read d"),
    ),
    "Messages": (
        Case("a message without a value, read as text", _body("argument", typed(TEXT, None))),
        Case("a message of another type, read as text", _body("argument", integer(7))),
        Case("an empty text", _body("argument", "")),
        _plain("the caller of a message from an ingress", "caller"),
        _plain("the same, of an address without content", "caller", caller={}),
        _plain("a reply to a caller that there is not", "reply"),
        _plain("send nothing", "send-nothing"),
        _plain("send to an empty id", "send-empty-id"),
        _plain("send to an id that is a number", "send-number-id"),
        _plain("send 2147483648 without a type, or as an integer", "send-large"),
        Case("a target with an empty id", _body("plain", "caller", target_id="")),
        _plain("a Kafka record without a key", "kafka"),
        _plain("a Kafka record of the number 1", "kafka-int"),
    ),
    "Delays": (
        _plain("after 0 ms", "after 0"),
        _plain("after half a millisecond", "after 0.5"),
        _plain("after -1 ms", "after -1"),
        _plain("with a token", "token tok"),
        _plain("with an empty token", "token-empty"),
        _plain("cancel", "cancel tok"),
        _plain("cancel an empty token", "cancel-empty"),
    ),
    "Failures": (
        _plain("a function fails in the middle of a batch", "send", "boom", "send"),
        _plain("a function fails after it waited", "boom-later"),
        Case(
            "what is sent when the batch is over",
            (*_body("plain", "late"), *_body("plain", "late?")),
        ),
        Case("a type that is not bound", _body("nobody", "x")),
    ),
    "Requests": (
        Case("a batch of no messages", _body("plain")),
        Case("unknown fields", (_body("plain", "send")[0] + UNKNOWN,)),
        Case("no request: an empty body", (b"",)),
        Case("no request: other bytes", (b"\xff" * 20,)),
        Case("bundles are offered", _body("plain"), headers=(("StateFun-Bundle", "1"),)),
    ),
}
