"""What of a backlog is not in memory: chunks, which are rows of the store, and a tail that becomes the next chunk.

Beside each chunk lies a small row which says how much is in it, so that a restart reads no chunk.
"""

from collections import deque
from dataclasses import dataclass

from statefun_runtime.core.model.messages import read_varint, total_size, varint

# Chunks are numbered upwards from here, and downwards where they are put in front.
MIDDLE_SEQUENCE = 1 << 32


@dataclass(frozen=True, slots=True)
class SpillLimits:
    """How much of a backlog is in memory, and how large the pieces are in which the rest is stored."""

    head_bytes_max: int = 2 * 1024 * 1024
    chunk_bytes: int = 256 * 1024


SPILL_LIMITS = SpillLimits()


@dataclass(frozen=True, slots=True)
class Chunk:
    """A row of spilled invocations."""

    sequence: int
    count: int
    size_bytes: int

    def index_row(self) -> bytes:
        """Return the row that says how much is in it."""
        return varint(self.count) + varint(self.size_bytes)

    @classmethod
    def of_index(cls, sequence: int, row: bytes) -> "Chunk":
        """Return the chunk that such a row is about."""
        count, offset = read_varint(row, 0)
        size_bytes, _ = read_varint(row, offset)
        return cls(sequence, count, size_bytes)


class Spill:
    """What of a backlog is not in its head."""

    __slots__ = ("chunks", "first_sequence", "last_sequence", "tail", "tail_bytes")

    def __init__(self) -> None:
        self.chunks: deque[Chunk] = deque()
        self.tail: list[bytes] = []
        self.tail_bytes = 0
        self.first_sequence = MIDDLE_SEQUENCE + 1
        self.last_sequence = MIDDLE_SEQUENCE

    def put_in_front(self, invocations: list[bytes]) -> Chunk:
        """Make invocations the first chunk."""
        self.first_sequence -= 1
        chunk = Chunk(self.first_sequence, len(invocations), total_size(invocations))
        self.chunks.appendleft(chunk)
        return chunk

    def restore(self, chunk: Chunk) -> None:
        """Take back a chunk of an earlier life; they come in order."""
        if not self.chunks:
            self.first_sequence = chunk.sequence
        self.last_sequence = chunk.sequence
        self.chunks.append(chunk)

    def add(self, invocation: bytes) -> None:
        """Take an invocation behind all others."""
        self.tail.append(invocation)
        self.tail_bytes += len(invocation)

    def cut_tail(self) -> tuple[Chunk, bytes]:
        """Make the tail a chunk; return it with the row that is to be written."""
        self.last_sequence += 1
        chunk = Chunk(self.last_sequence, len(self.tail), self.tail_bytes)
        row = b"".join(self.tail)
        self.chunks.append(chunk)
        self.tail, self.tail_bytes = [], 0
        return chunk, row

    @property
    def is_empty(self) -> bool:
        """Whether nothing is spilled any more."""
        return not self.chunks and not self.tail

    @property
    def count(self) -> int:
        """How many invocations are spilled."""
        return sum(chunk.count for chunk in self.chunks) + len(self.tail)
