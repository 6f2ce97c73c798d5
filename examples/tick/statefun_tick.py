"""An ingress that sends a number at regular intervals, and an egress that appends lines to a file.

`example.tick.v1/ingress`: the number is the ingress's position, so a worker that starts again goes on where its
checkpoint was taken: a function may see a number again after a crash, and the effects of each count once.

`example.tick.v1/egress`: a record is a line of text, of type `example.tick/Line`. Lines are written at once; those that
were not when the worker was killed are in its last checkpoint, and written by its next life, perhaps twice.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from statefun_runtime.components import (
    ComponentKind,
    DirectOutbox,
    EgressBuildContext,
    Fields,
    IngressBuildContext,
    IngressEncoder,
    Metric,
    MetricKind,
    Position,
    RecordForm,
    RecordRefused,
    Role,
    Shape,
    TypeName,
    read_id,
)

LINE_TYPE = "example.tick/Line"
INGRESS_SHAPE = Shape("tick ingress", ("id", "every", "function", "valueType", "targets"))
EGRESS_SHAPE = Shape("line egress", ("id", "file"))
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

    def build(self, context: IngressBuildContext) -> "TickIngress":
        """Return the ingress."""
        return TickIngress(self, context)


def read_ticks(fields: Fields) -> TickSpec | None:
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
        restored = context.restored.get(_SPLIT, 0)
        assert isinstance(restored, int), "this is no position of ours"
        self._next = restored
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

    def completed(self, positions: Mapping[str, Position]) -> None:
        """Nobody outside wants to know."""

    async def close(self) -> None:
        """There is nothing to leave."""


@dataclass(frozen=True, slots=True)
class LineSpec:
    """Lines go to a file."""

    id: TypeName
    file: str

    def build(self, context: EgressBuildContext) -> "LineEgress":
        """Return the egress."""
        return LineEgress(self)


def read_lines(fields: Fields) -> LineSpec | None:
    """Read the fields below `spec`."""
    egress_id = read_id(fields, "egress id")
    file = fields.text("file", required=True)
    return None if egress_id is None or file is None else LineSpec(egress_id, file)


FORM: RecordForm[str] = RecordForm(str.encode, bytes.decode, len)


class LineEgress:
    """An EgressSink whose records leave at once, all in one order."""

    def __init__(self, spec: LineSpec) -> None:
        self._file = Path(spec.file)
        self._has_lines = asyncio.Event()
        self.outbox: DirectOutbox[str, str] = DirectOutbox(
            FORM, lambda line: "the file", on_ready=self._has_lines.set
        )
        self._written = 0

    def prepare(self, typename: str, value: bytes) -> str:
        """Return the line; what is none is refused, and fails the reply that has it."""
        if typename != LINE_TYPE:
            raise RecordRefused(f"a record must be of type '{LINE_TYPE}', found '{typename}'")
        try:
            line = value.decode()
        except ValueError as error:
            raise RecordRefused(f"a line must be UTF-8: {error}") from error
        if "\n" in line:
            raise RecordRefused("a line must not hold another one")
        return line

    async def run(self) -> None:
        """Write lines until cancelled; those that come meanwhile are written together."""
        while True:
            await self._has_lines.wait()
            self._has_lines.clear()
            for queue in self.outbox.take():
                while lines := list(queue.waiting):
                    await asyncio.to_thread(self._append, lines)
                    self.outbox.acknowledged(queue, len(lines))
                    self._written += len(lines)
                self.outbox.emptied(queue)

    def _append(self, lines: Sequence[str]) -> None:
        with self._file.open("a", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in lines)

    def metrics(self) -> Iterator[Metric]:
        """Return what was written."""
        yield Metric(
            "statefun_egress_records", MetricKind.COUNTER, "records that left", self._written
        )

    async def close(self) -> None:
        """There is nothing to leave."""


KINDS = (
    ComponentKind("example.tick.v1/ingress", Role.INGRESS, INGRESS_SHAPE, read_ticks),
    ComponentKind("example.tick.v1/egress", Role.EGRESS, EGRESS_SHAPE, read_lines),
)
