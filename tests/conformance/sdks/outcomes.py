"""What an SDK answered, in the few words that a table has room for."""

from collections.abc import Iterator

from google.protobuf.message import DecodeError
from statefun._wire import (
    BooleanWrapper,
    DoubleWrapper,
    FromFunction,
    IntWrapper,
    KafkaProducerRecord,
    LongWrapper,
    StringWrapper,
    TypedValue,
)

_WRAPPERS = {
    "bool": BooleanWrapper,
    "int": IntWrapper,
    "long": LongWrapper,
    "double": DoubleWrapper,
    "string": StringWrapper,
}
_MODES = {0: "", 1: " (after write)", 2: " (after call)"}
# What a web server says when its handler raised is said of every failure.
_SAYS_NOTHING = (b"Server got itself in trouble",)


def shown(status: int, body: bytes) -> str:
    """Return what an answer means to a runtime."""
    if status != 200:
        is_told = body.strip() and not any(text in body for text in _SAYS_NOTHING)
        return f"{status}, {'says why' if is_told else 'does not say why'}"
    try:
        reply = FromFunction.FromString(body)
    except DecodeError:
        return "200 with what is no reply"
    return "; ".join(_effects(reply)) or "nothing"


def _effects(reply: FromFunction) -> Iterator[str]:
    missing = reply.incomplete_invocation_context.missing_values
    if missing:
        names = [f"{spec.state_name}{_MODES[spec.expiration_spec.mode]}" for spec in missing]
        yield f"asks for {', '.join(sorted(names))}"
    result = reply.invocation_result
    for mutation in result.state_mutations:
        if mutation.mutation_type == FromFunction.PersistedValueMutation.DELETE:
            yield f"deletes {mutation.state_name}"
        else:
            yield f"{mutation.state_name} := {_value(mutation.state_value)}"
    for message in result.outgoing_messages:
        yield f"sends to {message.target.id!r}: {_value(message.argument)}"
    for delayed in result.delayed_invocations:
        token = f" ({delayed.cancellation_token})" if delayed.cancellation_token else ""
        if delayed.is_cancellation_request:
            yield f"cancels{token}"
        else:
            yield f"sends after {delayed.delay_in_ms} ms{token}"
    for egress in result.outgoing_egresses:
        if egress.egress_type == "kafka":
            record = KafkaProducerRecord.FromString(egress.argument.value)
            yield f"key {record.key!r}, value 0x{record.value_bytes.hex()}"
        else:
            yield f"{StringWrapper.FromString(egress.argument.value).value or 'an empty text'}"


def _value(value: TypedValue) -> str:
    if not value.has_value:
        return "no value"
    kind = value.typename.removeprefix("io.statefun.types/")
    if kind not in _WRAPPERS:
        return value.value.decode(errors="replace")
    try:
        read = _WRAPPERS[kind].FromString(value.value).value
    except DecodeError:
        return "what is not UTF-8"
    return repr(read) if isinstance(read, str) else str(read)
