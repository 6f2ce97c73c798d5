"""A whole engine on fakes, in virtual time."""

import asyncio
from collections.abc import Callable
from typing import Any

from statefun_runtime.adapters.wire import decode_reply
from statefun_runtime.core.address import TypeName
from statefun_runtime.core.backlog import Backlog
from statefun_runtime.core.backpressure import Limits, Load
from statefun_runtime.core.function import Function
from statefun_runtime.core.messages import IngressEncoder
from statefun_runtime.core.overlay import Overlay
from statefun_runtime.core.specs import (
    AsyncTransport,
    EndpointSpec,
    FunctionPattern,
    ModuleSpec,
    Transport,
)
from statefun_runtime.engine.applier import Applier
from statefun_runtime.engine.delays import Delays
from statefun_runtime.engine.exchange import Exchange
from statefun_runtime.engine.gate import Gate
from statefun_runtime.engine.lane import Lane
from statefun_runtime.engine.states import States
from tests.fakes.egress import RecordingEgress
from tests.fakes.endpoint import Answer, Endpoint
from tests.fakes.function_client import FakeFunctionClient
from tests.fakes.state_store import DictStore
from tests.fakes.virtual_time import VirtualClock
from tests.support.wire_builders import Request

ENCODER = IngressEncoder("t/value")
KEY_GROUPS = 128
Handler = Callable[[Request], bytes | Answer]


class World:
    """Function types are `t/<name>`; each has its own Endpoint, and answers nothing unless told."""

    def __init__(
        self,
        *,
        transport: Transport | None = None,
        threshold: int = 1000,
        batch_bytes_max: int = 1 << 20,
        suspects_max: int = 512,
        pool_size: int = 1024,
        waiting_bytes_max: int = 1 << 30,
        busy_max: int = 0,
        cache_max: int = 100_000,
        overlay_bytes_max: int = 1 << 30,
        store: DictStore | None = None,
    ) -> None:
        self._options = {"batch_bytes_max": batch_bytes_max, "suspects_max": suspects_max}
        self._pool_size = pool_size
        self.clock = VirtualClock()
        self.store = store if store is not None else DictStore()
        self.load = Load(Limits(waiting_bytes_max, 1 << 20, busy_max))
        self.states = States(self.store, Overlay(overlay_bytes_max), cache_max=cache_max)
        self.delays = Delays(self.states, self.clock, key_group_count=KEY_GROUPS)
        self.egress = RecordingEgress()
        self._applier = Applier({("t", "out"): self.egress}, self.states, self.delays, self.clock)
        endpoint = EndpointSpec(
            FunctionPattern("t", None),
            "http://functions/{function.name}",
            threshold,
            transport or AsyncTransport(),
        )
        self.exchange = Exchange(
            ModuleSpec((endpoint,), (), ()),
            self.states,
            self.load,
            self._make_lane,
            key_group_count=KEY_GROUPS,
        )
        self._applier.exchange = self.exchange
        self.gate = Gate(self.exchange, self.load, self.egress.backlog_bytes)
        self.endpoints: dict[str, Endpoint] = {}
        self.clients: dict[str, FakeFunctionClient] = {}

    def _make_lane(self, function: Function) -> Lane:
        name = function.type.name
        client = self.clients[name] = FakeFunctionClient(
            self.endpoint(name), pool_size=self._pool_size
        )
        return Lane(
            function,
            client,
            decode_reply,
            self._applier,
            self.states,
            self.load,
            self.clock,
            **self._options,
        )

    def endpoint(self, name: str) -> Endpoint:
        return self.endpoints.setdefault(name, Endpoint())

    def serve(self, name: str, handler: Handler) -> Endpoint:
        """Have a function type answered by `handler`, which gets the request decoded."""

        def answer(body: bytes) -> Answer:
            said = handler(Request(body))
            return said if isinstance(said, Answer) else Answer(said)

        endpoint = self.endpoint(name)
        endpoint.answer = answer
        return endpoint

    def function(self, name: str) -> Function:
        found = self.exchange.resolve(TypeName("t", name))
        assert found is not None
        return found

    def lane(self, name: str) -> Lane:
        return next(lane for lane in self.exchange.lanes if lane.function.type.name == name)

    def send(self, name: str, function_id: str, *values: bytes) -> None:
        for value in values or (b"x",):
            self.exchange.deliver(self.function(name), function_id, ENCODER.encode(value))

    def backlog(self, name: str, function_id: str) -> Backlog:
        return self.function(name).backlogs[function_id]

    def requests(self, name: str) -> list[Request]:
        return [Request(body) for body in self.endpoint(name).requests]

    def failures(self, name: str) -> dict[str, int]:
        return self.function(name).counts.failures

    async def settled(self, seconds: float = 1.0) -> None:
        """Let so much virtual time pass."""
        await asyncio.sleep(seconds)


def start_background(tasks: asyncio.TaskGroup, world: World) -> list[asyncio.Task[Any]]:
    """Start what runs beside the lanes; the test cancels it."""
    return [
        tasks.create_task(work)
        for work in (
            world.states.run(),
            world.delays.run(world.exchange),
            world.gate.run(),
        )
    ]
