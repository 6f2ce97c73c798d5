"""A whole engine on fakes, in virtual time."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from statefun_runtime.adapters.wire import ReplyReader
from statefun_runtime.core.checkpoints.commits import History
from statefun_runtime.core.model.address import TypeName, key_group
from statefun_runtime.core.model.keys import group_prefix, is_head
from statefun_runtime.core.model.messages import IngressEncoder
from statefun_runtime.core.module.specs import (
    AsyncTransport,
    DeadLetterRoute,
    EndpointSpec,
    FunctionPattern,
    OnFailure,
    Transport,
)
from statefun_runtime.core.partition.backlog import Backlog, Function
from statefun_runtime.core.partition.backpressure import Limits
from statefun_runtime.core.partition.partition import Partition
from statefun_runtime.core.partition.spill import SPILL_LIMITS, SpillLimits
from statefun_runtime.engine.assembly import Assembly
from statefun_runtime.engine.beginning import Ports, begin, open_store
from statefun_runtime.engine.checkpoints.recovery import Names
from statefun_runtime.engine.dispatch.dispatcher import Dispatcher
from statefun_runtime.engine.ends import EgressServices
from statefun_runtime.engine.settings import EngineSettings
from statefun_runtime.engine.stop import Stop
from statefun_runtime.ports.function_client import FunctionClient
from statefun_runtime.ports.ingress import IngressContext, IngressSource
from statefun_runtime.ports.module import EgressSpec, IngressSpec, ModuleSpec
from statefun_runtime.testing.memory import leave, nowhere
from tests.fakes.checkpoint_store import MemoryLog, MemoryObjects
from tests.fakes.egress import RecordingEgress, RecordingEgressSpec
from tests.fakes.endpoint import Answer, Endpoint
from tests.fakes.function_client import FakeFunctionClient
from tests.fakes.off_loop import AT_ONCE, result_of
from tests.fakes.state_store import DictStore
from tests.fakes.virtual_time import VirtualClock
from tests.support.wire_builders import Request

ENCODER = IngressEncoder("t/value")
KEY_GROUPS = 128
NAMES = Names("app", "nonce", "line")
Handler = Callable[[Request], bytes | Answer]


async def in_a_moment(work: Callable[[], Any]) -> Any:
    """Stand in for a thread."""
    await asyncio.sleep(0.01)
    return work()


class World:
    """Function types are `t/<name>`; each has its own Endpoint, and answers nothing unless told."""

    def __init__(
        self,
        *,
        transport: Transport | None = None,
        threshold: int = 1000,
        batch_bytes_max: int = 1 << 20,
        pool_size: int = 1024,
        waiting_bytes_max: int = 1 << 30,
        busy_max: int = 0,
        cache_max: int = 100_000,
        overlay_bytes_max: int = 1 << 30,
        unsaved_bytes_max: int = 1 << 40,
        store: DictStore | None = None,
        on_failure: OnFailure = OnFailure.PARK,
        has_dead_letters: bool = False,
        spilling: SpillLimits = SPILL_LIMITS,
        objects: MemoryObjects | None = None,
        commit_log: MemoryLog | None = None,
        names: Names = NAMES,
        interval_s: float = 1.0,
        is_started: bool = True,
    ) -> None:
        self._pool_size = pool_size
        self.clock = VirtualClock()
        self.store = store if store is not None else DictStore()
        self.egress = RecordingEgress()
        self.stop = Stop()
        self.endpoints: dict[str, Endpoint] = {}
        self.clients: dict[str, FakeFunctionClient] = {}
        out = TypeName("t", "out")
        endpoint = EndpointSpec(
            FunctionPattern("t", None),
            "http://functions/{function.name}",
            threshold,
            transport or AsyncTransport(),
            on_failure,
            DeadLetterRoute(out, "dead") if has_dead_letters else None,
        )
        egress = RecordingEgressSpec(out)
        settings = EngineSettings(
            limits=Limits(
                waiting_bytes_max=waiting_bytes_max,
                spilled_bytes_max=1 << 40,
                unsaved_bytes_max=unsaved_bytes_max,
                egress_bytes_max=1 << 20,
                busy_max=busy_max,
            ),
            key_group_count=KEY_GROUPS,
            checkpoint_interval_s=interval_s,
            idempotency_keep_ms=60_000,
            batch_bytes_max=batch_bytes_max,
            cache_addresses_max=cache_max,
            overlay_bytes_max=overlay_bytes_max,
            spilling=spilling,
        )
        self.objects = objects or MemoryObjects()
        log = commit_log or MemoryLog()
        ports = self._ports(self.objects, log)
        self.objects.takes_s = log.takes_s = 0.0
        history = History(tuple(result_of(log.read())))
        self.beginning = result_of(begin(ports, history, names, settings))
        live = result_of(open_store(self.beginning.part, replace(ports, off_loop=AT_ONCE)))
        self.objects.takes_s = log.takes_s = 0.01
        module = ModuleSpec((endpoint,), (), (egress,))
        self._assembly = Assembly(
            ports, self, module, settings, self.beginning, live, ReplyReader().decode, self.stop
        )
        self.worker = self._assembly.worker
        parts = self.worker.parts
        self.load, self.states, self.spills, self.delays = (
            parts.load,
            parts.states,
            parts.spills,
            parts.delays,
        )
        self.exchange, self.outcomes = parts.exchange, parts.outcomes
        self.ingress_context = parts.ingress_context
        self.checkpointer = parts.checkpointer
        self.heads: dict[bytes, bytes] = {}
        self._epoch = 0
        if is_started:
            self.exchange.start()

    def _ports(self, objects: MemoryObjects, commit_log: MemoryLog) -> Ports:
        return Ports(
            checkpoints=objects,
            commit_log=commit_log,
            open_store=lambda folder: self.store,
            scratch=nowhere,
            discard=leave,
            make_clock=lambda not_before_ms: self.clock,
            off_loop=in_a_moment,
        )

    # ── connectors ──

    def make_client(self, function: Function) -> tuple[FunctionClient, int]:
        name = function.type.name
        client = FakeFunctionClient(self.endpoint(name), pool_size=self._pool_size)
        self.clients[name] = client
        return client, self._pool_size

    def make_ingress(self, spec: IngressSpec, context: IngressContext) -> IngressSource:
        raise AssertionError("messages are sent without an ingress")

    def make_egress(self, spec: EgressSpec, services: EgressServices) -> RecordingEgress:
        return self.egress

    # ── cuts and restarts ──

    async def enter(self) -> None:
        """Begin this life in the commit log, as a worker does when it runs."""
        await self.worker.enter()

    async def restore(self) -> None:
        """Take back what the checkpoint that this life begins at holds."""
        await self._assembly.restored()

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
        self.clock.began_s = old.clock.began_s
        result_of(self.worker.restore(old.heads))

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

    def partition(self, function_id: str) -> Partition:
        """Return the partition that owns an id."""
        return self.exchange.partitions.owner(group_prefix(key_group(function_id, KEY_GROUPS)))

    def requests(self, name: str) -> list[Request]:
        return [Request(body) for body in self.endpoint(name).requests]

    def failures(self, name: str) -> dict[str, int]:
        return self.function(name).counts.failures

    async def passes(self, seconds: float = 1.0) -> None:
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
            world.ingress_context.run(),
        )
    ]
