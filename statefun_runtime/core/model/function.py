"""One function type as the runtime knows it: its endpoint, its state schema, its addresses in memory."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import quote

from statefun_runtime.core.model.address import TypeName
from statefun_runtime.core.model.messages import address_field
from statefun_runtime.core.model.metrics import Histogram
from statefun_runtime.core.model.state import StateSchema
from statefun_runtime.core.module.specs import EndpointSpec
from statefun_runtime.core.partition.backlog import Backlog, Tally
from statefun_runtime.core.partition.circuit import Circuit
from statefun_runtime.core.partition.spill import SPILL_LIMITS, SpillLimits

_LITERAL_IN_URLS = "-._~!$&'()*+,;="


@dataclass(slots=True)
class Counts:
    """What is counted per function type, under StateFun's names; plain numbers, read when scraped."""

    out_local: int = 0
    out_egress: int = 0
    requests: int = 0
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
        "_heads",
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
        self.circuit = Circuit(asked_max_s=endpoint.transport.call_s)
        self.is_awake = False
        self.wake: Callable[[], None] = _nobody
        self.counts = Counts()
        # The bytes of an address in front of its id depend on the id's length alone.
        self._heads: dict[int, bytes] = {}

    def address_field(self, function_id: str) -> bytes:
        """Return the encoded address of one function of this type, as a target or a caller."""
        content = function_id.encode()
        size = len(content)
        head = self._heads.get(size)
        if head is None:
            whole = address_field(self.type, function_id)
            head = whole[: len(whole) - size]
            if len(self._heads) < 1024:
                self._heads[size] = head
        return head + content

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
