"""The backlog of one address: one batch in flight at most, everything that came meanwhile waits.

    ┌─────── settle, nothing waits ────────┐
    ▼                                      │
  IDLE ──deliver──▶ READY ──begin──▶ IN_FLIGHT ──settle, more waits──▶ READY
                    ▲  ▲ ▲              │
                    │  │ └── again · narrow ───────────────────────────┤
                    │  └──resume── BACKING_OFF ◀── back_off ───────────┤
                    └─────resume──── PARKED ◀── park ──────────────────┘
                      READY · BACKING_OFF ──withdraw──▶ PARKED ──abandon──▶ READY or IDLE

Invariants: an address is in exactly one phase; invocations leave in the order in which they were delivered, and
leave the backlog only when the reply to them is settled or they are given up; a failed batch is sent again with the
same invocations, or with the first half of them; only that and the byte cap cut a batch, and never inside an
invocation.

What waits is in memory up to a limit (`head_bytes_max`). Behind that it is spilled: cut into chunks, which are rows
of the store, read back in order as the head is used up. Nothing overtakes a spilled invocation. A parked address is
put away: all of it is in chunks, and its memory is for the others.

    in flight · waiting (the head, one row in a snapshot) · chunks (a row each) · tail (becomes the next chunk)

Here is what is known about an address. It is changed by the partition that owns the address, and by nobody else.
"""

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Never, SupportsIndex
from urllib.parse import quote

from statefun_runtime.core.model.address import Address, TypeName
from statefun_runtime.core.model.messages import address_field
from statefun_runtime.core.model.metrics import Histogram
from statefun_runtime.core.model.state import StateSchema, Values
from statefun_runtime.core.module.specs import EndpointSpec
from statefun_runtime.core.partition.circuit import Circuit
from statefun_runtime.core.partition.failure_state import FailureState
from statefun_runtime.core.partition.spill import SPILL_LIMITS, Spill, SpillLimits

_LITERAL_IN_URLS = "-._~!$&'()*+,;="


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
    Phase.BACKING_OFF: (Phase.READY, Phase.PARKED),
    Phase.PARKED: (Phase.READY, Phase.IDLE),
}

# Plain numbers for the hot path: an attribute of an enum class costs as much as the move itself.
IDLE, READY, IN_FLIGHT, BACKING_OFF, PARKED = (phase.value for phase in Phase)


class _Nothing(list[bytes]):
    """No invocations: what all addresses have that have none, so it refuses any."""

    def append(self, invocation: bytes) -> Never:
        raise AssertionError("an invocation for all addresses at once")

    def extend(self, invocations: Iterable[bytes]) -> Never:
        raise AssertionError("invocations for all addresses at once")

    def insert(self, index: SupportsIndex, invocation: bytes) -> Never:
        raise AssertionError("an invocation for all addresses at once")


# Two lists of its own for each address in memory, made anew for each batch, are most of what a collector has to look at.
NOTHING: list[bytes] = _Nothing()


class Tally:
    """What a partition counts of one function type: what came in, what waits, addresses with work, those parked."""

    __slots__ = ("busy", "function", "parked", "received", "waiting")

    def __init__(self, function: "Function") -> None:
        self.function = function
        self.received = 0
        self.waiting = 0
        self.busy = 0
        self.parked = 0


class Backlog:
    """One address: its values, and the invocations that are in flight and that wait.

    `owner` is the number of the partition that owns it, and `tally` is where that counts it. `values` is None as long as the address was not read
    from the store; `is_recent` is the mark of the cache's second chance: that it was called again while it was in memory; `is_slow` that its last request ran long,
    `is_suspect` that the request in flight counts as one that may hold others up; `is_touched` that the next cut has
    to look at it, and `has_row` that the last one left a row of its head; `has_unsaved_stamp` says that the last
    invocation is later than the stored row knows; `sent_states` is how many states the function type had when the
    request in flight was made; `failing` is there from a failed attempt on, until one goes well.
    """

    __slots__ = (
        "failing",
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
        "owner",
        "phase",
        "sent_states",
        "spill",
        "started_s",
        "tally",
        "values",
        "waiting",
        "waiting_bytes",
    )

    def __init__(self, owner: int, tally: Tally, function_id: str, key: bytes) -> None:
        self.owner = owner
        self.tally = tally
        self.function = tally.function
        self.id = function_id
        self.key = key
        self.values: Values | None = None
        self.phase: int = IDLE
        self.waiting = NOTHING
        self.waiting_bytes = 0
        self.in_flight = NOTHING
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
        self.failing: FailureState | None = None

    @property
    def goes_alone(self) -> bool:
        """Whether it failed or ran long, so that others are not to wait for it."""
        return self.is_slow or self.failing is not None

    @property
    def address(self) -> Address:
        """The address as a value, for logs and errors."""
        return Address(self.function.type, self.id)

    def head(self) -> tuple[list[bytes], list[bytes], int]:
        """Return what a snapshot's row holds, without copying: a batch still out belongs to it.

        The lists are only ever appended to or replaced, so the first and the given number of the second stay.
        """
        return self.in_flight, self.waiting, len(self.waiting)

    @property
    def waiting_count(self) -> int:
        """How many invocations wait, wherever they are."""
        return len(self.waiting) + (self.spill.count if self.spill is not None else 0)


@dataclass(slots=True)
class Counts:
    """What is counted per function type, under StateFun's names; plain numbers, read when scraped."""

    out_local: int = 0
    out_egress: int = 0
    requests: int = 0
    bundles: int = 0
    bundled: int = 0
    failures: dict[str, int] = field(default_factory=dict)
    skipped: int = 0
    dead_letters: int = 0
    latency_ms: Histogram = field(default_factory=Histogram)


def _nobody() -> None:
    raise AssertionError("the function has no dispatcher yet")


class Function:
    """A function type.

    `backlogs` holds every address that is busy, and idle ones as a cache of their values; `ready` those that wait
    for a connection, in the order in which they became ready, and `suspects` those of them that have failed.
    `tallies` are what each partition counts; `circuit` says whether the endpoint fails for everyone. `wake` has to be called soon after `ready` got an entry, once; `is_awake` remembers that it will be.
    """

    __slots__ = (
        "_prefixes",
        "backlogs",
        "circuit",
        "counts",
        "endpoint",
        "is_awake",
        "ready",
        "schema",
        "spilling",
        "suspects",
        "tallies",
        "type",
        "url",
        "wake",
    )

    def __init__(
        self,
        function_type: TypeName,
        endpoint: EndpointSpec,
        spilling: SpillLimits = SPILL_LIMITS,
    ) -> None:
        self.type = function_type
        self.endpoint = endpoint
        self.spilling = spilling
        # Names come from outside: what could not stand in a URL is percent-encoded.
        name = quote(function_type.name, safe=_LITERAL_IN_URLS)
        self.url = endpoint.url_template.replace("{function.name}", name)
        self.schema = StateSchema()
        self.backlogs: dict[str, Backlog] = {}
        self.ready: deque[Backlog] = deque()
        self.suspects: deque[Backlog] = deque()
        self.tallies: list[Tally] = []
        self.circuit = Circuit()
        self.is_awake = False
        self.wake: Callable[[], None] = _nobody
        self.counts = Counts()
        # The bytes of an address in front of its id depend on the id's length alone.
        self._prefixes: dict[int, bytes] = {}

    def address_field(self, function_id: str) -> bytes:
        """Return the encoded address of one function of this type, as a target or a caller."""
        content = function_id.encode()
        size = len(content)
        prefix = self._prefixes.get(size)
        if prefix is None:
            whole = address_field(self.type, function_id)
            prefix = whole[: len(whole) - size]
            if len(self._prefixes) < 1024:
                self._prefixes[size] = prefix
        return prefix + content

    @property
    def is_down(self) -> bool:
        """Whether the endpoint fails for everyone."""
        return not self.circuit.is_closed

    @property
    def received(self) -> int:
        """How many messages were delivered."""
        return sum(tally.received for tally in self.tallies)

    @property
    def waiting(self) -> int:
        """How many messages wait or are in flight."""
        return sum(tally.waiting for tally in self.tallies)

    @property
    def busy(self) -> int:
        """How many addresses have work and are not set aside."""
        return sum(tally.busy for tally in self.tallies)

    @property
    def parked(self) -> int:
        """How many addresses are set aside."""
        return sum(tally.parked for tally in self.tallies)

    def __str__(self) -> str:
        return str(self.type)
