"""The owner of one range of key groups: its backlogs, what is counted of them, their failures and their timers.

It alone changes phases, counts and bytes: every move of backlog.py's diagram is a method here, and asserts where it
begins. The engine waits for what comes, tells it, and carries out what it says. `failures` decides what becomes of
an address that fails, and makes its pauses; `timers` are the delayed messages of the range.

    counts of a function type   received · waiting · busy · parked     a Tally for each function type
    bytes of the partition      waiting_bytes (in memory) · spilled_bytes (in chunks)

An address that is READY stands in exactly one queue of its function type: `ready`, or `suspects` after a failure.
The index of addresses is the function type's, one for all partitions, since looking one up is a step of every
message; a backlog names the number of the partition that owns it.
"""

from collections.abc import Iterator

from statefun_runtime.core.model.messages import total_size
from statefun_runtime.core.partition.backlog import (
    IDLE,
    IN_FLIGHT,
    LEGAL_MOVES,
    NOTHING,
    PARKED,
    READY,
    Backlog,
    Function,
    Phase,
    Tally,
)
from statefun_runtime.core.partition.failures import Failures
from statefun_runtime.core.partition.spill import Chunk, Spill
from statefun_runtime.core.partition.timers import TIMER_LIMITS, TimerLimits, Timers


class Partition:
    """One contiguous range of key groups."""

    __slots__ = (
        "failures",
        "groups",
        "number",
        "spilled_bytes",
        "tallies",
        "timers",
        "waiting_bytes",
    )

    def __init__(self, number: int, groups: range, timers: TimerLimits = TIMER_LIMITS) -> None:
        self.number = number
        self.groups = groups
        self.waiting_bytes = 0
        self.spilled_bytes = 0
        self.tallies: dict[Function, Tally] = {}
        self.failures = Failures(self)
        self.timers = Timers(groups, timers)

    def __str__(self) -> str:
        return f"partition {self.number} (key groups {self.groups.start} to {self.groups.stop - 1})"

    @property
    def waiting(self) -> int:
        """How many messages wait or are in flight."""
        return sum(tally.waiting for tally in self.tallies.values())

    def backlogs(self) -> Iterator[Backlog]:
        """Yield the addresses of this partition that are in memory."""
        for function in self.tallies:
            for backlog in function.backlogs.values():
                if backlog.owner == self.number:
                    yield backlog

    # ── what every message goes through ──

    def admit(self, function: Function, function_id: str, key: bytes) -> Backlog:
        """Take an address into memory; it has nothing to do yet."""
        tally = self.tallies.get(function)
        if tally is None:
            tally = self.tallies[function] = Tally(function)
            function.tallies.append(tally)
        backlog = Backlog(self.number, tally, function_id, key)
        function.backlogs[function_id] = backlog
        return backlog

    def deliver(self, backlog: Backlog, invocation: bytes) -> bool:
        """Take an invocation; return whether its address was idle and is ready now."""
        size = len(invocation)
        tally = backlog.tally
        tally.received += 1
        tally.waiting += 1
        self.waiting_bytes += size
        if (
            backlog.spill is not None
            or backlog.waiting_bytes >= backlog.function.spilling.head_bytes_max
        ):
            backlog.spill = backlog.spill or Spill()
            backlog.spill.add(invocation)
            return False
        if backlog.waiting:
            backlog.waiting.append(invocation)
        else:
            backlog.waiting = [invocation]
        backlog.waiting_bytes += size
        if backlog.phase != IDLE:
            return False
        backlog.phase = READY
        backlog.is_recent = backlog.values is not None
        tally.busy += 1
        backlog.function.ready.append(backlog)
        return True

    def begin(self, backlog: Backlog, now_s: float, batch_bytes_max: int) -> list[bytes]:
        """Have a request sent; return the invocations for it: the failed batch again, or what waits."""
        assert backlog.phase == READY, _wrong(backlog, "began")
        backlog.phase = IN_FLIGHT
        backlog.started_s = now_s
        if not backlog.in_flight:
            _take(backlog, batch_bytes_max)
        return backlog.in_flight

    def begin_probe(self, backlog: Backlog, now_s: float) -> list[bytes]:
        """Have a request sent that is as small as can be: one invocation, also where a wider batch has failed."""
        if len(backlog.in_flight) > 1:
            _cut(backlog, 1)
        elif not backlog.in_flight:
            _take_some(backlog, 0, width=1)
        if backlog.failing is not None:
            backlog.failing.width = 1
        return self.begin(backlog, now_s, 0)

    def settle(self, backlog: Backlog) -> None:
        """The batch in flight is done: it waits no more, and the next may go out."""
        assert backlog.phase == IN_FLIGHT, _wrong(backlog, "settled")
        tally = backlog.tally
        tally.waiting -= len(backlog.in_flight)
        self.waiting_bytes -= backlog.in_flight_bytes
        if backlog.failing is not None:
            backlog.failing = backlog.failing.after_batch(
                len(backlog.in_flight), well_from_s=backlog.started_s
            )
        backlog.in_flight = NOTHING
        backlog.in_flight_bytes = 0
        if backlog.waiting or backlog.spill is not None:
            backlog.phase = READY
            backlog.function.ready.append(backlog)
        else:
            backlog.phase = IDLE
            tally.busy -= 1

    # ── the moves of an address whose request was not answered well ──

    def again(self, backlog: Backlog) -> None:
        """The batch in flight is to be sent once more, at once and in front of all: nothing has failed."""
        _move(backlog, "was sent again", Phase.IN_FLIGHT, Phase.READY)
        backlog.function.ready.appendleft(backlog)

    def send_back(self, backlog: Backlog) -> None:
        """The batch in flight is to be sent once more, behind those that failed before."""
        _move(backlog, "failed", Phase.IN_FLIGHT, Phase.READY)
        backlog.function.suspects.append(backlog)

    def narrow(self, backlog: Backlog, width: int) -> None:
        """Only so many invocations of the batch are to be sent once more; the rest waits in front of all."""
        assert 0 < width < len(backlog.in_flight), f"{backlog.address} has nothing to narrow down"
        _cut(backlog, width)
        self.send_back(backlog)

    def back_off(self, backlog: Backlog) -> None:
        """The batch in flight is to be sent once more, after a pause."""
        _move(backlog, "failed", Phase.IN_FLIGHT, Phase.BACKING_OFF)

    def park(self, backlog: Backlog) -> None:
        """The address is set aside with the batch in flight."""
        _move(backlog, "failed", Phase.IN_FLIGHT, Phase.PARKED)
        backlog.tally.parked += 1
        backlog.tally.busy -= 1

    def withdraw(self, backlog: Backlog) -> None:
        """The address is set aside before its next attempt; the caller has it leave the queue it stands in."""
        start = Phase.READY if backlog.phase == READY else Phase.BACKING_OFF
        _move(backlog, "was withdrawn", start, Phase.PARKED)
        backlog.tally.parked += 1
        backlog.tally.busy -= 1

    def resume(self, backlog: Backlog) -> None:
        """The pause of an address is over, or it is parked no longer."""
        if backlog.phase == PARKED:
            backlog.tally.parked -= 1
            backlog.tally.busy += 1
            _move(backlog, "resumed", Phase.PARKED, Phase.READY)
        else:
            _move(backlog, "resumed", Phase.BACKING_OFF, Phase.READY)
        backlog.function.suspects.append(backlog)

    def give_up(self, backlog: Backlog) -> None:
        """What is in flight is dropped, or goes elsewhere; the address goes on with the next."""
        assert backlog.phase == IN_FLIGHT, _wrong(backlog, "gave up")
        backlog.tally.busy -= 1
        self._drop(backlog)

    def single_out(self, backlog: Backlog) -> None:
        """Have the first invocation of a parked address be its batch."""
        assert backlog.phase == PARKED, _wrong(backlog, "singled out")
        if not backlog.in_flight:
            backlog.in_flight, backlog.waiting = backlog.waiting[:1], backlog.waiting[1:]
            backlog.in_flight_bytes = total_size(backlog.in_flight)
            backlog.waiting_bytes -= backlog.in_flight_bytes
        assert len(backlog.in_flight) == 1, f"{backlog.address} is parked with a wide batch"

    def abandon(self, backlog: Backlog) -> None:
        """An operator gives up the batch of a parked address, which goes on with the next."""
        assert backlog.phase == PARKED, _wrong(backlog, "abandoned")
        assert backlog.in_flight
        backlog.tally.parked -= 1
        self._drop(backlog)

    def _drop(self, backlog: Backlog) -> None:
        tally = backlog.tally
        tally.waiting -= len(backlog.in_flight)
        self.waiting_bytes -= backlog.in_flight_bytes
        backlog.in_flight, backlog.in_flight_bytes = NOTHING, 0
        if backlog.waiting or backlog.spill is not None:
            tally.busy += 1
            backlog.phase = READY
            backlog.function.suspects.append(backlog)
        else:
            backlog.phase = IDLE

    # ── what is spilled ──

    def cut_tail(self, backlog: Backlog) -> tuple[Chunk, bytes]:
        """Make the tail of a spilled backlog a chunk; return it with the row that is to be written."""
        assert backlog.spill is not None
        chunk, row = backlog.spill.cut_tail()
        self.waiting_bytes -= chunk.size_bytes
        self.spilled_bytes += chunk.size_bytes
        return chunk, row

    def next_chunk(self, backlog: Backlog) -> Chunk | None:
        """Return the oldest chunk, which stays until it is refilled; without one the tail is put back into the head."""
        spill = backlog.spill
        assert spill is not None
        if spill.chunks:
            return spill.chunks[0]
        tail, spill.tail, spill.tail_bytes = spill.tail, [], 0
        _to_head(backlog, tail)
        return None

    def refill(self, backlog: Backlog, chunk: Chunk, invocations: list[bytes]) -> None:
        """Put the invocations of the oldest chunk back into the head."""
        assert backlog.spill is not None
        first = backlog.spill.chunks.popleft()
        assert first == chunk
        self.spilled_bytes -= chunk.size_bytes
        self.waiting_bytes += chunk.size_bytes
        _to_head(backlog, invocations)

    def put_away(self, backlog: Backlog) -> list[tuple[Chunk, list[bytes]]]:
        """Give up all that a parked address has in memory; return the chunks that it became, the last one first."""
        assert backlog.phase == PARKED, _wrong(backlog, "put away")
        spill = backlog.spill = backlog.spill or Spill()
        pieces = _pieces(backlog)
        size = backlog.in_flight_bytes + backlog.waiting_bytes
        self.waiting_bytes -= size
        self.spilled_bytes += size
        backlog.in_flight = backlog.waiting = NOTHING
        backlog.in_flight_bytes = backlog.waiting_bytes = 0
        return [(spill.put_in_front(piece), piece) for piece in reversed(pieces)]

    # ── what an earlier life left ──

    def restore_head(self, backlog: Backlog, invocations: list[bytes]) -> None:
        """Take back what a head's row held, all of it: chunks come behind it, however large it is."""
        assert not backlog.waiting
        backlog.waiting = invocations
        backlog.waiting_bytes = total_size(invocations)
        self.waiting_bytes += backlog.waiting_bytes
        backlog.tally.waiting += len(invocations)
        self._restored(backlog)

    def restore_chunk(self, backlog: Backlog, chunk: Chunk) -> bool:
        """Take back a chunk; return whether its address became ready by it, having had an empty head.

        Its address's head must have been restored before; its chunks come in order.
        """
        spill = backlog.spill = backlog.spill or Spill()
        spill.restore(chunk)
        self.spilled_bytes += chunk.size_bytes
        backlog.tally.waiting += chunk.count
        if backlog.phase != IDLE:
            return False
        self._restored(backlog)
        return True

    def _restored(self, backlog: Backlog) -> None:
        _move(backlog, "was restored", Phase.IDLE, Phase.READY)
        backlog.tally.busy += 1
        backlog.function.ready.append(backlog)

    def restore_parked(self, backlog: Backlog) -> None:
        """An address was parked when the last life ended, and still is; its backlog was restored before.

        The caller has it leave the queue of the ready ones.
        """
        assert not backlog.in_flight
        _move(backlog, "was restored as parked", Phase.READY, Phase.PARKED)
        backlog.tally.parked += 1
        backlog.tally.busy -= 1


def _move(backlog: Backlog, what: str, start: Phase, end: Phase) -> None:
    assert backlog.phase == start, _wrong(backlog, what)
    assert end in LEGAL_MOVES[start]
    backlog.phase = end.value


def _take(backlog: Backlog, batch_bytes_max: int) -> None:
    width = 0 if backlog.failing is None else backlog.failing.width
    if backlog.waiting_bytes <= batch_bytes_max and not width:
        backlog.in_flight, backlog.waiting = backlog.waiting, NOTHING
        backlog.in_flight_bytes, backlog.waiting_bytes = backlog.waiting_bytes, 0
        return
    _take_some(backlog, batch_bytes_max, width=width)


def _cut(backlog: Backlog, width: int) -> None:
    rest = backlog.in_flight[width:]
    rest_bytes = total_size(rest)
    backlog.in_flight, backlog.waiting = backlog.in_flight[:width], rest + backlog.waiting
    backlog.in_flight_bytes -= rest_bytes
    backlog.waiting_bytes += rest_bytes


def _take_some(backlog: Backlog, batch_bytes_max: int, *, width: int) -> None:
    count = size = 0
    for invocation in backlog.waiting:
        if count and (count == width or size + len(invocation) > batch_bytes_max):
            break
        count += 1
        size += len(invocation)
    backlog.in_flight, backlog.waiting = backlog.waiting[:count], backlog.waiting[count:]
    backlog.in_flight_bytes = size
    backlog.waiting_bytes -= size


def _to_head(backlog: Backlog, invocations: list[bytes]) -> None:
    assert backlog.spill is not None
    if backlog.waiting:
        backlog.waiting.extend(invocations)
    else:
        backlog.waiting = list(invocations)
    backlog.waiting_bytes += total_size(invocations)
    if backlog.spill.is_empty:
        backlog.spill = None


def _pieces(backlog: Backlog) -> list[list[bytes]]:
    """Return what an address has in memory, cut where chunks are to be cut."""
    pieces = [backlog.in_flight] if backlog.in_flight else []
    size = chunk_bytes = backlog.function.spilling.chunk_bytes
    for invocation in backlog.waiting:
        if size >= chunk_bytes:
            pieces.append([])
            size = 0
        pieces[-1].append(invocation)
        size += len(invocation)
    return pieces


def _wrong(backlog: Backlog, what: str) -> str:
    return f"{backlog.address} {what} in phase {Phase(backlog.phase).name}"
