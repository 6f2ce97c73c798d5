"""Makes the rows of a worker's checkpoint of those of a savepoint.

Of an address the call in flight, the queue and the loop become its backlog, in this order, as chunks: rows that need
no care before somebody works on them. A value keeps when it was last used, since only the function knows what its
expiration is. A delayed message keeps its due time, and its token where that still counts.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from statefun_runtime.connectors.flink.files.damage import Damages
from statefun_runtime.connectors.flink.importing.checks import (
    address_damages,
    count_invocations,
    sender_damages,
    tokens_that_count,
)
from statefun_runtime.connectors.flink.importing.report import Report
from statefun_runtime.connectors.flink.importing.sorting import AddressRows, SenderRows, Sorting
from statefun_runtime.core.checkpoints.overlay import Row
from statefun_runtime.core.checkpoints.portable import chunk_rows
from statefun_runtime.core.model.address import TypeName
from statefun_runtime.core.model.keys import state_key
from statefun_runtime.core.model.messages import split_fields
from statefun_runtime.core.model.state import Values, encode_row
from statefun_runtime.core.partition.timers import Delayed, delayed_rows


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be carried: function types by dotted name, without those that are left out, into so many key groups."""

    types: dict[str, TypeName]
    without: frozenset[TypeName]
    key_group_count: int


def carried_rows(
    sorting: Sorting, wanted: Wanted, report: Report, damages: Damages
) -> Iterator[Row]:
    """Yield the rows of the checkpoint, and count them in the report; what does not fit together is damage."""
    for address in sorting.addresses():
        for damage in address_damages(address):
            damages.add(damage)
        function_type = wanted.types.get(address.type)
        if function_type is not None and function_type not in wanted.without:
            yield from _value_rows(address, function_type, wanted, report)
        yield from _backlog_rows(address, function_type, wanted, report)
    sequence = 0
    for sender in sorting.senders():
        for damage in sender_damages(sender):
            damages.add(damage)
        for delayed, due_ms in _delayed(sender, wanted, report):
            sequence += 1
            yield from delayed_rows(
                delayed, due_ms, sequence, key_group_count=wanted.key_group_count
            )


def _value_rows(
    address: AddressRows, function_type: TypeName, wanted: Wanted, report: Report
) -> Iterator[Row]:
    if not address.values:
        return
    counts = report.counts(str(function_type))
    counts.addresses += 1
    counts.values += len(address.values)
    stamps = {name: stamp for name, stamp, _ in address.values if stamp}
    values = Values({name: content for name, _, content in address.values}, stamps or None)
    key = state_key(function_type, address.id, key_group_count=wanted.key_group_count)
    yield key, encode_row(values)


def _backlog_rows(
    address: AddressRows, function_type: TypeName | None, wanted: Wanted, report: Report
) -> Iterator[Row]:
    """Yield the backlogs at an address; in flight and in the loop the type is written out, and may be another's."""
    backlogs: dict[TypeName, list[bytes]] = {}
    for _, target, _, invocations in address.calls:
        report.counts(str(target)).in_flight += count_invocations(invocations)
        backlogs.setdefault(target, []).append(invocations)
    if address.queue and function_type is not None:
        report.counts(str(function_type)).queued += count_invocations(address.queue[1])
        backlogs.setdefault(function_type, []).append(address.queue[1])
    for target, invocation in address.loop:
        report.counts(str(target)).looped += 1
        backlogs.setdefault(target, []).append(invocation)
    for target, parts in backlogs.items():
        if target not in wanted.without:
            key = state_key(target, address.id, key_group_count=wanted.key_group_count)
            yield from chunk_rows(key, split_fields(b"".join(parts)))


def _delayed(sender: SenderRows, wanted: Wanted, report: Report) -> Iterator[tuple[Delayed, int]]:
    """Yield the delayed messages of a sender, and when they are due."""
    tokens = tokens_that_count(sender)
    for (_, due_ms, target, target_id, _, invocation), token in zip(
        sender.messages, tokens, strict=True
    ):
        if target in wanted.without:
            continue
        report.counts(str(target)).delayed += 1
        yield Delayed(sender.id, target, target_id, invocation, token), due_ms
