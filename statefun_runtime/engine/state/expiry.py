"""Deletes in the background, a key group at a time, what has expired: values of addresses, and idempotency keys."""

import asyncio
from collections.abc import Callable

from statefun_runtime.core.checkpoints.manifest import KeyGroups
from statefun_runtime.core.model.address import KeyGroup
from statefun_runtime.core.model.keys import ONCE, STATE, group_prefix, parse_address_key
from statefun_runtime.core.model.state import decode_row, encode_row
from statefun_runtime.engine.dispatch.exchange import Exchange
from statefun_runtime.engine.state.idempotency import Idempotency
from statefun_runtime.engine.state.states import States
from statefun_runtime.errors import UnavailableError
from statefun_runtime.ports.clock import Clock

_ROWS_PER_STEP = 200

RowSweep = Callable[[bytes, bytes], None]


class Expiry:
    """Goes through the key groups of a worker once per `round_s`."""

    def __init__(
        self,
        states: States,
        exchange: Exchange,
        idempotency: Idempotency,
        clock: Clock,
        *,
        key_groups: KeyGroups,
        round_s: float,
    ) -> None:
        self._states = states
        self._exchange = exchange
        self._idempotency = idempotency
        self._clock = clock
        self._key_groups = key_groups
        self._pause_s = round_s / len(key_groups)

    async def run(self) -> None:
        """Expiry until cancelled."""
        while True:
            for group in range(self._key_groups.first, self._key_groups.end):
                await asyncio.sleep(self._pause_s)
                try:
                    await self._sweep_group(group_prefix(KeyGroup(group)))
                except UnavailableError:
                    # The store is being replaced: what has expired is met the next time.
                    continue

    async def _sweep_group(self, prefix: bytes) -> None:
        if any(function.schema.has_expiration for function in self._exchange.functions):
            await self._sweep(prefix + STATE, self._sweep_values)
        await self._sweep(prefix + ONCE, self._sweep_key)

    async def _sweep(self, prefix: bytes, sweep_row: RowSweep) -> None:
        # Only rows of past cuts are looked at: younger ones cannot have expired, or will be met the next time.
        for count, key in enumerate(self._states.stored_keys(prefix), 1):
            row = self._states.read(key)
            if row is not None:
                sweep_row(key, row)
            if count % _ROWS_PER_STEP == 0:
                await asyncio.sleep(0)

    def _sweep_key(self, key: bytes, row: bytes) -> None:
        if self._idempotency.is_expired(row):
            self._states.write(key, None)

    def _sweep_values(self, key: bytes, row: bytes) -> None:
        address = parse_address_key(key)
        function = self._exchange.resolve(address.type)
        if function is None or address.id in function.backlogs:
            # One in memory drops its own when it is called the next time.
            return
        values = decode_row(row)
        if function.schema.drop_expired(values, self._clock.now_ms()):
            self._states.write(key, encode_row(values) if values.fields else None)
