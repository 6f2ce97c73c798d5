"""The rows of spilled backlogs: chunks, and beside each a small one that says how much is in it.

The two are written and deleted in one step of the loop, so that a cut has both or none.
"""

from collections.abc import Iterator

from statefun_runtime.core.model.address import Address
from statefun_runtime.core.model.keys import (
    BACKLOG,
    CHUNK_INDEX,
    backlog_key_of,
    chunk_index_key_of,
    chunk_index_prefix,
    chunk_key_of,
    parse_chunk_key,
)
from statefun_runtime.core.model.messages import split_fields
from statefun_runtime.core.partition.spill import MIDDLE_SEQUENCE, Chunk
from statefun_runtime.engine.state.states import States

_SEQUENCE_BYTES = 8


def write_chunk(states: States, state_key: bytes, chunk: Chunk, row: bytes) -> None:
    """Write a chunk of an address."""
    key = chunk_key_of(state_key, chunk.sequence)
    states.write(key, row)
    states.write(chunk_index_key_of(key), chunk.index_row())


def read_chunk(states: States, state_key: bytes, chunk: Chunk) -> bytes:
    """Return a chunk's row; raise UnavailableError if the store cannot be read."""
    row = states.read(chunk_key_of(state_key, chunk.sequence))
    assert row is not None, f"chunk {chunk.sequence} of {state_key!r} is lost"
    return row


def delete_chunk(states: States, state_key: bytes, chunk: Chunk) -> None:
    """Delete a chunk whose content is in memory again."""
    key = chunk_key_of(state_key, chunk.sequence)
    states.write(key, None)
    states.write(chunk_index_key_of(key), None)


def stored_chunks(states: States, group_prefix: bytes) -> Iterator[tuple[Address, Chunk]]:
    """Yield the chunks of a key group, those of an address in order; none of them is read."""
    for key, row in states.scan(group_prefix + CHUNK_INDEX):
        address, sequence = parse_chunk_key(key)
        yield address, Chunk.of_index(sequence, row)


def keep_head(states: States, head_key: bytes, row: bytes) -> None:
    """Keep the head of a backlog that nobody can work on as its first chunk, which needs no care."""
    assert head_key[2:3] == BACKLOG
    if row:
        sequences = _sequences(states, head_key)
        first = sequences[0] - 1 if sequences else MIDDLE_SEQUENCE
        count = sum(1 for _ in split_fields(row))
        write_chunk(states, head_key, Chunk(first, count, len(row)), row)
    states.delete_head(backlog_key_of(head_key))


def keep(states: States, state_key: bytes, invocation: bytes) -> None:
    """Keep an invocation for an address that nobody can work on as its last chunk."""
    sequences = _sequences(states, state_key)
    last = sequences[-1] + 1 if sequences else MIDDLE_SEQUENCE
    write_chunk(states, state_key, Chunk(last, 1, len(invocation)), invocation)


def _sequences(states: States, state_key: bytes) -> list[int]:
    """Return the numbers of an address's chunks; an id that begins like another's is told apart."""
    prefix = chunk_index_prefix(state_key)
    size = len(prefix) + _SEQUENCE_BYTES
    return [
        int.from_bytes(key[-_SEQUENCE_BYTES:], "big")
        for key, _ in states.scan_sizes(prefix)
        if len(key) == size
    ]
