"""The context of one invocation batch, and the response it grows into."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Never

from statefun._wire import Address, FromFunction, ToFunction, TypedValue
from statefun.address import SdkAddress, split_typename
from statefun.arguments import milliseconds, text
from statefun.context import Context
from statefun.egress import EgressMessage
from statefun.encoding import deletion, delimited, modification, typename_fields
from statefun.message import Message
from statefun.record import RecordMetadata, read_metadata
from statefun.storage import TOO_LATE, Storage, close
from statefun.value_spec import ValueSpec


@dataclass(frozen=True, slots=True)
class _Delayed:
    """A message for later; without a message, the cancellation of one."""

    delay_ms: int
    message: Message | None
    token: str


class _Over(list[Any]):
    """Stands where what a batch asks for is collected, when its response is made: it would be lost."""

    def append(self, asked: object) -> Never:
        raise RuntimeError(TOO_LATE)


_OVER = _Over()


class BatchContext(Context):
    """What the functions of one batch asked for, in order.

    Messages are kept as they are and read when the response is made, so a message that is changed
    after it was sent leaves as it is in the end.
    """

    __slots__ = (
        "_address",
        "_caller",
        "_delayed",
        "_egress_messages",
        "_invocation",
        "_messages",
        "_specs",
        "_storage",
        "_written",
    )

    def __init__(
        self,
        address: SdkAddress,
        specs: Mapping[str, ValueSpec],
        received: Mapping[str, TypedValue],
    ) -> None:
        self._address = address
        self._specs = specs
        self._written: dict[str, bytes | None] = {}
        self._storage = Storage(address.typename, specs, received, self._written)
        self._caller: SdkAddress | None = None
        self._invocation: ToFunction.Invocation | None = None
        self._messages: list[Message] = []
        self._delayed: list[_Delayed] = []
        self._egress_messages: list[EgressMessage] = []

    @property
    def address(self) -> SdkAddress:
        return self._address

    @property
    def storage(self) -> Storage:
        return self._storage

    @property
    def caller(self) -> SdkAddress | None:
        return self._caller

    @property
    def record_metadata(self) -> RecordMetadata | None:
        return None if self._invocation is None else read_metadata(self._invocation)

    def send(self, message: Message) -> None:
        _check_message(message)
        self._messages.append(message)

    def send_after(
        self, duration: timedelta, message: Message, cancellation_token: str = ""
    ) -> None:
        delay_ms = milliseconds(duration, "duration", "send_after")
        _check_message(message)
        token = ""
        if cancellation_token is not None:
            token = text(cancellation_token, "cancellation_token", "send_after")
        self._delayed.append(_Delayed(delay_ms, message, token))

    def cancel_delayed_message(self, cancellation_token: str) -> None:
        if cancellation_token is None:
            raise TypeError(
                "the cancellation token is None; give the one the message was sent with"
            )
        token = text(cancellation_token, "cancellation_token", "cancel_delayed_message")
        if not token:
            raise ValueError(
                "the cancellation token is empty; give the one the message was sent with"
            )
        self._delayed.append(_Delayed(0, None, token))

    def send_egress(self, message: EgressMessage) -> None:
        _check_egress_message(message)
        self._egress_messages.append(message)

    def begin(self, invocation: ToFunction.Invocation) -> None:
        """Turn to the next invocation of the batch."""
        self._invocation = invocation
        self._caller = _caller(invocation.caller) if invocation.HasField("caller") else None

    def response(self) -> bytes:
        """Return the serialized FromFunction: no bytes at all if nothing was asked for."""
        parts: list[bytes] = []
        if self._written:
            self._add_mutations(parts)
        for message in self._messages:
            target = typename_fields(message.target_typename)
            if message.target_id:
                target += delimited(b"\x1a", message.target_id.encode())
            argument = message.typed_value.SerializeToString()
            call = delimited(b"\x0a", target) + delimited(b"\x12", argument)
            parts.append(delimited(b"\x12", call))
        if self._delayed:
            parts.append(self._delayed_part())
        for record in self._egress_messages:
            argument = delimited(b"\x1a", record.typed_value.SerializeToString())
            parts.append(delimited(b"\x22", typename_fields(record.typename) + argument))
        self._close()
        return delimited(b"\xa2\x06", b"".join(parts)) if parts else b""

    def _close(self) -> None:
        """Refuse what is asked for from now on, by a task that nobody waited for."""
        self._messages = self._delayed = self._egress_messages = _OVER
        if self._specs:
            close(self._storage, self._written)

    def _add_mutations(self, parts: list[bytes]) -> None:
        written = self._written
        for name, spec in self._specs.items():
            if name not in written:
                continue
            data = written[name]
            if data is None:
                parts.append(delimited(b"\x0a", deletion(name)))
            else:
                parts.append(delimited(b"\x0a", modification(name, spec.type.typename, data)))

    def _delayed_part(self) -> bytes:
        result = FromFunction.InvocationResponse()
        add = result.delayed_invocations.add
        for delayed in self._delayed:
            if delayed.message is None:
                add(is_cancellation_request=True, cancellation_token=delayed.token)
                continue
            invocation = add(
                delay_in_ms=delayed.delay_ms,
                argument=delayed.message.typed_value,
                cancellation_token=delayed.token,
            )
            _set_target(invocation.target, delayed.message)
        return result.SerializeToString()


def _caller(caller: Address) -> SdkAddress | None:
    namespace, name, id_ = caller.namespace, caller.type, caller.id
    if not (namespace or name or id_):
        # Some runtimes write an address without content for a message from an ingress.
        return None
    return SdkAddress(namespace, name, id_, f"{namespace}/{name}")


def _set_target(target: Address, message: Message) -> None:
    target.namespace, target.type = split_typename(message.target_typename)
    target.id = message.target_id


def _check_message(message: Message) -> None:
    # Whatever looks like a message may be one, so that tests can send their own.
    if not isinstance(message, Message) and not hasattr(message, "target_typename"):
        raise TypeError(f"a message from message_builder is needed, not {_kind(message)}")
    split_typename(message.target_typename)


def _check_egress_message(message: EgressMessage) -> None:
    if not isinstance(message, EgressMessage) and not (
        hasattr(message, "typename") and hasattr(message, "typed_value")
    ):
        raise TypeError(
            "a message from egress_message_builder, kafka_egress_message or kinesis_egress_message "
            f"is needed, not {_kind(message)}"
        )
    split_typename(message.typename)


def _kind(message: object) -> str:
    if isinstance(message, EgressMessage):
        return "an EgressMessage; context.send_egress takes those"
    if isinstance(message, Message):
        return "a Message to a function; context.send takes those"
    return f"{message!r} ({type(message).__name__})"
