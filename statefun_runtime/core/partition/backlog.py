"""The backlog of one address: one batch in flight at most, everything that came meanwhile waits.

    ┌─────── settle, nothing waits ────────┐
    ▼                                      │
  IDLE ──deliver──▶ READY ──begin──▶ IN_FLIGHT ──settle, more waits──▶ READY
                     ▲  ▲  ▲            │
                     │  │  └─── unsettle, at once · narrow, its half ─┤
                     │  └──resume── BACKING_OFF ◀──unsettle, pause ───┤
                     └─────resume──── PARKED ◀── unsettle, too often ─┘
                                        └──abandon──▶ READY or IDLE

Invariants: an address is in exactly one phase; invocations leave in the order in which they were delivered, and
leave the backlog only when the reply to them is settled or they are given up; a failed batch is sent again with the
same invocations, or with the first half of them; only that and the byte cap cut a batch, and never inside an
invocation.

What waits is in memory up to a limit (`head_bytes_max`). Behind that it is spilled: cut into chunks, which are rows of the
store, read back in order as the head is used up. Nothing overtakes a spilled invocation. A parked address is put away:
all of it is in chunks, and its memory is for the others.

    in flight · waiting (the head, one row in a snapshot) · chunks (a row each) · tail (becomes the next chunk)
"""

from enum import IntEnum
from typing import TYPE_CHECKING

from statefun_runtime.core.model.address import Address
from statefun_runtime.core.model.messages import total_size
from statefun_runtime.core.model.state import Values
from statefun_runtime.core.partition.failure_state import RENEWED_WHEN_SENT, Trouble
from statefun_runtime.core.partition.spill import Spill

if TYPE_CHECKING:
    from statefun_runtime.core.model.function import Function


class Phase(IntEnum):
    """Where an address stands between two requests."""

    IDLE = 0
    READY = 1
    IN_FLIGHT = 2
    BACKING_OFF = 3
    PARKED = 4


LEGAL_MOVES: dict[Phase, tuple[Phase, ...]] = {
    Phase.IDLE: (Phase.READY,),
    Phase.READY: (Phase.IN_FLIGHT, Phase.PARKED),
    Phase.IN_FLIGHT: (Phase.IDLE, Phase.READY, Phase.BACKING_OFF, Phase.PARKED),
    Phase.BACKING_OFF: (Phase.READY,),
    Phase.PARKED: (Phase.READY, Phase.IDLE),
}

# Plain numbers for the hot path: an attribute of an enum class costs as much as the move itself.
IDLE, READY, IN_FLIGHT, BACKING_OFF, PARKED = (phase.value for phase in Phase)


class Backlog:
    """One address: its values, and the invocations that are in flight and that wait.

    `values` is None as long as the address was not read from the store; `is_recent` is the mark of the cache's
    second chance; `is_slow` that its last request ran long, `is_suspect` that the
    request in flight counts as one that may hold others up; `is_touched` that the next cut has to look at it, and
    `has_row` that the last one left a row of its head; `has_unsaved_stamp` says that the last invocation is later than the stored row knows; `sent_states`
    is how many states the function type had when the request in flight was made.
    """

    __slots__ = (
        "function",
        "has_row",
        "has_unsaved_stamp",
        "id",
        "in_flight",
        "in_flight_bytes",
        "is_recent",
        "is_slow",
        "is_suspect",
        "is_touched",
        "key",
        "phase",
        "sent_states",
        "spill",
        "started_s",
        "trouble",
        "values",
        "waiting",
        "waiting_bytes",
    )

    def __init__(self, function: "Function", function_id: str, key: bytes) -> None:
        self.function = function
        self.id = function_id
        self.key = key
        self.values: Values | None = None
        self.phase: int = IDLE
        self.waiting: list[bytes] = []
        self.waiting_bytes = 0
        self.in_flight: list[bytes] = []
        self.in_flight_bytes = 0
        self.started_s = 0.0
        self.is_recent = True
        self.is_slow = False
        self.is_suspect = False
        self.has_unsaved_stamp = False
        self.sent_states = 0
        self.spill: Spill | None = None
        self.is_touched = False
        self.has_row = False
        self.trouble: Trouble | None = None

    @property
    def address(self) -> Address:
        """The address as a value, for logs and errors."""
        return Address(self.function.type, self.id)

    def deliver(self, invocation: bytes) -> bool:
        """Take an invocation; return whether the address was idle and is ready now."""
        if self.spill is not None or self.waiting_bytes >= self.function.spilling.head_bytes_max:
            self.spill = self.spill or Spill()
            self.spill.add(invocation)
            return False
        self.waiting.append(invocation)
        self.waiting_bytes += len(invocation)
        if self.phase != IDLE:
            return False
        self.phase = READY
        return True

    def begin(self, now_s: float, batch_bytes_max: int) -> list[bytes]:
        """Move to IN_FLIGHT; return the invocations to send: the failed batch again, or what waits."""
        assert self.phase == READY, f"{self.address} began in phase {Phase(self.phase).name}"
        self.phase = IN_FLIGHT
        self.started_s = now_s
        if not self.in_flight:
            self._take(batch_bytes_max)
        return self.in_flight

    def _take(self, batch_bytes_max: int) -> None:
        width = 0 if self.trouble is None else self.trouble.width
        if self.waiting_bytes <= batch_bytes_max and not width:
            self.in_flight, self.waiting = self.waiting, []
            self.in_flight_bytes, self.waiting_bytes = self.waiting_bytes, 0
            return
        count = size = 0
        for invocation in self.waiting:
            if count and (count == width or size + len(invocation) > batch_bytes_max):
                break
            count += 1
            size += len(invocation)
        self.in_flight, self.waiting = self.waiting[:count], self.waiting[count:]
        self.in_flight_bytes = size
        self.waiting_bytes -= size

    def settle(self) -> bool:
        """The batch in flight is done; return whether more waits, so that the address is ready again."""
        assert self.phase == IN_FLIGHT, f"{self.address} settled in phase {Phase(self.phase).name}"
        self.in_flight = []
        self.in_flight_bytes = 0
        if self.trouble is not None:
            self.trouble = self.trouble.settled()
        if self.waiting or self.spill is not None:
            self.phase = READY
            return True
        self.phase = IDLE
        return False

    def again(self) -> None:
        """The batch in flight is to be sent once more, at once: the function asked for state."""
        assert self.phase == IN_FLIGHT, (
            f"{self.address} asked again in phase {Phase(self.phase).name}"
        )
        self.phase = READY

    def unsettle(self, to: Phase) -> None:
        """The batch in flight is to be sent once more: at once (READY), after a pause, or when no longer parked."""
        assert self.phase == IN_FLIGHT, f"{self.address} failed in phase {Phase(self.phase).name}"
        assert to in LEGAL_MOVES[Phase.IN_FLIGHT]
        assert self.in_flight
        self.phase = to.value

    def narrow(self) -> None:
        """The batch in flight fails as a whole: its first half is to be sent alone, the rest waits in front of all."""
        assert self.phase == IN_FLIGHT, f"{self.address} failed in phase {Phase(self.phase).name}"
        assert self.trouble is not None
        width = len(self.in_flight) // 2
        assert width, f"{self.address} has nothing to narrow down"
        rest = self.in_flight[width:]
        rest_bytes = total_size(rest)
        self.in_flight, self.waiting = self.in_flight[:width], rest + self.waiting
        self.in_flight_bytes -= rest_bytes
        self.waiting_bytes += rest_bytes
        self.trouble.width = width
        self.trouble.circuit_times = RENEWED_WHEN_SENT
        self.phase = READY

    def set_aside(self, trouble: Trouble) -> None:
        """The address was parked when the last life ended, and still is."""
        assert self.phase == READY, f"{self.address} set aside in phase {Phase(self.phase).name}"
        assert not self.in_flight
        self.trouble = trouble
        self.phase = PARKED

    def put_away(self) -> list[list[bytes]]:
        """Give up all that a parked address has in memory; return it in pieces, each to be a chunk."""
        assert self.phase == PARKED, f"{self.address} put away in phase {Phase(self.phase).name}"
        pieces = [self.in_flight] if self.in_flight else []
        chunk_bytes = self.function.spilling.chunk_bytes
        size = chunk_bytes
        for invocation in self.waiting:
            if size >= chunk_bytes:
                pieces.append([])
                size = 0
            pieces[-1].append(invocation)
            size += len(invocation)
        self.in_flight, self.waiting = [], []
        self.in_flight_bytes = self.waiting_bytes = 0
        return pieces

    def single_out(self) -> None:
        """Have the first invocation of a parked address be its batch."""
        assert self.phase == PARKED, f"{self.address} singled out in phase {Phase(self.phase).name}"
        assert self.trouble is not None
        self.trouble.width = 1
        if not self.in_flight:
            self._take(self.function.spilling.head_bytes_max)
        assert len(self.in_flight) == 1, f"{self.address} is parked with a wide batch"

    def abandon(self) -> bool:
        """Give up the batch of a parked address; return whether more waits, so that the address is ready."""
        assert self.phase == PARKED, f"{self.address} abandoned in phase {Phase(self.phase).name}"
        self.phase = IN_FLIGHT
        return self.settle()

    def resume(self) -> None:
        """The pause is over."""
        assert self.phase in (BACKING_OFF, PARKED), (
            f"{self.address} resumed in phase {Phase(self.phase).name}"
        )
        self.phase = READY

    def restore(self, invocations: list[bytes]) -> None:
        """Take back what a head's row held, all of it: chunks come behind it, however large it is."""
        assert self.phase == IDLE
        assert not self.waiting
        self.waiting = invocations
        self.waiting_bytes = total_size(invocations)
        self.phase = READY

    def head(self) -> tuple[list[bytes], list[bytes], int]:
        """Return what a snapshot's row holds, without copying: a batch still out belongs to it.

        The lists are only ever appended to or replaced, so the first and the given number of the second stay.
        """
        return self.in_flight, self.waiting, len(self.waiting)

    def refill(self, invocations: list[bytes]) -> None:
        """Put the invocations of the oldest chunk, or of the tail, back into the head."""
        spill = self.spill
        assert spill is not None
        self.waiting.extend(invocations)
        self.waiting_bytes += total_size(invocations)
        if spill.is_empty:
            self.spill = None

    @property
    def waiting_count(self) -> int:
        """How many invocations wait, wherever they are."""
        return len(self.waiting) + (self.spill.count if self.spill is not None else 0)
