"""A whole application in a test: the worker's own engine in this process, in virtual time.

    send ─▶ ingress ─▶ engine ─▶ functions, called in this process ─▶ engine ─▶ egresses, as lists
                          └─ checkpoints in memory, from which `restart` goes on as after `kill -9`

Everything runs in a thread of its own, one call after the other, so it can be used from plain tests and from those that
run in an event loop. The same calls have the same effects, every time.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from statefun_runtime.adapters.embedded.in_process import InProcessClient
from statefun_runtime.adapters.wire import ReplyReader
from statefun_runtime.connectors.modules import load_module
from statefun_runtime.core.checkpoints.commits import History
from statefun_runtime.core.model.address import TypeName
from statefun_runtime.core.model.dead_letter import DeadLetter
from statefun_runtime.core.model.keys import state_key
from statefun_runtime.core.model.messages import IngressEncoder
from statefun_runtime.core.model.state import Values, decode_row, read_state_field
from statefun_runtime.core.module.specs import EndpointSpec, FunctionPattern
from statefun_runtime.core.partition.backlog import Function
from statefun_runtime.core.partition.backpressure import Limits
from statefun_runtime.engine.assembly import assemble
from statefun_runtime.engine.beginning import Beginning, begin
from statefun_runtime.engine.checkpoints.recovery import Names
from statefun_runtime.engine.dispatch.parked import ParkedAddresses, Selection
from statefun_runtime.engine.ends import EgressServices
from statefun_runtime.engine.settings import EngineSettings, Pace
from statefun_runtime.engine.stop import Stop
from statefun_runtime.engine.worker import Worker
from statefun_runtime.errors import ConfigError
from statefun_runtime.ports.egress import EgressSink
from statefun_runtime.ports.ingress import IngressContext, IngressSource
from statefun_runtime.ports.module import EgressSpec, IngressSpec, ModuleSpec
from statefun_runtime.testing.ends import (
    EgressRecord,
    MemoryEgress,
    MemoryIngress,
    MemoryTopic,
    Outside,
    Sent,
)
from statefun_runtime.testing.functions import Answer, Fault, Functions, Raised
from statefun_runtime.testing.memory import MemoryLog, MemoryObjects, memory_ports
from statefun_runtime.testing.virtual_time import VirtualClock, VirtualLoop

T = TypeVar("T")

_UNLIMITED = 1 << 60
# Bases are files, and nothing is on a disk here.
_NO_BASES = Pace(deltas_max=1 << 30, delta_bytes_min=_UNLIMITED)
_KEY_GROUPS = 16
# Whoever looks at an egress has one taken; a day is to pass in no time.
_CHECKPOINT_INTERVAL_S = 60.0
_PARKED_SHOWN_MAX = 1000
DEAD_LETTER_TYPENAME = "statefun.testing/dead-letter"


@dataclass(frozen=True)
class Stored:
    """A value of a state, as it is kept."""

    typename: str
    value: bytes


class LocalApplication:
    """Runs a module whose functions are what `answer` answers, until `close`.

    A function that raises is told by `advance`, unless `has_failure_policy`: then its endpoint's `onFailure` decides.
    """

    def __init__(
        self,
        module: ModuleSpec,
        answer: Answer,
        *,
        has_failure_policy: bool = False,
    ) -> None:
        source: Any = _Source(TypeName("statefun.testing", "ingress"))
        self._module = replace(module, ingresses=(source,))
        self._has_failure_policy = has_failure_policy
        self._raised: list[Raised] = []
        self._bugs: list[Exception] = []
        self._functions = Functions(answer, self._raised.append)
        self._settings = EngineSettings(
            limits=Limits(
                waiting_bytes_max=_UNLIMITED,
                spilled_bytes_max=_UNLIMITED,
                unsaved_bytes_max=_UNLIMITED,
                egress_bytes_max=_UNLIMITED,
                busy_max=0,
            ),
            key_group_count=_KEY_GROUPS,
            partition_count=1,
            checkpoint_interval_s=_CHECKPOINT_INTERVAL_S,
            pace=_NO_BASES,
        )
        self._objects, self._log = MemoryObjects(), MemoryLog()
        self._outsides = {spec.id: Outside() for spec in module.egresses}
        self._encoders: dict[str, IngressEncoder] = {}
        self._lives = 0
        self._thread = ThreadPoolExecutor(1, "statefun-test")
        self._loop = self._call(self._new_loop)
        self._topic = MemoryTopic()
        self._life: asyncio.Task[None] | None = None
        self._worker: Worker | None = None
        self._call(self._begin)

    # ── what a test does ──

    def send(self, function: TypeName, function_id: str, typename: str, value: bytes) -> None:
        """Send a message from outside; raise ConfigError if no endpoint serves the function type."""
        if self._module.endpoint_for(function) is None:
            raise ConfigError(f"no endpoint of the module serves the function type '{function}'")
        encoder = self._encoders.setdefault(typename, IngressEncoder(typename))
        one = Sent(function, function_id, encoder.encode(value))
        self._call(lambda: self._topic.append(one))

    def advance(self, seconds: float) -> None:
        """Let virtual time pass, and all happen that is due in it; raise what a function raised meanwhile."""
        self._in_loop(asyncio.sleep(seconds))
        raised, self._raised[:] = list(self._raised), []
        if raised and not self._has_failure_policy:
            raise raised[0].error

    def restart(self) -> None:
        """Kill the worker where it stands, and start it from its last complete checkpoint."""
        self._call(self._kill)
        self._call(self._begin)

    def plan(self, function: TypeName, fault: Fault, times: int) -> None:
        """Have the next requests of a function type go wrong."""
        self._functions.plan(function, fault, times)

    @property
    def calls(self) -> int:
        """How many requests have reached functions."""
        return self._functions.calls

    def state(self, function: TypeName, function_id: str) -> dict[str, Stored]:
        """Return the values of an address as they are now."""
        return self._in_loop(self._state(function, function_id))

    def egress(self, egress: TypeName) -> list[EgressRecord]:
        """Have a checkpoint taken, and return what has arrived outside; raise ConfigError if there is no such egress."""
        outside = self._outsides.get(egress)
        if outside is None:
            known = ", ".join(map(str, self._outsides)) or "none"
            raise ConfigError(f"there is no egress '{egress}' (there is: {known})")
        self._in_loop(self._saved())
        return list(outside.records)

    def parked(self) -> list[dict[str, Any]]:
        """Return what is parked: addresses whose message is never taken."""
        return self._in_loop(self._parked())

    def close(self) -> None:
        """End everything."""
        self._call(self._kill)
        self._call(self._loop.close)
        self._thread.shutdown()

    # ── in the thread ──

    def _call(self, work: Callable[[], T]) -> T:
        return self._thread.submit(work).result()

    def _in_loop(self, work: Coroutine[Any, Any, T]) -> T:
        return self._call(lambda: self._run(work))

    def _new_loop(self) -> VirtualLoop:
        loop = VirtualLoop()
        loop.set_exception_handler(self._tell)
        return loop

    def _tell(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if isinstance(error, Exception):
            self._bugs.append(error)

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        self._bugs.clear()
        result = self._loop.run_until_complete(work)
        assert self._life is not None
        if self._life.done():
            self._life.result()
        if self._bugs:
            raise self._bugs[0]
        return result

    def _begin(self) -> None:
        self._lives += 1
        self._life = self._loop.create_task(self._live())
        self._run(asyncio.sleep(0.001))

    async def _live(self) -> None:
        clock = VirtualClock()
        clock.began_s = 1000.0
        ports = memory_ports(self._objects, self._log, clock)
        history = History(tuple(await ports.commit_log.read()))
        names = Names("test", f"life-{self._lives}", "line")
        beginning = await begin(ports, history, names, self._settings)
        connectors = _Connectors(self._functions, self._topic, self._outsides, beginning)
        assembly = await assemble(
            ports, connectors, self._module, self._settings, beginning, ReplyReader().decode, Stop()
        )
        self._worker = worker = await assembly.restored()
        async with asyncio.TaskGroup() as tasks:
            await worker.run(tasks, lambda: None)

    def _kill(self) -> None:
        """Nothing of it runs any more, and nothing is saved."""
        tasks = asyncio.all_tasks(self._loop)
        for task in tasks:
            task.cancel()
        if tasks:
            self._loop.run_until_complete(asyncio.wait(tasks))

    async def _state(self, function_type: TypeName, function_id: str) -> dict[str, Stored]:
        assert self._worker is not None
        function = self._worker.parts.exchange.resolve(function_type)
        backlog = function.backlogs.get(function_id) if function is not None else None
        if backlog is not None and backlog.values is not None:
            values = backlog.values
        else:
            key = state_key(function_type, function_id, key_group_count=_KEY_GROUPS)
            row = self._worker.parts.states.read(key)
            values = Values({}) if row is None else decode_row(row)
        return {name: Stored(*read_state_field(stored)) for name, stored in values.fields.items()}

    async def _saved(self) -> None:
        assert self._worker is not None
        await self._worker.parts.checkpointer.saved()

    async def _parked(self) -> list[dict[str, Any]]:
        assert self._worker is not None
        parts = self._worker.parts
        shown = ParkedAddresses(parts.exchange, parts.checkpointer, parts.clock)
        found: list[dict[str, Any]] = shown.show(Selection(), limit=_PARKED_SHOWN_MAX)["parked"]
        return found


class _Connectors:
    """Memory for whatever the module declares."""

    def __init__(
        self,
        functions: Functions,
        topic: MemoryTopic,
        outsides: dict[TypeName, Outside],
        beginning: Beginning,
    ) -> None:
        self._functions = functions
        self._topic = topic
        self._outsides = outsides
        self._manifest = beginning.start.manifest

    def make_client(self, function: Function) -> tuple[InProcessClient, int]:
        spawn = asyncio.get_running_loop().create_task
        client = InProcessClient(self._functions.answering(function.type), spawn)
        return client, client.capacity()

    def make_ingress(self, spec: IngressSpec, context: IngressContext) -> IngressSource:
        positions = self._manifest.positions.get(str(spec.id), {}) if self._manifest else {}
        return MemoryIngress(self._topic, context, positions)

    def make_egress(self, spec: EgressSpec, services: EgressServices) -> EgressSink[Any]:
        return MemoryEgress(self._outsides[spec.id])


@dataclass(frozen=True)
class _Source:
    """The one ingress that there is, whatever the module declares."""

    id: TypeName


@dataclass(frozen=True)
class TestEgressSpec:
    """An egress that a test names, without a module that declares it."""

    id: TypeName

    def letter(self, topic: str, letter: DeadLetter) -> tuple[str, bytes]:
        """Return the record that carries a dead letter."""
        return DEAD_LETTER_TYPENAME, letter.to_json()


def read_module(path: str) -> ModuleSpec:
    """Return the module of a file; raise ModuleError with all that is wrong with it."""
    return load_module(path).required()


def bare_module(functions: Iterable[TypeName], egresses: Iterable[TypeName]) -> ModuleSpec:
    """Return the module of functions that have none."""
    endpoints = [
        EndpointSpec(FunctionPattern(one.namespace, one.name), "http://in-this-process/")
        for one in functions
    ]
    specs: Any = [TestEgressSpec(one) for one in egresses]
    return ModuleSpec(tuple(endpoints), (), tuple(specs))
