"""Brings a message to the address it is for, and knows all function types that were called so far."""

import asyncio
from collections.abc import Callable

from statefun_runtime.core.model.address import TypeName
from statefun_runtime.core.model.function import Function
from statefun_runtime.core.model.keys import state_key
from statefun_runtime.core.module.specs import ModuleSpec
from statefun_runtime.core.partition.backlog import IDLE, READY, Backlog
from statefun_runtime.core.partition.backpressure import Load
from statefun_runtime.core.partition.spill import Chunk, SpillLimits
from statefun_runtime.engine.dispatch.dispatcher import Dispatcher
from statefun_runtime.engine.state.spills import Spills
from statefun_runtime.engine.state.states import States

DispatcherFactory = Callable[[Function], Dispatcher]


class Exchange:
    """Delivers invocations; a direct call, since every address of the application lives in this worker."""

    def __init__(
        self,
        module: ModuleSpec,
        states: States,
        spills: Spills,
        load: Load,
        make_dispatcher: DispatcherFactory,
        *,
        key_group_count: int,
        spilling: SpillLimits,
    ) -> None:
        self._module = module
        self._states = states
        self._spills = spills
        self._load = load
        self._make_dispatcher = make_dispatcher
        self._key_group_count = key_group_count
        self._spilling = spilling
        self._functions: dict[tuple[str, str], Function | None] = {}
        self.functions: list[Function] = []
        self.dispatchers: list[Dispatcher] = []
        self._loop = asyncio.get_running_loop()

    def function(self, namespace: str, name: str) -> Function | None:
        """Return a function type's entry, or None if no endpoint serves it."""
        key = (namespace, name)
        try:
            return self._functions[key]
        except KeyError:
            return self._first_seen(key)

    def resolve(self, function_type: TypeName) -> Function | None:
        """Return a function type's entry, or None if no endpoint serves it."""
        return self.function(function_type.namespace, function_type.name)

    def dispatcher(self, function_type: TypeName) -> Dispatcher | None:
        """Return the dispatcher of a function type, or None if no endpoint serves it."""
        function = self.resolve(function_type)
        return next(
            (dispatcher for dispatcher in self.dispatchers if dispatcher.function is function), None
        )

    def _first_seen(self, key: tuple[str, str]) -> Function | None:
        function_type = TypeName(*key)
        endpoint = self._module.endpoint_for(function_type)
        if endpoint is None or not function_type.is_proper:
            # Not remembered: names without an endpoint come from outside, and there is no end of them.
            return None
        function = Function(function_type, endpoint, self._spilling)
        dispatcher = self._make_dispatcher(function)
        function.wake = dispatcher.wake
        self.functions.append(function)
        self.dispatchers.append(dispatcher)
        self._functions[key] = function
        return function

    def deliver(self, function: Function, function_id: str, invocation: bytes) -> None:
        """Put an encoded invocation into the backlog of an address."""
        backlog = function.backlogs.get(function_id)
        if backlog is None:
            backlog = self._admit(function, function_id)
        counts = function.counts
        counts.received += 1
        counts.waiting += 1
        self._load.waiting_bytes += len(invocation)
        if not backlog.is_touched:
            self._states.touch(backlog)
        if backlog.deliver(invocation):
            self._is_ready(function, backlog)
        elif backlog.spill is not None:
            self._spills.added(backlog)

    def restore_chunk(self, function: Function, function_id: str, chunk: Chunk) -> None:
        """Take back a spilled chunk; its address's head must have been restored before, its chunks come in order."""
        backlog = function.backlogs.get(function_id) or self._admit(function, function_id)
        self._spills.restore(backlog, chunk)
        function.counts.waiting += chunk.count
        if backlog.phase == IDLE:
            # The cut came between two batches, when the head was empty.
            backlog.phase = READY
            self._is_ready(function, backlog)

    def restore_head(self, function: Function, function_id: str, invocations: list[bytes]) -> None:
        """Take back the head of an address's backlog as the last cut's row has it."""
        backlog = self._admit(function, function_id)
        backlog.has_row = True
        if not invocations:
            # The cut came between two batches; chunks follow.
            return
        backlog.restore(invocations)
        self._states.touch(backlog)
        function.counts.waiting += len(invocations)
        self._load.waiting_bytes += backlog.waiting_bytes
        self._is_ready(function, backlog)

    def _is_ready(self, function: Function, backlog: Backlog) -> None:
        backlog.is_recent = True
        function.counts.busy += 1
        function.ready.append(backlog)
        if not function.is_awake:
            function.is_awake = True
            self._loop.call_soon(function.wake)

    def touch_busy(self) -> None:
        """Have the next cut look at every address that has something to do."""
        for function in self.functions:
            for backlog in function.backlogs.values():
                if backlog.phase != IDLE:
                    self._states.touch(backlog)

    def wake_all(self) -> None:
        """Requests may be sent again."""
        for dispatcher in self.dispatchers:
            dispatcher.wake()

    def blocks(self, function: Function, function_id: str) -> bool:
        """Return whether an address has too much to do, or cannot be reached."""
        backlog = function.backlogs.get(function_id)
        if backlog is None:
            return function.is_down
        threshold = function.endpoint.batch_threshold
        return function.is_down or 0 < threshold <= backlog.waiting_count

    def busy_count(self) -> int:
        """Return how many addresses have work and are not set aside."""
        return sum(function.counts.busy for function in self.functions if not function.is_down)

    def _admit(self, function: Function, function_id: str) -> Backlog:
        key = state_key(function.type, function_id, key_group_count=self._key_group_count)
        backlog = Backlog(function, function_id, key)
        function.backlogs[function_id] = backlog
        self._states.admitted(self.functions)
        return backlog
