"""Spilled backlogs: chunks go to the store as rows, and come back in order when the head is used up."""

from statefun_runtime.core.model.messages import split_fields
from statefun_runtime.core.partition.backlog import Backlog
from statefun_runtime.core.partition.partitions import Partitions
from statefun_runtime.engine.state.chunks import delete_chunk, read_chunk, write_chunk
from statefun_runtime.engine.state.states import States


class Spills:
    """Moves invocations between the tails of backlogs and the store."""

    def __init__(self, states: States, partitions: Partitions) -> None:
        self._states = states
        self._owned = partitions.owned
        self._tails: dict[Backlog, None] = {}

    def added(self, backlog: Backlog) -> None:
        """An invocation went to a tail; a long one becomes a chunk."""
        spill = backlog.spill
        assert spill is not None
        self._tails[backlog] = None
        if spill.tail_bytes >= backlog.function.spilling.chunk_bytes:
            self._cut(backlog)

    def cut_tails(self) -> None:
        """Write every tail as a chunk: a snapshot holds rows only."""
        for backlog in list(self._tails):
            if backlog.spill is not None and backlog.spill.tail:
                self._cut(backlog)
        self._tails.clear()

    def refill(self, backlog: Backlog, bytes_min: int) -> None:
        """Bring invocations back until the head holds so many bytes, or all.

        Raise UnavailableError if the store cannot be read; what was brought back until then stays.
        """
        partition = self._owned[backlog.owner]
        while backlog.spill is not None and backlog.waiting_bytes < bytes_min:
            chunk = partition.next_chunk(backlog)
            if chunk is None:
                self._tails.pop(backlog, None)
                return
            row = read_chunk(self._states, backlog.key, chunk)
            delete_chunk(self._states, backlog.key, chunk)
            partition.refill(backlog, chunk, list(split_fields(row)))

    def put_away(self, backlog: Backlog) -> None:
        """A parked address keeps nothing in memory."""
        self._states.touch(backlog)
        for chunk, piece in self._owned[backlog.owner].put_away(backlog):
            write_chunk(self._states, backlog.key, chunk, b"".join(piece))

    def _cut(self, backlog: Backlog) -> None:
        chunk, row = self._owned[backlog.owner].cut_tail(backlog)
        write_chunk(self._states, backlog.key, chunk, row)
        self._tails.pop(backlog, None)
