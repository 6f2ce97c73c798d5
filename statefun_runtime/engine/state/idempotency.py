"""Idempotency keys: a record that was routed before under the same key is not routed again.

The rows lie in the target's key group, so they move, and are cut, with what they protect: the effect of a record and
the memory of its key are in the same checkpoint, or in none.
"""

from statefun_runtime.core.model.idempotency import Repeat
from statefun_runtime.core.model.keys import once_key_of, state_key
from statefun_runtime.core.partition.backlog import Function
from statefun_runtime.engine.state.states import States
from statefun_runtime.ports.clock import Clock

_STAMP_BYTES = 8


class Idempotency:
    """Remembers keys for `keep_ms`."""

    def __init__(self, states: States, clock: Clock, *, key_group_count: int, keep_ms: int) -> None:
        self._states = states
        self._clock = clock
        self._key_group_count = key_group_count
        self._keep_ms = keep_ms

    def look(self, function: Function, function_id: str, key: str, digest: bytes) -> Repeat:
        """Return whether a record with this key was routed to this address, and whether it was the same.

        Raise UnavailableError if the store cannot be read.
        """
        row = self._states.read(self._row_key(function, function_id, key))
        if row is None or self.is_expired(row):
            return Repeat.NEW
        return Repeat.SAME if row[_STAMP_BYTES:] == digest else Repeat.CONFLICT

    def remember(self, function: Function, function_id: str, key: str, digest: bytes) -> None:
        """A record with this key is routed now."""
        stamp = self._clock.now_ms().to_bytes(_STAMP_BYTES, "big")
        self._states.write(self._row_key(function, function_id, key), stamp + digest)

    def is_expired(self, row: bytes) -> bool:
        """Return whether a row has been kept long enough."""
        return self._clock.now_ms() - int.from_bytes(row[:_STAMP_BYTES], "big") >= self._keep_ms

    def _row_key(self, function: Function, function_id: str, key: str) -> bytes:
        return once_key_of(
            state_key(function.type, function_id, key_group_count=self._key_group_count), key
        )
