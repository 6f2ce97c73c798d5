"""Delayed messages: due in order of time, cancelled by token.

A token belongs to the sender's id: all function types of one id share its tokens, as in StateFun. Within the same
millisecond messages fire in the order in which they were scheduled. The rows live in the store; here is what is
needed to know the next one.
"""

import heapq
from dataclasses import dataclass
from typing import NamedTuple

from statefun_runtime.core.model.address import TypeName
from statefun_runtime.core.model.messages import join_parts, split_parts


@dataclass(frozen=True, slots=True)
class Delayed:
    """A message for later: `invocation` is complete, caller included."""

    sender_id: str
    target_type: TypeName
    target_id: str
    invocation: bytes
    token: str = ""


class _Entry(NamedTuple):
    due_ms: int
    sequence: int
    key: bytes


class Timers:
    """The index over all delayed messages that wait."""

    def __init__(self) -> None:
        self._heap: list[_Entry] = []
        self._tokens: dict[tuple[str, str], bytes] = {}
        self._token_of: dict[bytes, tuple[str, str]] = {}
        self._cancelled: set[bytes] = set()
        self._next_sequence = 0

    def __len__(self) -> int:
        return len(self._heap) - len(self._cancelled)

    def next_sequence(self) -> int:
        """Return a number above all that were given out or restored."""
        self._next_sequence += 1
        return self._next_sequence

    def schedule(self, due_ms: int, sequence: int, key: bytes, delayed: Delayed) -> None:
        """Index a delayed message whose row is stored under `key`; its token must be free."""
        heapq.heappush(self._heap, _Entry(due_ms, sequence, key))
        self._next_sequence = max(self._next_sequence, sequence)
        if delayed.token:
            owner = (delayed.sender_id, delayed.token)
            assert owner not in self._tokens, f"token {owner} is in use"
            self._tokens[owner] = key
            self._token_of[key] = owner

    def holds(self, sender_id: str, token: str) -> bool:
        """Return whether a message with this token waits."""
        return (sender_id, token) in self._tokens

    def cancel(self, sender_id: str, token: str) -> bytes | None:
        """Forget the message with this token; return the key of its row, or None if none waits."""
        key = self._tokens.pop((sender_id, token), None)
        if key is not None:
            del self._token_of[key]
            self._cancelled.add(key)
        return key

    def next_due_ms(self) -> int | None:
        """Return when the next message is due, or None."""
        self._drop_cancelled()
        return self._heap[0].due_ms if self._heap else None

    def first_due(self, now_ms: int) -> bytes | None:
        """Return the key of the first message that is due, or None; it stays."""
        self._drop_cancelled()
        if not self._heap or self._heap[0].due_ms > now_ms:
            return None
        return self._heap[0].key

    def remove(self, key: bytes) -> None:
        """Forget the message that `first_due` returned just now."""
        first = heapq.heappop(self._heap)
        assert first.key == key, "another delayed message became the first"
        owner = self._token_of.pop(key, None)
        if owner is not None:
            del self._tokens[owner]

    def _drop_cancelled(self) -> None:
        while self._heap and self._heap[0].key in self._cancelled:
            self._cancelled.discard(heapq.heappop(self._heap).key)


def encode_delayed(delayed: Delayed) -> bytes:
    """Return the row of a delayed message."""
    texts = (
        delayed.sender_id,
        delayed.target_type.namespace,
        delayed.target_type.name,
        delayed.target_id,
        delayed.token,
    )
    return join_parts(map(str.encode, texts), delayed.invocation)


def decode_delayed(row: bytes) -> Delayed:
    """Read what `encode_delayed` made."""
    texts, invocation = split_parts(row, 5)
    sender_id, namespace, name, target_id, token = map(bytes.decode, texts)
    return Delayed(sender_id, TypeName(namespace, name), target_id, invocation, token)
