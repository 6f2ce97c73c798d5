"""Messages of the wire contract in one line, and read back; with the SDK's own classes."""

from collections.abc import Iterable, Mapping
from typing import Any

from statefun._wire import FromFunction, ToFunction, TypedValue

MODES = {"none": 0, "after-write": 1, "after-invoke": 2}


def typed(value: bytes | None, typename: str = "t/value") -> Any:
    return TypedValue(typename=typename, has_value=value is not None, value=value or b"")


def result(
    *,
    send: Iterable[tuple[str, str, bytes]] = (),
    delay: Iterable[tuple[int, str, str, bytes, str]] = (),
    cancel: Iterable[str] = (),
    egress: Iterable[tuple[str, bytes]] = (),
    state: Mapping[str, bytes | None] | None = None,
    state_type: str = "t/value",
) -> bytes:
    """Return a FromFunction: `send` (name, id, value), `delay` (ms, name, id, value, token), and so on.

    Function types and egresses are in namespace `t`, records of type `t/record`.
    """
    reply = FromFunction()
    into = reply.invocation_result
    into.SetInParent()
    for name, function_id, value in send:
        message = into.outgoing_messages.add()
        _address(message.target, name, function_id)
        message.argument.CopyFrom(typed(value))
    for ms, name, function_id, value, token in delay:
        delayed = into.delayed_invocations.add(delay_in_ms=ms, cancellation_token=token)
        _address(delayed.target, name, function_id)
        delayed.argument.CopyFrom(typed(value))
    for token in cancel:
        into.delayed_invocations.add(is_cancellation_request=True, cancellation_token=token)
    for name, value in egress:
        record = into.outgoing_egresses.add(egress_namespace="t", egress_type=name)
        record.argument.CopyFrom(typed(value, "t/record"))
    for name, content in (state or {}).items():
        mutation = into.state_mutations.add(mutation_type=int(content is not None), state_name=name)
        if content is not None:
            mutation.state_value.CopyFrom(typed(content, state_type))
    return reply.SerializeToString()


def incomplete(
    *names: str, typename: str = "t/value", mode: str = "none", after_ms: int = 0
) -> bytes:
    """Return a FromFunction that asks for states."""
    reply = FromFunction()
    reply.incomplete_invocation_context.SetInParent()
    for name in names:
        spec = reply.incomplete_invocation_context.missing_values.add(
            state_name=name, type_typename=typename
        )
        spec.expiration_spec.mode = MODES[mode]
        spec.expiration_spec.expire_after_millis = after_ms
    return reply.SerializeToString()


class Request:
    """A ToFunction as a test reads it."""

    def __init__(self, body: bytes) -> None:
        self.size_bytes = len(body)
        batch = ToFunction.FromString(body).invocation
        self.target = f"{batch.target.namespace}/{batch.target.type}"
        self.id = batch.target.id
        self.state: dict[str, bytes | None] = {
            entry.state_name: entry.state_value.value if entry.HasField("state_value") else None
            for entry in batch.state
        }
        self.values = [invocation.argument.value for invocation in batch.invocations]
        self.callers = [
            f"{call.caller.type}/{call.caller.id}" if call.HasField("caller") else None
            for call in batch.invocations
        ]


def _address(target: Any, name: str, function_id: str) -> None:
    target.namespace, target.type, target.id = "t", name, function_id
