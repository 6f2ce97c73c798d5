"""Keyed state as one stream: the rows of each key group behind each other, the same for every state backend.

    head  then per key group, at its offset:  state  (key value)…  state  (key value)…  ffff

The highest bit of a key says that another state, or the end, follows its value. With compression each key group is a
framed Snappy stream of its own.
"""

from collections.abc import Iterator
from typing import NamedTuple

from statefun_runtime.connectors.flink.files.damage import Damages
from statefun_runtime.connectors.flink.files.metadata import FullState
from statefun_runtime.connectors.flink.files.serializers import StateMeta, read_keyed_head
from statefun_runtime.connectors.flink.files.snappy import unframed
from statefun_runtime.connectors.flink.files.source import Source
from statefun_runtime.connectors.flink.files.state_files import StateFile, source_at

_HEAP = (
    "it is in the form of the heap backend alone, which checkpoints of it have, and its savepoints before Flink 1.13: "
    "restore the job on Flink 1.13 or newer and take a canonical savepoint"
)
_LAST = 0xFFFF
_MORE = 0x80


class StateRow(NamedTuple):
    """A row of keyed state: the key begins with the key group; `file` and `offset` say where it lies, for people."""

    meta: StateMeta
    key_group: int
    key: bytes
    value: bytes
    file: str
    offset: int


def canonical_rows(file: StateFile, state: FullState, damages: Damages) -> Iterator[StateRow]:
    """Yield the rows of a stream; a key group that cannot be read to its end is damage, and the next one is gone on with."""
    ranges = _ranges(state.offsets, file.size_bytes)
    head = source_at(file, 0, min((begin for _, begin, _ in ranges), default=None))
    at_head = f"all rows of key groups {state.first_group} to {state.first_group + len(state.offsets) - 1}"
    metas: list[StateMeta] = []
    with damages.at(file.name, 0, at_head):
        is_compressed, metas = read_keyed_head(head)
        if ranges and head.left:
            raise ValueError(f"{head.left} bytes lie between the head and the first key group")
    for index, begin, _ in ranges[:2]:
        with damages.at(file.name, begin, at_head):
            group = state.first_group + index
            # A canonical group begins with a state's number in two bytes, and with the upper half of a length.
            if group and file.read(begin, 4) == group.to_bytes(4, "big"):
                metas = []
                raise ValueError(_HEAP)
    for index, begin, end in ranges if metas else ():
        group = state.first_group + index
        with damages.at(file.name, begin, f"what is not read of key group {group}"):
            source = source_at(file, begin, end)
            rows = Source(unframed(source), begin=begin) if is_compressed else source
            yield from _rows_of_group(rows, group, metas, file.name)
            if rows.left and not is_compressed:
                raise ValueError(f"{rows.left} bytes are left over")


def _ranges(offsets: tuple[int, ...], size: int) -> list[tuple[int, int, int]]:
    """Return index, begin and end of each key group that is not empty; offset 0 is the head's."""
    begins = sorted((offset, index) for index, offset in enumerate(offsets) if offset > 0)
    ends = [offset for offset, _ in begins[1:]] + [size]
    return [(index, begin, end) for (begin, index), end in zip(begins, ends, strict=True)]


def _rows_of_group(
    source: Source, group: int, metas: list[StateMeta], file: str
) -> Iterator[StateRow]:
    blob = source.blob
    number = source.u16()
    while number != _LAST:
        if number >= len(metas):
            raise ValueError(f"state {number} is not among the {len(metas)} of the head")
        meta, is_more = metas[number], False
        while not is_more:
            offset = source.offset
            key, value = blob(), blob()
            if not key:
                raise ValueError("a key is empty")
            if key[0] & _MORE:
                is_more, key = True, bytes((key[0] & ~_MORE,)) + key[1:]
            yield StateRow(meta, group, key, value, file, offset)
        number = source.u16()
