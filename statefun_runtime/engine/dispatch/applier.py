"""Applies what a function answered: everything is checked first, then everything is done, in StateFun's order.

messages · delayed messages and cancellations · egress messages · state
"""

from collections.abc import Mapping
from typing import Any

from statefun_runtime.core.model.address import TypeName
from statefun_runtime.core.model.messages import invocation
from statefun_runtime.core.model.reply import (
    DelayedMessage,
    EgressMessage,
    Mutation,
    ReplyRefused,
    Result,
    check_delayed,
)
from statefun_runtime.core.model.state import StateError
from statefun_runtime.core.partition.backlog import Backlog, Function
from statefun_runtime.core.partition.retry import Cause
from statefun_runtime.core.partition.timers import Delayed
from statefun_runtime.engine.dispatch.exchange import Exchange
from statefun_runtime.engine.egress import Egress
from statefun_runtime.engine.state.delays import Delays
from statefun_runtime.engine.state.states import States
from statefun_runtime.ports.clock import Clock
from statefun_runtime.ports.egress import RecordRefused

# One is made for every change: the class, called, takes three times as long.
_new = tuple.__new__
# The delayed messages that wait, by token: of those tokens that a reply names.
Pending = dict[str, bytes | None]


class Applier:
    """Carries out results; egresses are known by their namespace and name."""

    def __init__(
        self,
        egresses: Mapping[TypeName, Egress[Any]],
        exchange: Exchange,
        states: States,
        delays: Delays,
        clock: Clock,
    ) -> None:
        self._egresses = {(id.namespace, id.name): egress for id, egress in egresses.items()}
        self._states = states
        self._delays = delays
        self._clock = clock
        self._exchange = exchange
        self._owned = exchange.partitions.owned

    def apply(self, backlog: Backlog, result: Result) -> None:
        """Apply a result whole; raise ReplyRefused, or UnavailableError, before anything was applied."""
        messages, delayed, egress_messages, changes = result
        # Most results have none of most kinds.
        targets = [self._target(each.namespace, each.name) for each in messages] if messages else ()
        pending = self._check_delayed(backlog, delayed) if delayed else {}
        records = [self._prepare(each) for each in egress_messages] if egress_messages else ()
        mutations = self._admit(backlog, changes) if changes else None

        counts = backlog.function.counts
        if targets:
            caller = backlog.function.address_field(backlog.id)
            deliver = self._exchange.deliver
            for function, message in zip(targets, messages, strict=True):
                deliver(function, message.id, invocation(caller, message.argument))
            counts.out_local += len(targets)
        if delayed:
            self._apply_delayed(backlog, delayed, pending)
        if records:
            for egress, record in records:
                egress.emit(record)
            counts.out_egress += len(records)
        if mutations:
            self._mutate(backlog, mutations)

    def _target(self, namespace: str, name: str) -> Function:
        function = self._exchange.function(namespace, name)
        if function is None:
            raise ReplyRefused(
                Cause.UNKNOWN_FUNCTION,
                f"a message goes to '{namespace}/{name}', which no endpoint serves",
            )
        return function

    def _prepare(self, message: EgressMessage) -> tuple[Egress[Any], object]:
        namespace, name, typename, value = message
        egress = self._egresses.get((namespace, name))
        if egress is None:
            known = ", ".join("/".join(key) for key in self._egresses) or "none"
            raise ReplyRefused(
                Cause.UNKNOWN_EGRESS,
                f"a message goes to egress '{namespace}/{name}', which is not declared (declared: {known})",
            )
        try:
            return egress, egress.prepare(typename, value)
        except RecordRefused as error:
            raise ReplyRefused(
                Cause.BAD_EGRESS_RECORD, f"egress '{namespace}/{name}': {error}"
            ) from error

    def _admit(self, backlog: Backlog, mutations: list[Mutation]) -> list[Mutation]:
        admit = backlog.function.schema.admit
        try:
            if backlog.values is None:
                self._states.load(backlog)
            return [_new(Mutation, (name, admit(name, value))) for name, value in mutations]
        except StateError as error:
            raise ReplyRefused(Cause.BAD_STATE, str(error)) from error

    def _mutate(self, backlog: Backlog, mutations: list[Mutation]) -> None:
        values = backlog.values
        assert values is not None
        schema = backlog.function.schema
        for name, value in mutations:
            if value is None:
                values.fields.pop(name, None)
                continue
            values.fields[name] = schema.encode(name, value)
            if schema.has_expiration:
                values.written_ms = values.written_ms or {}
                values.written_ms[name] = self._clock.now_ms()
        self._states.save(backlog)
        backlog.has_unsaved_stamp = False

    def _check_delayed(self, backlog: Backlog, delayed: list[DelayedMessage]) -> Pending:
        group = backlog.key[:2]
        pending = {
            message.token: self._delays.pending(group, backlog.id, message.token)
            for message in delayed
            if message.token
        }
        check_delayed(delayed, is_pending=lambda token: pending[token] is not None)
        for message in delayed:
            if not message.is_cancellation:
                self._target(message.namespace, message.name)
        return pending

    def _apply_delayed(
        self, backlog: Backlog, delayed: list[DelayedMessage], pending: Pending
    ) -> None:
        caller, now_ms = backlog.function.address_field(backlog.id), self._clock.now_ms()
        partition, group = self._owned[backlog.owner], backlog.key[:2]
        for message in delayed:
            token = message.token
            if message.is_cancellation:
                if (key := pending[token]) is not None:
                    self._delays.cancel(partition, key, backlog.id, token)
                    pending[token] = None
                continue
            target = self._target(message.namespace, message.name).type
            whole = invocation(caller, message.argument)
            delayed_message = _new(Delayed, (backlog.id, target, message.id, whole, token))
            due_ms = now_ms + message.delay_ms
            key = self._delays.schedule(partition, group, due_ms, delayed_message)
            if token:
                pending[token] = key
