"""Delayed messages: kept as rows under the sender's key group, delivered when they are due."""

import asyncio
import logging

from statefun_runtime.core.model.address import Address
from statefun_runtime.core.model.keys import state_key, timer_key
from statefun_runtime.core.partition.backpressure import Load
from statefun_runtime.core.partition.partition import Partition
from statefun_runtime.core.partition.partitions import Partitions
from statefun_runtime.core.partition.timers import Delayed, decode_delayed, encode_delayed
from statefun_runtime.engine.dispatch.exchange import Exchange
from statefun_runtime.engine.state.chunks import keep
from statefun_runtime.engine.state.states import States
from statefun_runtime.errors import UnavailableError
from statefun_runtime.ports.clock import Clock

log = logging.getLogger("statefun.timers")

_FIRED_PER_STEP = 500
_STEP_S = 0.005
_FIRED_PER_LOOK = 16
_STUCK_LOOK_S = 0.1
_NEVER_MS = 1 << 63


class Delays:
    """Schedules, cancels and fires delayed messages."""

    def __init__(
        self,
        states: States,
        partitions: Partitions,
        load: Load,
        clock: Clock,
        *,
        key_group_count: int,
    ) -> None:
        self._load = load
        self._partitions = partitions
        self._states = states
        self._clock = clock
        self._key_group_count = key_group_count
        self._is_changed = asyncio.Event()
        # Until when nobody looks; what is due sooner has to say so.
        self._asleep_until_ms = 0

    def __len__(self) -> int:
        return sum(len(partition.timers) for partition in self._partitions)

    def schedule(self, partition: Partition, due_ms: int, delayed: Delayed) -> None:
        """Keep a message until then, in its sender's partition."""
        due_ms = min(due_ms, (1 << 63) - 1)
        timers = partition.timers
        sequence = timers.next_sequence()
        key = timer_key(delayed.sender_id, due_ms, sequence, key_group_count=self._key_group_count)
        timers.schedule(due_ms, sequence, key, delayed)
        self._states.write(key, encode_delayed(delayed))
        if due_ms < self._asleep_until_ms:
            self._is_changed.set()

    def cancel(self, partition: Partition, sender_id: str, token: str) -> None:
        """Forget the message with this token in its sender's partition; nothing happens if none waits."""
        key = partition.timers.cancel(sender_id, token)
        if key is not None:
            self._states.write(key, None)

    def restore(self, key: bytes, row: bytes) -> Delayed:
        """Index a row of an earlier life."""
        delayed = decode_delayed(row)
        due_ms = int.from_bytes(key[3:11], "big")
        timers = self._partitions.owner(key).timers
        timers.schedule(due_ms, int.from_bytes(key[11:19], "big"), key, delayed)
        return delayed

    async def run(self, exchange: Exchange) -> None:
        """Deliver what is due until cancelled, a step of the loop at a time."""
        while True:
            next_due_ms = self._partitions.next_due_ms()
            self._is_changed.clear()
            now_ms = self._clock.now_ms()
            is_due = next_due_ms is not None and next_due_ms <= now_ms
            if is_due and not self._load.is_stuck and self._fire(exchange, now_ms):
                await asyncio.sleep(0)
                continue
            # A clock that was set is noticed within a minute.
            wait_s = 60.0 if next_due_ms is None else min(60.0, (next_due_ms - now_ms) / 1000)
            wait_s = max(wait_s, _STUCK_LOOK_S) if is_due or self._load.is_stuck else wait_s
            self._asleep_until_ms = _NEVER_MS if next_due_ms is None else next_due_ms
            try:
                async with asyncio.timeout(wait_s):
                    await self._is_changed.wait()
            except TimeoutError:
                continue
            finally:
                self._asleep_until_ms = 0

    def _fire(self, exchange: Exchange, now_ms: int) -> bool:
        """Deliver some of what is due; return False if the store cannot be read, and what is left has to wait."""
        time = asyncio.get_running_loop().time
        ends_s = time() + _STEP_S
        for count in range(_FIRED_PER_STEP):
            if count % _FIRED_PER_LOOK == 0 and time() > ends_s:
                return True
            key = self._partitions.first_due(now_ms)
            if key is None:
                return True
            try:
                self._fire_one(exchange, key)
            except UnavailableError:
                return False
        return True

    def _fire_one(self, exchange: Exchange, key: bytes) -> None:
        """Bring the first message that is due to its target; raise UnavailableError with nothing done."""
        row = self._states.read(key)
        assert row is not None, "a delayed message has no row"
        delayed = decode_delayed(row)
        function = exchange.resolve(delayed.target_type)
        if function is None:
            self._keep(delayed)
        else:
            exchange.deliver(function, delayed.target_id, delayed.invocation)
        self._partitions.taken(key)
        self._states.write(key, None)

    def _keep(self, delayed: Delayed) -> None:
        """Keep a message that is due and has no home as a chunk of its target's backlog, for a start that has one."""
        target = state_key(
            delayed.target_type, delayed.target_id, key_group_count=self._key_group_count
        )
        keep(self._states, target, delayed.invocation)
        log.warning(
            "a delayed message to %s is kept but waits: no endpoint serves it",
            Address(delayed.target_type, delayed.target_id),
        )
