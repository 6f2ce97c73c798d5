"""Keyed state as files of RocksDB: of each key the newest value, with what was merged into it, from all files.

Flink flushes before it copies, so there is no log beside the files; each names the state that it is of. After a change
of the parallelism files hold key groups of others, and deletions of whole ranges.
"""

import heapq
from collections.abc import Iterable, Iterator
from itertools import groupby
from operator import attrgetter

from statefun_runtime.connectors.flink.files.canonical import StateRow
from statefun_runtime.connectors.flink.files.damage import Damage, Damages
from statefun_runtime.connectors.flink.files.serializers import StateMeta
from statefun_runtime.connectors.flink.files.sst import (
    DELETIONS,
    MERGE,
    PUT,
    Entry,
    Table,
    open_table,
)
from statefun_runtime.connectors.flink.files.state_files import StateFile

_SUFFIX = ".sst"
_DELIMITER = b","
_DEFAULT = "default"

Deletions = list[tuple[bytes, bytes, int]]


def is_table(name: str) -> bool:
    """Whether a file of a backend holds rows; the others say what RocksDB itself needs."""
    return name.endswith(_SUFFIX)


def rocksdb_rows(
    files: Iterable[StateFile],
    metas: Iterable[StateMeta],
    groups: range,
    prefix_bytes: int,
    damages: Damages,
) -> Iterator[StateRow]:
    """Yield the rows of a range of key groups, state by state."""
    known = {meta.name: meta for meta in metas}
    tables: dict[str, list[Table]] = {}
    for file in files:
        with damages.at(file.name, 0, "all rows of a file"):
            table = open_table(file)
            if table.column_family != _DEFAULT and table.column_family not in known:
                raise ValueError(
                    f"it is of state {table.column_family!r}, which the head does not know"
                )
            tables.setdefault(table.column_family, []).append(table)
    for name, some in sorted(tables.items()):
        if name != _DEFAULT:
            yield from _rows_of_state(known[name], some, groups, prefix_bytes, damages)


def _rows_of_state(
    meta: StateMeta, tables: list[Table], groups: range, prefix_bytes: int, damages: Damages
) -> Iterator[StateRow]:
    deletions: Deletions = []
    for table in tables:
        with damages.at(table.name, 0, f"which rows of state {meta.name!r} were deleted"):
            deletions += table.deletions()
    streams = [table.entries(damages) for table in tables]
    entries = streams[0] if len(streams) == 1 else heapq.merge(*streams, key=_newest_first)
    for key, versions in groupby(entries, attrgetter("key")):
        group = int.from_bytes(key[:prefix_bytes], "big")
        newest = list(versions)
        if group not in groups:
            continue
        first = newest[0]
        try:
            value = _value(newest, deletions)
        except ValueError as error:
            lost = f"a row of state {meta.name!r}"
            damages.add(Damage(first.file, first.offset, str(error), lost))
            continue
        if value is not None:
            yield StateRow(meta, group, key, value, first.file, first.offset)


def _newest_first(entry: Entry) -> tuple[bytes, int]:
    return entry.key, -entry.sequence


def _value(newest: list[Entry], deletions: Deletions) -> bytes | None:
    """Return what a key has, from all that is known of it; None if it is deleted."""
    operands: list[bytes] = []
    for entry in newest:
        if entry.kind in DELETIONS or _is_deleted(entry, deletions):
            break
        if entry.kind not in (PUT, MERGE):
            raise ValueError(f"an entry is of the unknown kind {entry.kind}")
        operands.append(entry.value)
        if entry.kind == PUT:
            break
    return _DELIMITER.join(reversed(operands)) if operands else None


def _is_deleted(entry: Entry, deletions: Deletions) -> bool:
    return any(
        first <= entry.key < end and entry.sequence < sequence for first, end, sequence in deletions
    )
