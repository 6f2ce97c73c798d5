"""The context of one invocation batch, and the response it grows into."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Never

from statefun._wire import Address, FromFunction
from statefun.address import SdkAddress, received, split_typename
from statefun.calls.arguments import milliseconds, text
from statefun.calls.encoding import (
    deletion,
    delimited,
    encoded_message,
    encoded_record,
    modification_head,
)
from statefun.calls.requests import Invocation, Value
from statefun.context import Context
from statefun.egress import EgressMessage
from statefun.message import Message
from statefun.storage import TOO_LATE, Storage, close
from statefun.value_spec import ValueSpec
from statefun.values.carrier import Carrier
from statefun.values.record import RecordMetadata, read_metadata


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
        "_delayed",
        "_egress_messages",
        "_invocation",
        "_messages",
        "_received",
        "_specs",
        "_storage",
        "_target",
        "_written",
    )

    def __init__(
        self,
        namespace: str,
        name: str,
        typename: str,
        id_: str,
        specs: Mapping[str, ValueSpec],
        values: Mapping[str, Value],
    ) -> None:
        self._target = (namespace, name, id_, typename)
        self._address: SdkAddress | None = None
        self._specs = specs
        self._received = values
        self._written: dict[str, bytes | None] = {}
        self._storage: Storage | None = None
        self._invocation: Invocation | None = None
        self._messages: list[Message] = []
        self._delayed: list[_Delayed] = []
        self._egress_messages: list[EgressMessage] = []

    @property
    def address(self) -> SdkAddress:
        if self._address is None:
            self._address = received(*self._target)
        return self._address

    @property
    def storage(self) -> Storage:
        storage = self._storage
        if storage is None:
            typename = self._target[3]
            storage = Storage(typename, self._specs, self._received, self._written)
            self._storage = storage
        return storage

    @property
    def caller(self) -> SdkAddress | None:
        return None if self._invocation is None else self._invocation.caller

    @property
    def record_metadata(self) -> RecordMetadata | None:
        original = None if self._invocation is None else self._invocation.original
        return None if original is None else read_metadata(original)

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

    def begin(self, invocation: Invocation) -> None:
        """Turn to the next invocation of the batch."""
        self._invocation = invocation

    def response(self) -> bytes:
        """Return the serialized FromFunction: no bytes at all if nothing was asked for."""
        parts: list[bytes] = []
        if self._written:
            self._add_mutations(parts)
        for message in self._messages:
            # Whatever looks like a message may be one, so that tests can send their own.
            parts.append(
                encoded_message(message.target_typename, message.target_id, _encoded_value(message))
            )
        if self._delayed:
            parts.append(self._delayed_part())
        for record in self._egress_messages:
            parts.append(encoded_record(record.typename, _encoded_value(record)))
        self._close()
        return delimited(b"\xa2\x06", b"".join(parts)) if parts else b""

    def _close(self) -> None:
        """Refuse what is asked for from now on, by a task that nobody waited for."""
        self._messages = self._delayed = self._egress_messages = _OVER
        if self._specs:
            close(self.storage)

    def _add_mutations(self, parts: list[bytes]) -> None:
        written = self._written
        for name, spec in self._specs.items():
            if name not in written:
                continue
            data = written[name]
            if data is None:
                parts.append(deletion(name))
            else:
                parts.append(modification_head(name, spec.type.typename, len(data)) + data)

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


def _encoded_value(message: Message | EgressMessage) -> bytes:
    if isinstance(message, Carrier):
        return message.encoded_value()
    return message.typed_value.SerializeToString()


def _set_target(target: Address, message: Message) -> None:
    target.namespace, target.type = split_typename(message.target_typename)
    target.id = message.target_id


def _check_message(message: Message) -> None:
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
