"""Rows of version 2 of the format, made rows of version 3 before anything looks at them.

What is written here is in the first checkpoint, which is of version 3; until that is complete the folder stays as it
was, and a restart does it again.
"""

from statefun_runtime.core.model.address import KeyGroup
from statefun_runtime.core.model.keys import (
    CHUNK,
    HTTP_EGRESS_OF_VERSION_2,
    chunk_index_key_of,
    egress_prefix,
    group_prefix,
)
from statefun_runtime.core.model.messages import split_fields
from statefun_runtime.core.partition.spill import Chunk
from statefun_runtime.engine.state.states import States


def upgrade_rows(states: States, *, key_group_count: int) -> None:
    """Say how much is in each chunk, and bring the records of HTTP topics into the key groups of the topics' names.

    One row at a time is read; what is written stays in memory until the first checkpoint.
    """
    for group in range(key_group_count):
        for key, row in states.scan(group_prefix(KeyGroup(group)) + CHUNK):
            chunk = Chunk(0, sum(1 for _ in split_fields(row)), len(row))
            states.write(chunk_index_key_of(key), chunk.index_row())
    for key, row in states.scan(HTTP_EGRESS_OF_VERSION_2):
        topic, place = key[len(HTTP_EGRESS_OF_VERSION_2) : -17], key[-16:]
        prefix = egress_prefix(topic.decode(), key_group_count=key_group_count)
        states.write(prefix + place, row)
        states.write(key, None)
