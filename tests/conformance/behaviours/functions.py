"""Functions that do what a message says, so that a behaviour is a line of a table.

A message is a program: steps divided by `;`. What is told arrives at an egress, with the address that told it.
In a program that is sent on, `,` stands for `;`, and in one within that `:` for `,`.
"""

from datetime import timedelta

from statefun import (
    Context,
    IntType,
    Message,
    StatefulFunctions,
    StringType,
    ValueSpec,
    egress_message_builder,
    make_json_type,
    message_builder,
    simple_type,
)

PROGRAM = simple_type("behaviours/program", str.encode, bytes.decode)
TOLD = "io.statefun.playground/egress"
RECORD = make_json_type("io.statefun.playground/EgressRecord")
SHORT = timedelta(milliseconds=300)
SPECS = [
    ValueSpec("text", StringType),
    ValueSpec("number", IntType),
    ValueSpec("other", PROGRAM),
    ValueSpec("fading", StringType, expire_after_write=SHORT),
    ValueSpec("idle", StringType, expire_after_call=SHORT),
]

functions = StatefulFunctions()
_has_failed: set[str] = set()


@functions.bind("behaviours/a", specs=SPECS)
def a(context: Context, message: Message) -> None:
    run(context, message)


@functions.bind("behaviours/b", specs=SPECS)
async def b(context: Context, message: Message) -> None:
    run(context, message)


@functions.bind("behaviours/bare")
def bare(context: Context, message: Message) -> None:
    run(context, message)


def run(context: Context, message: Message) -> None:
    """Do the steps of a message."""
    program = message.as_type(PROGRAM, required=True)
    for step in program.split(";"):
        name, _, rest = step.strip().partition(" ")
        _STEPS[name](context, message, rest)


def tell(context: Context, message: Message, text: str) -> None:
    told = f"{context.address.typename}/{context.address.id} {text}"
    record = {"topic": "told", "payload": told}
    context.send_egress(egress_message_builder(TOLD, record, RECORD))


def get(context: Context, message: Message, name: str) -> None:
    value = getattr(context.storage, name)
    tell(context, message, "none" if value is None else f"{value}")


def put(context: Context, message: Message, rest: str) -> None:
    name, _, value = rest.partition(" ")
    setattr(context.storage, name, int(value) if name == "number" else value)


def delete(context: Context, message: Message, name: str) -> None:
    delattr(context.storage, name)


def increment(context: Context, message: Message, rest: str) -> None:
    context.storage.number = (context.storage.number or 0) + 1


def grow(context: Context, message: Message, size: str) -> None:
    context.storage.text = "x" * int(size)


def measure(context: Context, message: Message, rest: str) -> None:
    tell(context, message, str(len(context.storage.text or "")))


def send(context: Context, message: Message, rest: str) -> None:
    name, id_, program = rest.split(" ", 2)
    context.send(message_to(name, id_, program))


def after(context: Context, message: Message, rest: str) -> None:
    milliseconds, token, name, id_, program = rest.split(" ", 4)
    delay = timedelta(milliseconds=int(milliseconds))
    context.send_after(delay, message_to(name, id_, program), "" if token == "-" else token)


def cancel(context: Context, message: Message, token: str) -> None:
    context.cancel_delayed_message(token)


def fan(context: Context, message: Message, count: str) -> None:
    for number in range(int(count)):
        context.send(message_to("b", f"fan-{context.address.id}", f"tell {number}"))


def down(context: Context, message: Message, count: str) -> None:
    tell(context, message, count)
    if int(count):
        context.send(message_to("a", context.address.id, f"down {int(count) - 1}"))


def caller(context: Context, message: Message, rest: str) -> None:
    one = context.caller
    tell(context, message, "nobody" if one is None else f"{one.typename}/{one.id}")


def kind(context: Context, message: Message, rest: str) -> None:
    tell(context, message, message.value_typename())


def fail(context: Context, message: Message, name: str) -> None:
    """Raise at the first time of a name."""
    if name not in _has_failed:
        _has_failed.add(name)
        raise RuntimeError(f"{name} fails once")


def nothing(context: Context, message: Message, rest: str) -> None:
    """Do nothing."""


def message_to(name: str, id_: str, program: str) -> Message:
    program = program.replace(",", ";").replace(":", ",")
    return message_builder(f"behaviours/{name}", id_, value=program, value_type=PROGRAM)


_STEPS = {
    "tell": tell,
    "get": get,
    "set": put,
    "del": delete,
    "inc": increment,
    "grow": grow,
    "size": measure,
    "send": send,
    "after": after,
    "cancel": cancel,
    "fan": fan,
    "down": down,
    "caller": caller,
    "kind": kind,
    "fail": fail,
    "nothing": nothing,
}
