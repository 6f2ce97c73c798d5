"""A whole engine on fakes, in virtual time."""

import asyncio
from collections.abc import Callable
from typing import Any

from statefun_runtime.adapters.wire import decode_reply
from statefun_runtime.core.checkpoints.overlay import Overlay
from statefun_runtime.core.model.address import KeyGroup, TypeName
from statefun_runtime.core.model.function import Function
from statefun_runtime.core.model.keys import (
    CHUNK,
    PARKED,
    TIMER,
    group_prefix,
    is_head,
    parse_address_key,
    parse_chunk_key,
)
from statefun_runtime.core.model.messages import IngressEncoder, split_fields
from statefun_runtime.core.module.specs import (
    AsyncTransport,
    DeadLetterRoute,
    EndpointSpec,
    FunctionPattern,
    ModuleSpec,
    OnFailure,
    Transport,
)
from statefun_runtime.core.partition.backlog import Backlog
from statefun_runtime.core.partition.backpressure import Limits, Load
from statefun_runtime.engine.dispatch.applier import Applier
from statefun_runtime.engine.dispatch.dispatcher import Dispatcher
from statefun_runtime.engine.dispatch.exchange import Exchange
from statefun_runtime.engine.dispatch.gate import Gate
from statefun_runtime.engine.dispatch.outcomes import Outcomes
from statefun_runtime.engine.state.delays import Delays
from statefun_runtime.engine.state.idempotency import Idempotency
from statefun_runtime.engine.state.spills import Spills
from statefun_runtime.engine.state.states import States
from statefun_runtime.errors import StatefunError
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
        unsaved_bytes_max: int = 1 << 40,
        store: DictStore | None = None,
        on_failure: OnFailure = OnFailure.PARK,
        has_dead_letters: bool = False,
    ) -> None:
        self._options = {"batch_bytes_max": batch_bytes_max, "suspects_max": suspects_max}
        self._pool_size = pool_size
        self.clock = VirtualClock()
        self.store = store if store is not None else DictStore()
        self.load = Load(
            Limits(
                waiting_bytes_max=waiting_bytes_max,
                spilled_bytes_max=1 << 40,
                unsaved_bytes_max=unsaved_bytes_max,
                egress_bytes_max=1 << 20,
                busy_max=busy_max,
            )
        )
        self.states = States(self.store, Overlay(overlay_bytes_max), cache_max=cache_max)
        self.spills = Spills(self.states, self.load)
        self.delays = Delays(self.states, self.load, self.clock, key_group_count=KEY_GROUPS)
        idempotency = Idempotency(
            self.states, self.clock, key_group_count=KEY_GROUPS, keep_ms=60_000
        )
        self.egress = RecordingEgress()
        out = TypeName("t", "out")
        self.fatal: list[StatefunError] = []
        self.outcomes = Outcomes(
            self.states,
            self.clock,
            {out: (self.egress, lambda topic, letter: ("t/record", letter.to_json()))},
            life="life",
        )
        self.outcomes.on_fatal = self.fatal.append
        self._applier = Applier({out: self.egress}, self.states, self.delays, self.clock)
        endpoint = EndpointSpec(
            FunctionPattern("t", None),
            "http://functions/{function.name}",
            threshold,
            transport or AsyncTransport(),
            on_failure,
            DeadLetterRoute(out, "dead") if has_dead_letters else None,
        )
        self.exchange = Exchange(
            ModuleSpec((endpoint,), (), ()),
            self.states,
            self.spills,
            self.load,
            self._make_dispatcher,
            key_group_count=KEY_GROUPS,
        )
        self._applier.exchange = self.exchange
        self.gate = Gate(
            self.exchange,
            idempotency,
            self.outcomes,
            self.load,
            self.egress.backlog_bytes,
            lambda: self.states.unsaved_bytes,
            lambda: 0,
        )
        self.heads: dict[bytes, bytes] = {}
        self._epoch = 0
        self.endpoints: dict[str, Endpoint] = {}
        self.clients: dict[str, FakeFunctionClient] = {}

    def _make_dispatcher(self, function: Function) -> Dispatcher:
        name = function.type.name
        client = self.clients[name] = FakeFunctionClient(
            self.endpoint(name), pool_size=self._pool_size
        )
        return Dispatcher(
            function,
            client,
            decode_reply,
            self._applier,
            self.outcomes,
            self.states,
            self.spills,
            self.load,
            self.clock,
            **self._options,
        )

    async def cut(self) -> None:
        """Take a cut as the checkpointer does; `heads` is what a restart finds of backlogs."""
        self._epoch += 1
        self.spills.cut_tails()
        layer, heads = self.states.freeze(self._epoch)
        await self.states.seal(layer, heads)
        for rows in layer.delta_slices(500):
            for key, value in rows:
                if is_head(key):
                    self.heads.pop(key, None)
                    if value is not None:
                        self.heads[key] = value
        self.states.saved([layer])

    async def run_cuts(self) -> None:
        """Take a cut every 50 ms until cancelled."""
        while True:
            await asyncio.sleep(0.05)
            await self.cut()

    async def stopped(self) -> None:
        """Bring everything to where a restart finds it."""
        self.states.save_stamps(self.exchange.functions)
        await self.cut()
        async with asyncio.TaskGroup() as tasks:
            carrying = tasks.create_task(self.states.run())
            while self.states.stored_epoch < self._epoch:
                await asyncio.sleep(0.001)
            carrying.cancel()

    def take_over(self, old: "World") -> None:
        """Go on where another world has stopped; both have the same store."""
        self.clock._began_s = old.clock._began_s
        for key, row in old.heads.items():
            address = parse_address_key(key)
            self.exchange.restore_head(
                self.function(address.type.name), address.id, list(split_fields(row))
            )
        for group in range(KEY_GROUPS):
            prefix = group_prefix(KeyGroup(group))
            for key, row in self.states.scan(prefix + CHUNK):
                address, sequence = parse_chunk_key(key)
                function = self.function(address.type.name)
                self.exchange.restore_chunk(function, address.id, sequence, row)
            for key, row in self.states.scan(prefix + PARKED):
                address = parse_address_key(key)
                self.function(address.type.name)
                self.dispatcher(address.type.name).restore_parked(address.id, row)
            for key, row in self.states.scan(prefix + TIMER):
                self.delays.restore(key, row)
        for dispatcher in self.exchange.dispatchers:
            dispatcher.restored()

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

    def dispatcher(self, name: str) -> Dispatcher:
        return next(
            dispatcher
            for dispatcher in self.exchange.dispatchers
            if dispatcher.function.type.name == name
        )

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
    """Start what runs beside the dispatchers; the test cancels it."""
    return [
        tasks.create_task(work)
        for work in (
            world.states.run(),
            world.run_cuts(),
            world.delays.run(world.exchange),
            world.gate.run(),
        )
    ]
