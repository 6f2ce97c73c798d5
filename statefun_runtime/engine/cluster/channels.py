"""Brings messages to the workers that own their targets, and takes those that come.

    deliver, not ours ─▶ gathered per worker ─end of the turn─▶ one frame ─▶ link ═▶ link ─▶ deliver
    cut ─▶ what was gathered ─▶ barrier                              recorded, if it is of before its sender's cut

Barriers and the order of frames make it a channel of Chandy and Lamport's (core/cluster/alignment.py).
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any
from zlib import crc32

from statefun_runtime.core.cluster.alignment import Alignment
from statefun_runtime.core.cluster.frames import (
    BARRIER,
    EGRESS,
    FUNCTION,
    KEYED,
    MESSAGES,
    barrier,
    egress_record,
    header,
    keyed,
    read_barrier,
    read_egress_record,
    read_header,
    read_keyed,
    split_messages,
)
from statefun_runtime.core.cluster.plan import Plan
from statefun_runtime.core.model.address import Address, TypeName
from statefun_runtime.core.model.idempotency import Repeat
from statefun_runtime.core.model.keys import state_key
from statefun_runtime.core.model.messages import varint
from statefun_runtime.core.model.metrics import Metric, MetricKind
from statefun_runtime.core.partition.backlog import Function
from statefun_runtime.engine.egress import Egress
from statefun_runtime.engine.state.chunks import keep
from statefun_runtime.engine.state.idempotency import Idempotency
from statefun_runtime.engine.state.states import States
from statefun_runtime.errors import UnavailableError
from statefun_runtime.ports.egress import RecordRefused
from statefun_runtime.ports.team import Links

log = logging.getLogger("statefun.channels")

_FRAME_BYTES = 64 * 1024
_WAITING_BYTES_MAX = 16 * 1024 * 1024

# Has something called once when rows can be read again.
WhenReadable = Callable[[Callable[[], None]], None]
Take = Callable[[str, bytes], None]
Deliver = Callable[[Function, str, bytes], None]


class Outgoing:
    """Gathers what is for other workers, and sends it at the end of a turn of the loop, or when it is much."""

    def __init__(self, plan: Plan, slot: int, links: Links) -> None:
        self._links = links
        self._slot = slot
        self._slot_of = plan.slots_by_group()
        self._home = plan.home.slot
        self._group_count = plan.key_group_count
        self._pieces: dict[int, list[bytes]] = {
            member.slot: [] for member in plan.members if member.slot != slot
        }
        self._bytes = dict.fromkeys(self._pieces, 0)
        self._headers: dict[tuple[bytes, TypeName], bytes] = {}
        self._is_flushing = False
        self._loop = asyncio.get_running_loop()
        self.sent = 0

    def owns(self, function_id: str) -> bool:
        """Return whether an address with this id is one of this worker's."""
        return self._slot_of[crc32(function_id.encode()) % self._group_count] == self._slot

    def takes(self, function: Function, function_id: str, invocation: bytes) -> bool:
        """Take an invocation for another worker's address; return False if it is for one of this worker's."""
        encoded = function_id.encode()
        slot = self._slot_of[crc32(encoded) % self._group_count]
        if slot == self._slot:
            return False
        self._put(slot, self._header(FUNCTION, function.type), encoded, invocation)
        return True

    def takes_keyed(
        self, function: Function, function_id: str, invocation: bytes, key: str, digest: bytes
    ) -> bool:
        """The same for one that is delivered unless its key was seen."""
        encoded = function_id.encode()
        slot = self._slot_of[crc32(encoded) % self._group_count]
        if slot == self._slot:
            return False
        body = keyed(key, digest, invocation)
        self._put(slot, self._header(KEYED, function.type), encoded, body)
        return True

    def bring_home(self, egress: TypeName, typename: str, value: bytes) -> None:
        """Send a record to the worker that has the egress's port."""
        self._put(self._home, self._header(EGRESS, egress), b"", egress_record(typename, value))

    def _header(self, kind: bytes, name: TypeName) -> bytes:
        found = self._headers.get((kind, name))
        if found is None:
            found = self._headers[kind, name] = header(kind, name)
        return found

    def _put(self, slot: int, head: bytes, function_id: bytes, body: bytes) -> None:
        self._pieces[slot] += (head, varint(len(function_id)), function_id, varint(len(body)), body)
        self._bytes[slot] += len(body)
        self.sent += 1
        if self._bytes[slot] >= _FRAME_BYTES:
            self._send(slot)
        elif not self._is_flushing:
            self._is_flushing = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._is_flushing = False
        for slot, pieces in self._pieces.items():
            if pieces:
                self._send(slot)

    def _send(self, slot: int) -> None:
        pieces, self._pieces[slot] = self._pieces[slot], []
        self._bytes[slot] = 0
        self._links.send(slot, b"".join((MESSAGES, *pieces)))

    def cut(self, epoch: int, *, is_last_complete: bool) -> None:
        """Write a barrier to everybody, behind all that was sent."""
        self._flush()
        frame = barrier(epoch, is_last_complete=is_last_complete)
        for slot in self._pieces:
            self._links.send(slot, frame)

    def why_full(self) -> str | None:
        """Return in words that too much is on its way, or None."""
        waiting = self._links.waiting_bytes
        if waiting < _WAITING_BYTES_MAX:
            return None
        return f"{waiting} bytes wait for other workers (limit {_WAITING_BYTES_MAX})"


class Incoming:
    """Takes what comes from other workers: messages to where they belong, barriers to `met`, which may cut."""

    def __init__(
        self,
        alignment: Alignment,
        targets: "Targets",
        met: Callable[[int, int, bool], None],
        when_readable: WhenReadable,
    ) -> None:
        self._alignment = alignment
        self._targets = targets
        self._met = met
        self._when_readable = when_readable
        self._recorded: list[bytes] = []
        self._waiting: list[bytes] = []

    def take(self, sender: int, frame: bytes) -> None:
        """Take a frame."""
        if frame[:1] == BARRIER:
            self._met(sender, *read_barrier(frame))
            return
        if self._alignment.is_recording(sender):
            self._recorded.append(frame[1:])
        if self._waiting:
            self._waiting.append(frame[1:])
        else:
            self._deliver(frame, 1)

    def _deliver(self, data: bytes, offset: int) -> None:
        """Deliver messages; from the first on that needs a row which cannot be read now, they wait."""
        reached = self._targets.deliver(data, offset)
        if reached < len(data):
            self._waiting.insert(0, data[reached:])
            self._when_readable(self._go_on)

    def _go_on(self) -> None:
        waiting, self._waiting = self._waiting, []
        while waiting and not self._waiting:
            self._deliver(waiting.pop(0), 0)
        self._waiting += waiting

    def cut(self) -> None:
        """What has come and waits is neither in a backlog nor still to come: it is recorded."""
        self._recorded = list(self._waiting)

    def recorded(self) -> list[bytes]:
        """Return, once, what has come since the cut and was sent before its sender's."""
        recorded, self._recorded = self._recorded, []
        return recorded


class Targets:
    """Brings messages from elsewhere to addresses and egresses of this worker."""

    def __init__(
        self,
        resolve: Callable[[TypeName], Function | None],
        deliver: Deliver,
        idempotency: Idempotency,
        egresses: Mapping[str, Egress[Any]],
        states: States,
        *,
        key_group_count: int,
        is_home: bool,
    ) -> None:
        self._is_home = is_home
        self._resolve = resolve
        self._deliver = deliver
        self._idempotency = idempotency
        self._egresses = egresses
        self._states = states
        self._key_group_count = key_group_count
        self._by_header: dict[bytes, Take] = {}
        self.received = 0
        # Of records with an idempotency key that was seen before, how many were passed over, and why.
        self.passed_over: Counter[str] = Counter()

    def deliver(self, data: bytes, offset: int, wanted: Callable[[str], bool] | None = None) -> int:
        """Deliver messages, of those to addresses only those whose id is `wanted`.

        Return where the first begins that cannot be delivered now, since a row cannot be read; of messages from a
        checkpoint, which some are `wanted` of, raise UnavailableError.
        """
        by_header, count = self._by_header, 0
        for content, function_id, body, start in split_messages(data, offset):
            take = by_header.get(content) or self._target(content)
            decoded = function_id.decode()
            if wanted is None or self._is_wanted(content, decoded, wanted):
                try:
                    take(decoded, body)
                except UnavailableError:
                    if wanted is not None:
                        raise
                    return start
                count += 1
        self.received += count
        return len(data)

    def _is_wanted(self, content: bytes, function_id: str, wanted: Callable[[str], bool]) -> bool:
        """Return whether a message from a checkpoint is this worker's; records for an egress are at home."""
        return self._is_home if content[:1] == EGRESS else wanted(function_id)

    def _target(self, content: bytes) -> Take:
        kind, name = read_header(content)
        if kind == EGRESS:
            take = partial(self._emit, str(name))
        elif (function := self._resolve(name)) is None:
            # Not remembered: an endpoint's types come from outside.
            return partial(self._keep, name, is_keyed=kind == KEYED)
        elif kind == KEYED:
            take = partial(self._deliver_keyed, function)
        else:
            take = partial(self._deliver, function)
        self._by_header[content] = take
        return take

    def _deliver_keyed(self, function: Function, function_id: str, body: bytes) -> None:
        key, digest, invocation = read_keyed(body)
        repeat = self._idempotency.look(function, function_id, key, digest)
        if repeat is not Repeat.NEW:
            self.passed_over["repeated" if repeat is Repeat.SAME else "key-conflict"] += 1
            return
        self._idempotency.remember(function, function_id, key, digest)
        self._deliver(function, function_id, invocation)

    def _emit(self, egress_id: str, _: str, body: bytes) -> None:
        egress = self._egresses.get(egress_id)
        try:
            if egress is not None:
                egress.emit(egress.prepare(*read_egress_record(body)))
                return
            why = "it is not in this worker's module"
        except RecordRefused as error:
            why = str(error)
        log.error("a record from another worker for egress %s is dropped: %s", egress_id, why)

    def _keep(self, name: TypeName, function_id: str, body: bytes, *, is_keyed: bool) -> None:
        """Keep what no endpoint of this worker's module serves, as a worker does with what it finds at a start."""
        invocation = read_keyed(body)[2] if is_keyed else body
        key = state_key(name, function_id, key_group_count=self._key_group_count)
        keep(self._states, key, invocation)
        log.warning(
            "a message to %s is kept but waits: no endpoint of this worker's module serves it",
            Address(name, function_id),
        )


def channel_metrics(outgoing: Outgoing, links: Links, targets: Targets) -> Iterator[Metric]:
    """Return what goes from worker to worker."""
    doc = "messages from and to other workers"
    for direction, count in (("in", targets.received), ("out", outgoing.sent)):
        labels = {"direction": direction}
        yield Metric("statefun_channel_messages", MetricKind.COUNTER, doc, count, labels)
    doc = "bytes that wait for other workers"
    yield Metric("statefun_channel_waiting_bytes", MetricKind.GAUGE, doc, links.waiting_bytes)
    doc = "records from other workers whose idempotency key was seen before"
    for reason, count in targets.passed_over.items():
        labels = {"reason": reason}
        yield Metric("statefun_channel_passed_over", MetricKind.COUNTER, doc, count, labels)
