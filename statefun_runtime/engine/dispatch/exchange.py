"""Brings a message to the address it is for, and knows all function types that were called so far."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Protocol

from statefun_runtime.core.model.address import TypeName
from statefun_runtime.core.model.keys import state_key
from statefun_runtime.core.partition.backlog import IDLE, READY, Backlog, Function
from statefun_runtime.core.partition.partitions import Partitions
from statefun_runtime.core.partition.spill import Chunk, SpillLimits
from statefun_runtime.engine.dispatch.dispatcher import Dispatcher
from statefun_runtime.engine.state.spills import Spills
from statefun_runtime.engine.state.states import States
from statefun_runtime.ports.module import ModuleSpec

DispatcherFactory = Callable[[Function], Dispatcher]


class Elsewhere(Protocol):
    """Takes what is for addresses of other workers."""

    def owns(self, function_id: str) -> bool:
        """Return whether an address with this id is one of this worker's."""
        ...

    def takes(self, function: Function, function_id: str, invocation: bytes) -> bool:
        """Take an invocation for another worker's address; return False if it is for one of this worker's."""
        ...


class Exchange:
    """Delivers invocations: by a direct call to addresses of this worker, through `elsewhere` to others, if there are any."""

    def __init__(
        self,
        module: ModuleSpec,
        states: States,
        spills: Spills,
        partitions: Partitions,
        make_dispatcher: DispatcherFactory,
        *,
        key_group_count: int,
        spilling: SpillLimits,
        elsewhere: Elsewhere | None = None,
    ) -> None:
        self._elsewhere = elsewhere
        self._module = module
        self._states = states
        self._spills = spills
        self.partitions = partitions
        self._owned = partitions.owned
        self._make_dispatcher = make_dispatcher
        self._key_group_count = key_group_count
        self._spilling = spilling
        self._functions: dict[tuple[str, str], Function | None] = {}
        self.functions: list[Function] = []
        self.dispatchers: list[Dispatcher] = []
        self._is_started = False
        self._loop = asyncio.get_running_loop()

    def start(self) -> None:
        """Have requests sent; until now backlogs were only taken back."""
        self._is_started = True
        for dispatcher in self.dispatchers:
            dispatcher.start()

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
        if self._is_started:
            dispatcher.start()
        return function

    def deliver(self, function: Function, function_id: str, invocation: bytes) -> None:
        """Put an encoded invocation into the backlog of an address."""
        backlog = function.backlogs.get(function_id)
        if backlog is None:
            elsewhere = self._elsewhere
            if elsewhere is not None and elsewhere.takes(function, function_id, invocation):
                return
            backlog = self._admit(function, function_id)
        if not backlog.is_touched:
            self._states.touch(backlog)
        if self._owned[backlog.owner].deliver(backlog, invocation):
            self._wake(function)
        elif backlog.spill is not None:
            self._spills.added(backlog)

    def is_elsewhere(self, function_id: str) -> bool:
        """Return whether addresses with this id are another worker's."""
        return self._elsewhere is not None and not self._elsewhere.owns(function_id)

    def restore_chunk(self, function: Function, function_id: str, chunk: Chunk) -> None:
        """Take back a spilled chunk; its address's head must have been restored before, its chunks come in order."""
        backlog = function.backlogs.get(function_id) or self._admit(function, function_id)
        if self._owned[backlog.owner].restore_chunk(backlog, chunk):
            self._wake(function)

    def restore_head(self, function: Function, function_id: str, invocations: list[bytes]) -> None:
        """Take back the head of an address's backlog as the last cut's row has it."""
        backlog = self._admit(function, function_id)
        backlog.has_row = True
        if not invocations:
            # The cut came between two batches; chunks follow.
            return
        self._owned[backlog.owner].restore_head(backlog, invocations)
        self._states.touch(backlog)
        self._wake(function)

    def restore_parked(self, function_type: TypeName, function_id: str, row: bytes) -> None:
        """Take back an address that was parked when the last life ended; its backlog was restored before."""
        dispatcher = self.dispatcher(function_type)
        if dispatcher is not None:
            dispatcher.policy.restore_parked(dispatcher.function.backlogs[function_id], row)

    def restored(self) -> None:
        """Every address was taken back: those that are parked are not ready."""
        for function in self.functions:
            function.ready = deque(one for one in function.ready if one.phase == READY)

    def _wake(self, function: Function) -> None:
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
        """Return whether an address has too much to do, or cannot be reached.

        Of an endpoint that is down, one address that has nothing else to do is welcome: if those that wait all fail by
        themselves, only another can show that the endpoint is well.
        """
        backlog = function.backlogs.get(function_id)
        is_idle = backlog is None or backlog.phase == IDLE
        if function.is_down:
            return bool(function.ready) or not is_idle
        threshold = function.endpoint.batch_threshold
        return backlog is not None and 0 < threshold <= backlog.waiting_count

    def busy_count(self) -> int:
        """Return how many addresses have work and are not set aside."""
        return sum(function.busy for function in self.functions if not function.is_down)

    def _admit(self, function: Function, function_id: str) -> Backlog:
        key = state_key(function.type, function_id, key_group_count=self._key_group_count)
        backlog = self.partitions.owner(key).admit(function, function_id, key)
        self._states.cache.admitted(self.functions)
        return backlog
