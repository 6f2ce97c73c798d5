"""Dispatches the requests of one function type: from ready addresses over free connections to settled replies.

    exchange ──ready──▶ dispatcher ══ FunctionClient ══▶ endpoint
                         ▲ ──────── reply ──────────┘
                         └─ applied whole: settle · refused or failed: failure policy

Addresses that failed or ran long are *suspects*: they may hold at most half of the pool, so that many of them cannot
stop the others; they go alone, as probes do, where others go together. Until the first reply of a new type only a few requests go out, since each would be answered with
the same request for state.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Protocol

from statefun_runtime.core.model.messages import request
from statefun_runtime.core.model.reply import Incomplete, Reply, ReplyRefused, Result
from statefun_runtime.core.model.state import StateError
from statefun_runtime.core.partition.backlog import IN_FLIGHT, Backlog, Function, Phase
from statefun_runtime.core.partition.backpressure import Load
from statefun_runtime.core.partition.circuit import CircuitState
from statefun_runtime.core.partition.partitions import Partitions
from statefun_runtime.core.partition.request_size import RequestSize
from statefun_runtime.core.partition.retry import Cause, Failure
from statefun_runtime.engine.dispatch.alarm import PauseAlarm
from statefun_runtime.engine.dispatch.failure_policy import FailurePolicy
from statefun_runtime.engine.dispatch.outcomes import Outcomes
from statefun_runtime.engine.dispatch.turns import Turns
from statefun_runtime.engine.state.spills import Spills
from statefun_runtime.engine.state.states import States
from statefun_runtime.errors import UnavailableError
from statefun_runtime.ports.clock import Clock
from statefun_runtime.ports.function_client import FunctionClient

_INTRODUCTIONS_MAX = 8
# What is shorter is applied in a few microseconds, at once.
_LONG_BYTES = 1024
_SLOW_S = 1.0
_PROBE_PATIENCE_S = 0.5


class ReplyApplier(Protocol):
    """Applies a result whole, or raises ReplyRefused and has applied nothing."""

    def apply(self, backlog: Backlog, result: Result) -> None:
        """Apply the effects of a result to the address it answers, and to the others."""
        ...


class Dispatcher:
    """The dispatcher of one function type."""

    def __init__(
        self,
        function: Function,
        client: FunctionClient,
        decode: Callable[[bytes], Reply],
        applier: ReplyApplier,
        outcomes: Outcomes,
        states: States,
        spills: Spills,
        partitions: Partitions,
        load: Load,
        clock: Clock,
        alarm: PauseAlarm,
        turns: Turns,
        *,
        batch_bytes_max: int,
        suspects_max: int,
    ) -> None:
        self.function = function
        self._client = client
        self._decode = decode
        self._applier = applier
        self._states = states
        self._spills = spills
        self._owned = partitions.owned
        self._load = load
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._batch_bytes_max = batch_bytes_max
        self._size = RequestSize(batch_bytes_max)
        # Replies that came while nothing may be changed, or need what cannot be read.
        self._replies: deque[tuple[Backlog, bytes]] = deque()
        self._turns = turns
        self._in_turns = 0
        # Ready addresses of which the store has a part, while it cannot be read.
        self._cold: list[Backlog] = []
        self._suspects_max = suspects_max
        self._suspects_out = 0
        self._probes: list[Backlog] = []
        self._probes_max = 1
        self._patience: asyncio.TimerHandle | None = None
        self._is_introduced = False
        self._is_stopped = True
        self.policy = FailurePolicy(function, outcomes, spills, partitions, alarm, self.pump)
        client.attach(self)

    def wake(self) -> None:
        """Addresses became ready, or changes may be made or rows be read again: send what can be sent."""
        self.function.is_awake = False
        if self._replies and not self._load.is_stuck:
            replies, self._replies = self._replies, deque()
            for backlog, body in replies:
                self._take_later(backlog, body)
        self.pump()

    def _warm_up(self) -> None:
        """The store can be read again."""
        cold, self._cold = self._cold, []
        self.function.ready.extend(cold)
        self.wake()

    def has_room(self) -> None:
        """A connection is free."""
        if self.function.ready or self.function.suspects:
            self.pump()

    def pump(self) -> None:
        """Send requests as long as there are ready addresses and free connections."""
        if self._is_stopped or self._load.is_stuck or not self._turns.has_room_for(self):
            return
        function = self.function
        circuit, ready, suspects = function.circuit, function.ready, function.suspects
        if not circuit.is_closed:
            self._send_probe(circuit.state)
            return
        self._probes_max = 1
        client = self._client
        while suspects and self._may_send_suspect():
            is_alone = suspects[0].goes_alone
            if not client.can_send(len(suspects), is_alone=is_alone):
                break
            self._send(suspects.popleft(), is_alone=is_alone)
        while ready:
            wanted = len(ready)
            if not self._is_introduced:
                wanted = min(wanted, _INTRODUCTIONS_MAX - client.in_flight())
                if wanted <= 0:
                    return
            is_alone = ready[0].goes_alone
            if not client.can_send(wanted, is_alone=is_alone):
                if not is_alone or not client.can_send(wanted):
                    return
                # It waits for a connection of its own, and those behind it do not.
                suspects.append(ready.popleft())
                continue
            backlog = ready.popleft()
            if backlog.is_slow and not self._may_send_suspect():
                suspects.append(backlog)
                continue
            self._send(backlog, is_alone=is_alone)

    def _may_send_suspect(self) -> bool:
        """Half of what the endpoint takes is for the others."""
        capacity = max(1, self._client.capacity() // 2)
        return self._suspects_out < min(self._suspects_max, capacity)

    def _send_probe(self, state: CircuitState) -> None:
        """Send a probe, or a few: with each that hangs, twice as many may go out, so that hanging ones end up few."""
        if state is CircuitState.OPEN:
            if self.function.ready:
                self.policy.hurry()
            return
        self._probes = [probe for probe in self._probes if probe.phase == IN_FLIGHT]
        while len(self._probes) < self._probes_max:
            # Addresses that never failed first: if the endpoint is well, they show it.
            queue = self.function.ready or self.function.suspects
            if not queue or not self._client.can_send(1, is_alone=True):
                break
            probe = queue.popleft()
            self._send(probe, is_alone=True, is_probe=True)
            if probe.phase == IN_FLIGHT:
                self._probes.append(probe)
        if self._probes and self._patience is None:
            self._patience = self._loop.call_later(_PROBE_PATIENCE_S, self._lose_patience)

    def _lose_patience(self) -> None:
        self._patience = None
        if any(probe.phase == IN_FLIGHT for probe in self._probes):
            self._probes_max = min(2 * self._probes_max, self._suspects_max)
        self.pump()

    def _send(self, backlog: Backlog, *, is_alone: bool, is_probe: bool = False) -> None:
        function, now_s = self.function, self._loop.time()
        schema = function.schema
        refusal = None
        if backlog.values is None or backlog.spill is not None:
            try:
                refusal = self._bring(backlog)
            except UnavailableError:
                self._cold.append(backlog)
                self._states.when_readable(self._warm_up)
                return
        if schema.has_expiration and refusal is None:
            self._expire(backlog)
        target, states = function.address_field(backlog.id), schema.section(backlog.values)
        partition = self._owned[backlog.owner]
        if is_probe:
            invocations = partition.begin_probe(backlog, now_s)
        else:
            room = self._size.limit_bytes - len(target) - len(states)
            invocations = partition.begin(backlog, now_s, room)
        function.counts.requests += 1
        if backlog.goes_alone:
            backlog.is_suspect = True
            self._suspects_out += 1
        if refusal is not None:
            self.failed(backlog, refusal)
            return
        backlog.sent_states = len(schema)
        limit_s = partition.failures.limit_s(backlog)
        body = request(target, states, invocations)
        self._client.send(backlog, body, limit_s=limit_s, is_alone=is_alone)

    def _bring(self, backlog: Backlog) -> Failure | None:
        """Have in memory what a request needs; return why it cannot be made, or None."""
        if backlog.spill is not None and not backlog.in_flight:
            self._states.touch(backlog)
            is_narrow = backlog.failing is not None and backlog.failing.width == 1
            self._spills.refill(backlog, 1 if is_narrow else self._batch_bytes_max)
        try:
            if backlog.values is None:
                self._states.load(backlog)
        except StateError as error:
            return Failure(Cause.BAD_STATE, str(error))
        return None

    def _expire(self, backlog: Backlog) -> None:
        values, now_ms = backlog.values, self._clock.now_ms()
        assert values is not None
        if self.function.schema.drop_expired(values, now_ms):
            self._states.save(backlog)
        if self.function.schema.expires_after_invoke and values.fields:
            values.invoked_ms = now_ms
            backlog.has_unsaved_stamp = True

    def replied(self, backlog: Backlog, body: bytes) -> None:
        """The endpoint answered; while too much is in no checkpoint, what it answered has to wait for one."""
        if self._load.is_stuck:
            self._replies.append((backlog, body))
        elif len(body) > _LONG_BYTES:
            self._take_later(backlog, body)
        else:
            self._take(backlog, body)

    def _take_later(self, backlog: Backlog, body: bytes) -> None:
        """Hundreds of replies with much in them may come at once: others need the loop in between."""
        self._in_turns += 1
        self._turns.add(self, backlog, body)

    def take_in_turn(self, backlog: Backlog, body: bytes) -> None:
        """The turn of a reply has come."""
        self._in_turns -= 1
        if self._load.is_stuck:
            self._replies.append((backlog, body))
        elif not self._is_closed:
            self._take(backlog, body)
            # When the client told that there is room, this address had nothing to send yet.
            self.has_room()

    def _take(self, backlog: Backlog, body: bytes) -> None:
        """Apply a reply whole, or count it as a failed attempt."""
        try:
            reply = self._decode(body)
            if isinstance(reply, Incomplete):
                self._learn(backlog, reply)
                return
            self._applier.apply(backlog, reply)
        except ReplyRefused as refused:
            self.failed(backlog, refused.failure)
            return
        except UnavailableError:
            self._replies.append((backlog, body))
            self._states.when_readable(self._warm_up)
            return
        self._release(backlog)
        self._is_introduced = True
        now_s = self._loop.time()
        started_s = backlog.started_s
        self.policy.succeeded(now_s, started_s)
        elapsed_s = now_s - started_s
        self.function.counts.latency_ms.add(elapsed_s * 1000)
        backlog.is_slow = elapsed_s > _SLOW_S
        if self._size.is_learnt:
            self._size.passed(self._size_of(backlog), now_s)
        if backlog.failing is not None:
            self.policy.recovered(backlog)
        if not backlog.is_touched:
            self._states.touch(backlog)
        self._owned[backlog.owner].settle(backlog)

    def _learn(self, backlog: Backlog, reply: Incomplete) -> None:
        schema = self.function.schema
        known = len(schema)
        try:
            for spec in reply.missing:
                schema.register(spec)
        except StateError as error:
            raise ReplyRefused(Cause.BAD_STATE, str(error)) from error
        if len(schema) == backlog.sent_states:
            names = ", ".join(spec.name for spec in reply.missing) or "none"
            raise ReplyRefused(
                Cause.INCOMPLETE_LOOP,
                f"the function asks again for states that it was sent ({names})",
            )
        if len(schema) != known:
            # What is in memory was read before its types were known; it is checked when it is read again.
            for other in self.function.backlogs.values():
                if other.has_unsaved_stamp:
                    self._states.save(other)
                    other.has_unsaved_stamp = False
                other.values = None
        self._is_introduced = True
        self._release(backlog)
        self._owned[backlog.owner].again(backlog)
        self.policy.answered()

    def failed(self, backlog: Backlog, failure: Failure) -> None:
        """An attempt failed, or its reply could not be applied."""
        self._release(backlog)
        if failure.is_too_large_a_request and len(backlog.in_flight) > 1:
            self._size.refused(self._size_of(backlog), self._loop.time())
        if self.policy.failed(backlog, failure):
            self._states.touch(backlog)

    def came_back(self, backlog: Backlog, *, goes_alone: bool) -> None:
        """It was asked together with others, and there is no answer for it: it is asked again, and nothing has failed."""
        self._release(backlog)
        backlog.is_slow = backlog.is_slow or goes_alone
        self._owned[backlog.owner].again(backlog)

    def _size_of(self, backlog: Backlog) -> int:
        """Return how large the request in flight is."""
        function = self.function
        states = function.schema.section(backlog.values)
        return len(function.address_field(backlog.id)) + len(states) + backlog.in_flight_bytes

    def withdraw(self, backlog: Backlog) -> bool:
        """Take back an attempt of an address that was parked before; return whether it is parked again.

        It is not if its reply is in hand, and only has to be applied.
        """
        match backlog.phase:
            case Phase.IN_FLIGHT:
                if not self._client.cancel(backlog):
                    return False
                self._release(backlog)
            case Phase.READY:
                self._leave_queue(backlog)
        self.policy.withdraw(backlog)
        return True

    def _leave_queue(self, backlog: Backlog) -> None:
        for queue in (self.function.suspects, self.function.ready, self._cold):
            if backlog in queue:
                queue.remove(backlog)
                return
        raise AssertionError(f"{backlog.address} is ready and stands in no queue")

    def skip(self, backlog: Backlog) -> str | None:
        """An operator gives up the first invocation of a parked address; return why it cannot be, or None."""
        self._states.touch(backlog)
        refused = self.policy.skip(backlog)
        if refused is None:
            self.pump()
        return refused

    def unreachable(self, failure: Failure) -> None:
        """No connection to the endpoint can be had."""
        self.policy.unreachable(failure)

    def start(self) -> None:
        """Send requests from now on."""
        self._is_stopped = self._is_closed = False
        self.wake()

    def stop(self) -> None:
        """Send nothing any more; replies that still come are applied."""
        self._is_stopped = True
        self.policy.stop()

    @property
    def in_flight(self) -> int:
        """How many requests are out, or their replies in hand."""
        return self._client.in_flight() + self._in_turns

    def close(self) -> None:
        """Forget requests that are out."""
        self.stop()
        self._is_closed = True
        self._replies.clear()
        self._client.close()

    def _release(self, backlog: Backlog) -> None:
        if backlog.is_suspect:
            backlog.is_suspect = False
            self._suspects_out -= 1
