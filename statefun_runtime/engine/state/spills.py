"""Spilled backlogs: chunks go to the store as rows, and come back in order when the head is used up."""

from statefun_runtime.core.model.keys import chunk_key_of
from statefun_runtime.core.model.messages import split_fields
from statefun_runtime.core.partition.backlog import Backlog
from statefun_runtime.core.partition.backpressure import Load
from statefun_runtime.core.partition.spill import Chunk, Spill
from statefun_runtime.engine.state.states import States


class Spills:
    """Moves invocations between the tails of backlogs and the store."""

    def __init__(self, states: States, load: Load) -> None:
        self._states = states
        self._load = load
        self._tails: dict[Backlog, None] = {}

    def added(self, backlog: Backlog) -> None:
        """An invocation went to a tail; a long one becomes a chunk."""
        spill = backlog.spill
        assert spill is not None
        self._tails[backlog] = None
        if spill.tail_bytes >= backlog.function.spilling.chunk_bytes:
            self._cut(backlog, spill)

    def cut_tails(self) -> None:
        """Write every tail as a chunk: a snapshot holds rows only."""
        for backlog in list(self._tails):
            if backlog.spill is not None and backlog.spill.tail:
                self._cut(backlog, backlog.spill)
        self._tails.clear()

    def refill(self, backlog: Backlog, bytes_min: int) -> None:
        """Bring invocations back until the head holds so many bytes, or all."""
        while backlog.spill is not None and backlog.waiting_bytes < bytes_min:
            spill = backlog.spill
            if not spill.chunks:
                self._take_tail(backlog, spill)
                return
            chunk = spill.chunks.popleft()
            key = chunk_key_of(backlog.key, chunk.sequence)
            row = self._states.read(key)
            assert row is not None, f"{backlog.address} has lost chunk {chunk.sequence}"
            self._states.write(key, None)
            self._load.spilled_bytes -= chunk.size_bytes
            self._load.waiting_bytes += chunk.size_bytes
            backlog.refill(list(split_fields(row)))

    def put_away(self, backlog: Backlog) -> None:
        """A parked address keeps nothing in memory."""
        self._states.touch(backlog)
        pieces = backlog.put_away()
        if backlog.spill is None:
            backlog.spill = Spill()
        for piece in reversed(pieces):
            chunk = backlog.spill.put_in_front(piece)
            self._states.write(chunk_key_of(backlog.key, chunk.sequence), b"".join(piece))
            self._load.spilled_bytes += chunk.size_bytes
            self._load.waiting_bytes -= chunk.size_bytes

    def restore(self, backlog: Backlog, sequence: int, row: bytes) -> int:
        """Take a chunk of an earlier life, in order of sequences; return how many invocations it holds."""
        spill = backlog.spill
        if spill is None:
            spill = backlog.spill = Spill()
        chunk = Chunk(sequence, sum(1 for _ in split_fields(row)), len(row))
        spill.restore(chunk)
        self._load.spilled_bytes += chunk.size_bytes
        return chunk.count

    def _take_tail(self, backlog: Backlog, spill: Spill) -> None:
        tail, spill.tail, spill.tail_bytes = spill.tail, [], 0
        self._tails.pop(backlog, None)
        backlog.refill(tail)

    def _cut(self, backlog: Backlog, spill: Spill) -> None:
        chunk, row = spill.cut_tail()
        self._states.write(chunk_key_of(backlog.key, chunk.sequence), row)
        self._load.spilled_bytes += chunk.size_bytes
        self._load.waiting_bytes -= chunk.size_bytes
        self._tails.pop(backlog, None)
