"""Spilled backlogs: chunks go to the store as rows, and come back in order when the head is used up."""

from statefun_runtime.core.model.messages import split_fields
from statefun_runtime.core.partition.backlog import Backlog
from statefun_runtime.core.partition.backpressure import Load
from statefun_runtime.core.partition.spill import Chunk, Spill
from statefun_runtime.engine.state.chunks import delete_chunk, read_chunk, write_chunk
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
        """Bring invocations back until the head holds so many bytes, or all.

        Raise UnavailableError if the store cannot be read; what was brought back until then stays.
        """
        while backlog.spill is not None and backlog.waiting_bytes < bytes_min:
            spill = backlog.spill
            if not spill.chunks:
                self._take_tail(backlog, spill)
                return
            chunk = spill.chunks[0]
            row = read_chunk(self._states, backlog.key, chunk)
            spill.chunks.popleft()
            delete_chunk(self._states, backlog.key, chunk)
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
            write_chunk(self._states, backlog.key, chunk, b"".join(piece))
            self._load.spilled_bytes += chunk.size_bytes
            self._load.waiting_bytes -= chunk.size_bytes

    def restore(self, backlog: Backlog, chunk: Chunk) -> None:
        """Take a chunk of an earlier life, in order of sequences."""
        spill = backlog.spill
        if spill is None:
            spill = backlog.spill = Spill()
        spill.restore(chunk)
        self._load.spilled_bytes += chunk.size_bytes

    def _take_tail(self, backlog: Backlog, spill: Spill) -> None:
        tail, spill.tail, spill.tail_bytes = spill.tail, [], 0
        self._tails.pop(backlog, None)
        backlog.refill(tail)

    def _cut(self, backlog: Backlog, spill: Spill) -> None:
        chunk, row = spill.cut_tail()
        write_chunk(self._states, backlog.key, chunk, row)
        self._load.spilled_bytes += chunk.size_bytes
        self._load.waiting_bytes -= chunk.size_bytes
        self._tails.pop(backlog, None)
