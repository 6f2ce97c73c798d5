"""What ingresses see of the engine: where records go, and whether they are welcome as the load says, which is told."""

import asyncio
import logging
from collections.abc import Collection
from typing import Any

from statefun_runtime.core.checkpoints.looks import Looks
from statefun_runtime.core.model.address import TypeName
from statefun_runtime.core.model.idempotency import Repeat
from statefun_runtime.core.partition.backlog import Function
from statefun_runtime.core.partition.backpressure import Load
from statefun_runtime.engine.cluster.channels import Outgoing
from statefun_runtime.engine.dispatch.exchange import Exchange
from statefun_runtime.engine.dispatch.outcomes import Outcomes
from statefun_runtime.engine.egress import Egress
from statefun_runtime.engine.state.idempotency import Idempotency
from statefun_runtime.engine.state.states import States

log = logging.getLogger("statefun.backpressure")

_LOOK_S = 0.005
_SAY_AFTER_S = 5.0


class EngineIngressContext:
    """The IngressContext of all ingresses of a worker."""

    def __init__(
        self,
        exchange: Exchange,
        idempotency: Idempotency,
        outcomes: Outcomes,
        load: Load,
        states: States,
        egresses: Collection[Egress[Any]],
        outgoing: Outgoing | None = None,
        *,
        interval_s: float,
    ) -> None:
        self._exchange = exchange
        self._load = load
        self._states = states
        self._egresses = egresses
        self._is_wanted = asyncio.Event()
        self._opened = asyncio.Event()
        self.deliver = exchange.deliver
        self._idempotency = idempotency
        self._outgoing = outgoing
        # Why another worker holds the ingresses of all back, in words.
        self.held_elsewhere = ""
        self.forward = outcomes.forward
        self.closed_times = 0
        # Whoever has no egress calls functions for what they do elsewhere.
        waits = bool(egresses) and not any(egress.leaves_at_once for egress in egresses)
        self._looks = Looks(interval_s if waits else 0.0)
        self._loop = asyncio.get_running_loop()

    def cutting(self) -> None:
        """An epoch ends."""
        self._looks.cut(self._loop.time(), is_busy=self._exchange.busy_count() > 0)

    def rest_s(self) -> float:
        """Return how long an ingress to which few records come may wait before it looks for more."""
        return self._looks.rest_s(self._loop.time())

    def resolve(self, function_type: TypeName) -> Function | None:
        """Return a function type's entry, or None if no endpoint serves it."""
        return self._exchange.resolve(function_type)

    def look(self, function: Function, function_id: str, key: str, digest: bytes) -> Repeat:
        """Return what an idempotency key says about a record; of another worker's address that is found out there."""
        if self._exchange.is_elsewhere(function_id):
            return Repeat.NEW
        return self._idempotency.look(function, function_id, key, digest)

    def deliver_keyed(
        self, function: Function, function_id: str, invocation: bytes, key: str, digest: bytes
    ) -> None:
        """Take an invocation whose key is not known yet, and remember the key."""
        outgoing = self._outgoing
        if outgoing is not None and outgoing.takes_keyed(
            function, function_id, invocation, key, digest
        ):
            return
        self._idempotency.remember(function, function_id, key, digest)
        self.deliver(function, function_id, invocation)

    def is_open(self) -> bool:
        """Return whether new records are welcome; if not, it is told and looked at until they are."""
        if self._closed_by() is None:
            return True
        self._is_wanted.set()
        return False

    def hold(self, why: str) -> None:
        """Take no new records as long as another worker is over a limit; with no reason they are welcome again."""
        self.held_elsewhere = why

    def is_tight(self) -> bool:
        """Return whether `holds_back` may say yes."""
        return self._load.is_tight

    def holds_back(self, function: Function, function_id: str) -> bool:
        """Return whether what feeds this address shall wait."""
        return self._load.is_tight and self._exchange.blocks(function, function_id)

    def why_held_back(self) -> str | None:
        """Return which limit holds the ingresses back, or None."""
        return self._closed_by()

    async def opened(self) -> None:
        """Return when new records are welcome again."""
        while not self.is_open():
            self._opened.clear()
            self._is_wanted.set()
            await self._opened.wait()

    async def run(self) -> None:
        """Look, once it was found closed, whether it may open; until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await self._is_wanted.wait()
            self._is_wanted.clear()
            self.closed_times += 1
            since_s, is_said = loop.time(), False
            while (reason := self._closed_by()) is not None:
                if not is_said and loop.time() - since_s > _SAY_AFTER_S:
                    is_said = True
                    log.warning("ingress is held back: %s", reason)
                await asyncio.sleep(_LOOK_S)
            if is_said:
                log.info("ingress goes on after %.1f s", loop.time() - since_s)
            self._opened.set()

    def _closed_by(self) -> str | None:
        return self.over_limit() or self.held_elsewhere or None

    def over_limit(self) -> str | None:
        """Return which limit this worker is over, in words, or None."""
        if self._outgoing is not None and (full := self._outgoing.why_full()) is not None:
            return full
        return self._load.closed_by(
            busy=self._exchange.busy_count(),
            egress_bytes=sum(one.backlog_bytes() for one in self._egresses),
            unsaved_bytes=self._states.unsaved_bytes,
            outbox_bytes=sum(one.stored_bytes() for one in self._egresses),
        )
