"""Delayed messages: kept as rows under the sender's key group, delivered when they are due.

Beside the row of a message with a cancellation token lies one that finds it by the token, and each key group has one that
says how many wait. Rows are read in slabs, some minutes ahead of their time.
"""

import asyncio
import logging
from collections.abc import Iterator
from itertools import islice

from statefun_runtime.core.checkpoints.overlay import Row
from statefun_runtime.core.model.address import Address
from statefun_runtime.core.model.keys import TIMER, state_key, tally_key, token_key
from statefun_runtime.core.partition.backpressure import Load
from statefun_runtime.core.partition.partition import Partition
from statefun_runtime.core.partition.partitions import Partitions
from statefun_runtime.core.partition.timers import (
    NEVER_MS,
    Delayed,
    Tally,
    TimerLimits,
    decode_delayed,
    encode_delayed,
)
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


class Delays:
    """Schedules, cancels and fires delayed messages."""

    def __init__(
        self,
        states: States,
        partitions: Partitions,
        load: Load,
        clock: Clock,
        limits: TimerLimits,
        *,
        key_group_count: int,
    ) -> None:
        self._load = load
        self._partitions = partitions
        self._states = states
        self._clock = clock
        self._slab_rows = limits.slab_rows
        self._key_group_count = key_group_count
        self._is_changed = asyncio.Event()
        # Until when nobody looks; what is due sooner has to say so.
        self._asleep_until_ms = 0

    def __len__(self) -> int:
        return sum(len(partition.timers) for partition in self._partitions)

    # ── what replies ask for ──

    def pending(self, group: bytes, sender_id: str, token: str) -> bytes | None:
        """Return the key of the message with this token, or None if none waits; raise UnavailableError."""
        return self._states.read(token_key(group, sender_id, token))

    def schedule(self, partition: Partition, group: bytes, due_ms: int, delayed: Delayed) -> bytes:
        """Keep a message until then, in its sender's key group; its token must be free. Return its key."""
        due_ms = min(due_ms, NEVER_MS - 1)
        key = partition.timers.schedule(group, due_ms)
        self._states.write(key, encode_delayed(delayed))
        if delayed.token:
            self._states.write(token_key(group, delayed.sender_id, delayed.token), key)
        if due_ms < self._asleep_until_ms:
            self._is_changed.set()
        return key

    def cancel(self, partition: Partition, key: bytes, sender_id: str, token: str) -> None:
        """Forget the message that is pending with this token."""
        self._states.write(key, None)
        self._states.write(token_key(key[:2], sender_id, token), None)
        partition.timers.gone(key)

    # ── what becomes of rows ──

    def restore(self, group: bytes) -> None:
        """Take back what an earlier life left in a key group: how much it is; the rows are read when they are wanted."""
        row = self._states.read(tally_key(group))
        if row is not None:
            self._partitions.owner(group).timers.restore(group, Tally.of_row(row))

    def cut(self, epoch: int) -> Iterator[Row]:
        """The active layer is about to be frozen: yield what it has to hold besides."""
        for partition in self._partitions:
            yield from partition.timers.freeze(epoch)

    def stored(self, epoch: int) -> None:
        """The store has all layers up to an epoch."""
        for partition in self._partitions:
            partition.timers.stored(epoch)
        self._look_again()

    def replaced(self) -> None:
        """The store is another one, made from a checkpoint: what it lacks is in layers."""
        layers = [
            (epoch, [key for key, row in rows.items() if key[2:3] == TIMER and row is not None])
            for epoch, rows in self._states.unstored_rows()
        ]
        for partition in self._partitions:
            partition.timers.replaced(
                (epoch, [key for key in keys if self._partitions.owner(key) is partition])
                for epoch, keys in layers
            )
        self._look_again()

    def _look_again(self) -> None:
        if self._partitions.next_look_ms() < self._asleep_until_ms:
            self._is_changed.set()

    # ── what is due ──

    async def run(self, exchange: Exchange) -> None:
        """Deliver what is due until cancelled, a step of the loop at a time."""
        while True:
            self._is_changed.clear()
            now_ms = self._clock.now_ms()
            is_busy = self._partitions.next_look_ms() <= now_ms
            if is_busy and self._step(exchange, now_ms):
                await asyncio.sleep(0)
                continue
            next_ms = self._partitions.next_look_ms()
            # A clock that was set is noticed within a minute.
            wait_s = min(60.0, (next_ms - now_ms) / 1000)
            wait_s = max(wait_s, _STUCK_LOOK_S) if is_busy or self._load.is_stuck else wait_s
            self._asleep_until_ms = next_ms
            try:
                async with asyncio.timeout(wait_s):
                    await self._is_changed.wait()
            except TimeoutError:
                continue
            finally:
                self._asleep_until_ms = 0

    def _step(self, exchange: Exchange, now_ms: int) -> bool:
        """Read and deliver some; return False if what is left has to wait."""
        try:
            has_read = self._read(now_ms)
            has_fired = not self._load.is_stuck and self._fire(exchange, now_ms)
        except UnavailableError:
            return False
        return has_read or has_fired

    def _read(self, now_ms: int) -> bool:
        """Read slabs that are wanted, for a moment; return whether there were any."""
        time = asyncio.get_running_loop().time
        ends_s = time() + _STEP_S
        has_read = False
        for partition in self._partitions:
            while time() < ends_s and (wanted := partition.timers.wanted(now_ms)) is not None:
                self._read_slab(partition, *wanted)
                has_read = True
        return has_read

    def _read_slab(self, partition: Partition, group: bytes, start: bytes) -> None:
        stored = self._states.stored_keys(group + TIMER, start)
        keys = list(islice(stored, self._slab_rows))
        last = keys[-1] if len(keys) == self._slab_rows else None
        is_deleted = self._states.is_deleted
        partition.timers.read(group, [key for key in keys if not is_deleted(key)], last)

    def _fire(self, exchange: Exchange, now_ms: int) -> bool:
        """Deliver some of what is due; return whether there was any."""
        time = asyncio.get_running_loop().time
        ends_s = time() + _STEP_S
        for count in range(_FIRED_PER_STEP):
            if count % _FIRED_PER_LOOK == 0 and time() > ends_s:
                return True
            key = self._partitions.first_due(now_ms)
            if key is None:
                return count > 0
            self._fire_one(exchange, key)
        return True

    def _fire_one(self, exchange: Exchange, key: bytes) -> None:
        """Bring the first message that is due to its target; raise UnavailableError with nothing done."""
        row = self._states.read(key)
        if row is None:
            self._partitions.taken(key)
            return
        delayed = decode_delayed(row)
        function = exchange.resolve(delayed.target_type)
        if function is None:
            self._keep(delayed)
        else:
            exchange.deliver(function, delayed.target_id, delayed.invocation)
        self._partitions.taken(key)
        self._states.write(key, None)
        if delayed.token:
            self._states.write(token_key(key[:2], delayed.sender_id, delayed.token), None)
        self._partitions.owner(key).timers.gone(key)

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
