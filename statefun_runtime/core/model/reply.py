"""What a function answered, as plain values: an adapter decodes it, the engine applies it whole or not at all.

The fields are in the order in which they are applied: messages, delayed messages, egress messages, state.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from statefun_runtime.core.model.state import StateSpec
from statefun_runtime.core.partition.retry import Cause, Failure


class OutgoingMessage(NamedTuple):
    """A message to another function; `argument` is an encoded typed value."""

    namespace: str
    name: str
    id: str
    argument: bytes


class DelayedMessage(NamedTuple):
    """A message for later, or the cancellation of one."""

    delay_ms: int
    namespace: str
    name: str
    id: str
    argument: bytes
    is_cancellation: bool
    token: str


class EgressMessage(NamedTuple):
    """A typed value for an egress."""

    namespace: str
    name: str
    typename: str
    value: bytes


class Mutation(NamedTuple):
    """A change of one state: `value` is an encoded typed value, or None to delete."""

    state_name: str
    value: bytes | None


class Result(NamedTuple):
    """The batch is done, with these effects."""

    messages: list[OutgoingMessage]
    delayed: list[DelayedMessage]
    egress: list[EgressMessage]
    mutations: list[Mutation]


@dataclass(frozen=True, slots=True)
class Incomplete:
    """The function needs these states before it can work."""

    missing: tuple[StateSpec, ...]


Reply = Result | Incomplete


class ReplyRefused(Exception):
    """A reply cannot be applied whole; nothing of it was."""

    def __init__(self, cause: Cause, detail: str) -> None:
        super().__init__(detail)
        self.failure = Failure(cause, detail)


def check_delayed(delayed: list[DelayedMessage], *, is_pending: Callable[[str], bool]) -> None:
    """Refuse a list of delayed messages that could not be applied in order, as StateFun would."""
    changed: dict[str, bool] = {}
    for message in delayed:
        token = message.token
        if message.is_cancellation:
            if not token:
                raise ReplyRefused(
                    Cause.BAD_TOKEN, "a cancellation of a delayed message has no token"
                )
            changed[token] = False
            continue
        if message.delay_ms < 0:
            raise ReplyRefused(
                Cause.BAD_DELAY,
                f"a delayed message has a delay of {message.delay_ms} ms; it must not be negative",
            )
        if token:
            if changed.get(token, is_pending(token)):
                raise ReplyRefused(
                    Cause.BAD_TOKEN,
                    f"cancellation token {token!r} is still in use by a delayed message of this id",
                )
            changed[token] = True
