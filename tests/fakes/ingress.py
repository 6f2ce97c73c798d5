"""The IngressSource port on lists, and an IngressContext that remembers what it was given."""

import asyncio
from collections.abc import Iterator, Mapping

from statefun_runtime.core.model.address import Address, TypeName
from statefun_runtime.core.model.dead_letter import Origin
from statefun_runtime.core.model.idempotency import Repeat
from statefun_runtime.core.model.messages import IngressEncoder
from statefun_runtime.core.model.metrics import Metric, MetricKind
from statefun_runtime.core.model.position import Position, whole_numbers
from statefun_runtime.core.module.specs import DeadLetterRoute
from statefun_runtime.core.partition.backlog import Function
from statefun_runtime.errors import UnavailableError
from statefun_runtime.ports.ingress import IngressContext
from statefun_runtime.ports.module import ModuleSpec

LogRecord = tuple[bytes | None, bytes | None]


class FakeLog:
    """Splits of (key, value) records; a test appends, whoever reads is woken."""

    def __init__(self, splits: int = 1) -> None:
        self.splits: list[list[LogRecord]] = [[] for _ in range(splits)]
        self._is_changed = asyncio.Event()

    def append(self, split: int, *records: LogRecord) -> None:
        self.splits[split] += records
        self._is_changed.set()

    async def changed(self) -> None:
        await self._is_changed.wait()
        self._is_changed.clear()


class FakeIngress:
    """An IngressSource that reads a FakeLog for one target."""

    def __init__(
        self,
        log: FakeLog,
        context: IngressContext,
        target: TypeName,
        value_type: str,
        restored: Mapping[str, Position],
    ) -> None:
        self._log = log
        self._context = context
        self._target = target
        self._encoder = IngressEncoder(value_type)
        self._positions = {
            str(split): whole_numbers(restored).get(str(split), 0)
            for split in range(len(log.splits))
        }
        self._routed = 0
        self._skipped = 0

    async def start(self) -> None:
        pass

    async def run(self) -> None:
        while True:
            for split, records in enumerate(self._log.splits):
                for key, value in records[self._positions[str(split)] :]:
                    if not self._context.is_open():
                        await self._context.opened()
                    self._route(key, value)
                    self._positions[str(split)] += 1
            await self._log.changed()

    def _route(self, key: bytes | None, value: bytes | None) -> None:
        function = self._context.resolve(self._target)
        if key is None or value is None or function is None:
            self._skipped += 1
            return
        self._routed += 1
        self._context.deliver(function, key.decode("utf-8", "replace"), self._encoder.encode(value))

    def positions(self) -> dict[str, int]:
        return dict(self._positions)

    def metrics(self) -> Iterator[Metric]:
        yield Metric("statefun_ingress_records", MetricKind.COUNTER, "records routed", self._routed)
        yield Metric(
            "statefun_ingress_skipped", MetricKind.COUNTER, "records skipped", self._skipped
        )

    def completed(self, positions: Mapping[str, Position]) -> None:
        pass

    async def close(self) -> None:
        pass


class RecordingIngressContext:
    """An IngressContext; `delivered` holds (typename, id, invocation), `arrived(n)` waits for so many; `forwarded` are dead letters.

    The next `blind_looks` looks at idempotency keys cannot be answered.
    """

    def __init__(self, module: ModuleSpec) -> None:
        self._module = module
        self._functions: dict[TypeName, Function] = {}
        self._gate = asyncio.Event()
        self._gate.set()
        self._is_changed = asyncio.Event()
        self._keys: dict[tuple[str, str, str], bytes] = {}
        self.blind_looks = 0
        self.tight_for: set[str] = set()
        self.delivered: list[tuple[str, str, bytes]] = []
        self.forwarded: list[Origin] = []

    def rest_s(self) -> float:
        return 0.0

    def resolve(self, function_type: TypeName) -> Function | None:
        endpoint = self._module.endpoint_for(function_type)
        if endpoint is None:
            return None
        return self._functions.setdefault(function_type, Function(function_type, endpoint))

    def deliver(self, function: Function, function_id: str, invocation: bytes) -> None:
        self.delivered.append((str(function.type), function_id, invocation))
        self._is_changed.set()

    def look(self, function: Function, function_id: str, key: str, digest: bytes) -> Repeat:
        if self.blind_looks:
            self.blind_looks -= 1
            raise UnavailableError("the live state cannot be read", code="SF3016")
        known = self._keys.get((str(function.type), function_id, key))
        if known is None:
            return Repeat.NEW
        return Repeat.SAME if known == digest else Repeat.CONFLICT

    def deliver_keyed(
        self, function: Function, function_id: str, invocation: bytes, key: str, digest: bytes
    ) -> None:
        self._keys[str(function.type), function_id, key] = digest
        self.deliver(function, function_id, invocation)

    def forward(
        self,
        route: DeadLetterRoute,
        origin: Origin,
        *,
        reason: str,
        error: str,
        target: Address | None = None,
        invocation: bytes | None = None,
    ) -> str | None:
        self.forwarded.append(origin)
        return None

    def is_open(self) -> bool:
        return self._gate.is_set()

    def is_tight(self) -> bool:
        return bool(self.tight_for)

    def holds_back(self, function: Function, function_id: str) -> bool:
        return function_id in self.tight_for

    async def opened(self) -> None:
        await self._gate.wait()

    def close_gate(self) -> None:
        self._gate.clear()

    def open_gate(self) -> None:
        self._gate.set()

    async def arrived(self, count: int) -> None:
        while len(self.delivered) < count:
            self._is_changed.clear()
            await self._is_changed.wait()
