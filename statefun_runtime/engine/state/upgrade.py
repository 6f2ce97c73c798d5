"""Rows of older versions of the format, made rows of today's before anything looks at them.

What is written here is in the first checkpoint, which is of today's version; until that is complete the folder stays as
it was, and a restart does it again.
"""

from statefun_runtime.core.model.address import KeyGroup
from statefun_runtime.core.model.keys import (
    CHUNK,
    HTTP_EGRESS,
    HTTP_EGRESS_OF_VERSION_2,
    TIMER,
    chunk_index_key_of,
    egress_prefix,
    group_prefix,
    token_key,
)
from statefun_runtime.core.model.messages import split_fields
from statefun_runtime.core.partition.spill import Chunk
from statefun_runtime.core.partition.timers import decode_delayed, with_tallies
from statefun_runtime.engine.state.states import States


def upgrade_rows(states: States, version: int, *, key_group_count: int) -> None:
    """Make rows of a version those of today's; one at a time is read, what is written stays in memory until the cut."""
    if version == 2:
        _count_chunks(states, key_group_count)
        _bring_home(states, HTTP_EGRESS_OF_VERSION_2)
    elif version == 3:
        for group in range(1, key_group_count):
            _bring_home(states, group_prefix(KeyGroup(group)) + HTTP_EGRESS)
    _find_delayed(states, key_group_count)


def _count_chunks(states: States, key_group_count: int) -> None:
    """Say how much is in each chunk."""
    for group in range(key_group_count):
        for key, row in states.scan(group_prefix(KeyGroup(group)) + CHUNK):
            chunk = Chunk(0, sum(1 for _ in split_fields(row)), len(row))
            states.write(chunk_index_key_of(key), chunk.index_row())


def _find_delayed(states: States, key_group_count: int) -> None:
    """Count the delayed messages of each key group, and have them found by their tokens."""
    for group in range(key_group_count):
        rows = states.scan(group_prefix(KeyGroup(group)) + TIMER)
        for key, row in with_tallies(rows):
            if key[2:3] != TIMER:
                states.write(key, row)
                continue
            delayed = decode_delayed(row or b"")
            if delayed.token:
                states.write(token_key(key[:2], delayed.sender_id, delayed.token), key)


def _bring_home(states: States, prefix: bytes) -> None:
    """Bring the records of HTTP topics to the key group that has the ports."""
    for key, row in states.scan(prefix):
        topic, place = key[len(prefix) : -17], key[-16:]
        states.write(egress_prefix(topic.decode()) + place, row)
        states.write(key, None)
