"""`example.tick.v1/ingress`: sends a number to some functions at regular intervals.

The number is the ingress's position, so a worker that starts again goes on where its checkpoint was taken: a function
may see a number again after a crash, and the effects of each count once.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass

from statefun_runtime.components import (
    ComponentKind,
    Fields,
    IngressBuildContext,
    IngressEncoder,
    Metric,
    MetricKind,
    Role,
    Shape,
    TypeName,
    read_id,
)

SHAPE = Shape("tick ingress", ("id", "every", "function", "valueType", "targets"))
_SPLIT = "ticks"
_SECOND_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class TickSpec:
    """A number every `every_s` seconds to the function `function` of each target."""

    id: TypeName
    every_s: float
    function: str
    value_type: str
    targets: tuple[TypeName, ...]


def read(fields: Fields) -> TickSpec | None:
    """Read the fields below `spec`; what is wrong is reported through `fields`, and makes None of it all."""
    ingress_id = read_id(fields, "ingress id")
    every_ns = fields.positive_duration_ns("every")
    targets = [
        (fields.parse_typename("target", scalar), scalar.place)
        for scalar in fields.texts("targets") or ()
    ]
    for target, place in targets:
        if target is not None:
            # A target that no endpoint serves is warned of.
            fields.draft.route(target, place)
    if ingress_id is None:
        return None
    return TickSpec(
        ingress_id,
        (every_ns or _SECOND_NS) / _SECOND_NS,
        fields.text("function") or "clock",
        fields.text("valueType") or "example.tick/Number",
        tuple(target for target, _ in targets if target is not None),
    )


class TickIngress:
    """An IngressSource with one split, whose next position is the next number."""

    def __init__(self, spec: TickSpec, context: IngressBuildContext) -> None:
        self._spec = spec
        self._context = context.ingress
        self._encoder = IngressEncoder(spec.value_type)
        self._next = context.restored.get(_SPLIT, 0)
        self._sent = 0

    async def start(self) -> None:
        """There is nothing to wait for."""

    async def run(self) -> None:
        """Send numbers until cancelled; while the worker has too much to do, wait."""
        while True:
            if not self._context.is_open():
                await self._context.opened()
            self._tick()
            await asyncio.sleep(self._spec.every_s)

    def _tick(self) -> None:
        invocation = self._encoder.encode(str(self._next).encode())
        for target in self._spec.targets:
            function = self._context.resolve(target)
            if function is not None:
                self._context.deliver(function, self._spec.function, invocation)
        # No await stands between delivering and counting: a checkpoint sees both or none.
        self._next += 1
        self._sent += 1

    def positions(self) -> dict[str, int]:
        """Return the next number."""
        return {_SPLIT: self._next}

    def metrics(self) -> Iterator[Metric]:
        """Return what was sent."""
        yield Metric("statefun_ingress_records", MetricKind.COUNTER, "records routed", self._sent)

    def completed(self, positions: dict[str, int]) -> None:
        """Nobody outside wants to know."""

    async def close(self) -> None:
        """There is nothing to leave."""


KIND = ComponentKind("example.tick.v1/ingress", Role.INGRESS, SHAPE, read, TickIngress)
