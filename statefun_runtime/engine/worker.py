"""The life of a worker: restore, run, stop with a last checkpoint.

restore ─▶ start ingresses ─▶ checkpoint of where they begin ─▶ run ─▶ stop: ingress first, then requests that
           are out, then the last checkpoint, then egresses publish what it completed, which one more may record
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from statefun_runtime.core.checkpoints.manifest import FORMAT, KeyGroups
from statefun_runtime.core.model.address import KeyGroup
from statefun_runtime.core.model.keys import PARKED, group_prefix, parse_address_key
from statefun_runtime.core.model.messages import split_fields
from statefun_runtime.core.model.metrics import Metric
from statefun_runtime.core.partition.backpressure import Load
from statefun_runtime.engine.checkpoints.bases import Bases
from statefun_runtime.engine.checkpoints.checkpointing import Checkpointing
from statefun_runtime.engine.dispatch.dispatcher import Dispatcher
from statefun_runtime.engine.dispatch.exchange import Exchange
from statefun_runtime.engine.dispatch.ingress_context import EngineIngressContext
from statefun_runtime.engine.dispatch.outcomes import Outcomes
from statefun_runtime.engine.egress import Egress
from statefun_runtime.engine.readiness import Readiness
from statefun_runtime.engine.state.chunks import keep_head, stored_chunks
from statefun_runtime.engine.state.delays import Delays
from statefun_runtime.engine.state.expiry import Expiry
from statefun_runtime.engine.state.spills import Spills
from statefun_runtime.engine.state.states import States
from statefun_runtime.engine.state.upgrade import upgrade_rows
from statefun_runtime.engine.stop import Stop
from statefun_runtime.ports.clock import Clock
from statefun_runtime.ports.egress import Listens
from statefun_runtime.ports.ingress import IngressSource

log = logging.getLogger("statefun.worker")

_DRAIN_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class Parts:
    """What a worker is made of; ingresses and egresses by id.

    `adopted` are egresses that publish what workers had left that are no more; `channels` counts what goes between workers.
    """

    states: States
    spills: Spills
    load: Load
    delays: Delays
    exchange: Exchange
    outcomes: Outcomes
    ingress_context: EngineIngressContext
    expiry: Expiry
    clock: Clock
    egresses: Mapping[str, Egress[Any]]
    ingresses: Mapping[str, IngressSource]
    checkpointer: Checkpointing
    bases: Bases
    adopted: tuple[Egress[Any], ...] = ()
    channels: Callable[[], Iterable[Metric]] = tuple


class Worker:
    """Runs one application, or its share; `enter` adds this life to the commit log, `carry` is what comes from others."""

    def __init__(
        self,
        parts: Parts,
        stop: Stop,
        enter: Callable[[], Awaitable[None]],
        carry: Callable[[], Coroutine[Any, Any, None]] | None = None,
        *,
        key_groups: KeyGroups,
        stop_timeout_s: float,
        checkpoint_interval_s: float,
    ) -> None:
        self.parts = parts
        self._stop = stop
        self.enter = enter
        self._carry = carry
        self._key_groups = key_groups
        self._drain_s = stop_timeout_s * _DRAIN_SHARE
        self._stop_timeout_s = stop_timeout_s
        self.readiness = Readiness(
            parts.checkpointer, stop, parts.ingresses, interval_s=checkpoint_interval_s
        )

    async def restore(self, heads: Mapping[bytes, bytes]) -> None:
        """Take back backlogs and delayed messages of the checkpoint."""
        owned = range(self._key_groups.first, self._key_groups.end)
        prefixes = [group_prefix(KeyGroup(group)) for group in owned]
        manifest = self.parts.checkpointer.last_complete
        if manifest is not None and manifest.version < FORMAT:
            assert len(owned) == manifest.key_group_count, "several workers begin at rows of old"
            upgrade_rows(self.parts.states, manifest.version, key_group_count=len(owned))
        left_behind = self._restore_heads(heads)
        for prefix in prefixes:
            self._restore_chunks(prefix)
            self._restore_parked(prefix + PARKED)
            self.parts.delays.restore(prefix)
        self.parts.exchange.restored()
        if left_behind:
            log.warning(
                "the backlogs of %d addresses are kept but wait: no endpoint serves their function type",
                left_behind,
            )

    async def listen(self) -> None:
        """Take the ports: one that cannot be had must be known before anything runs."""
        for egress in self.parts.egresses.values():
            await egress.start()
        for ingress in self.parts.ingresses.values():
            if isinstance(ingress, Listens):
                await ingress.listen()

    def _restore_heads(self, heads: Mapping[bytes, bytes]) -> int:
        left_behind = 0
        for key, row in heads.items():
            address = parse_address_key(key)
            function = self.parts.exchange.resolve(address.type)
            if function is None:
                left_behind += 1
                keep_head(self.parts.states, key, row)
            else:
                self.parts.exchange.restore_head(function, address.id, list(split_fields(row)))
        return left_behind

    def _restore_chunks(self, prefix: bytes) -> None:
        for address, chunk in stored_chunks(self.parts.states, prefix):
            function = self.parts.exchange.resolve(address.type)
            if function is not None:
                self.parts.exchange.restore_chunk(function, address.id, chunk)

    def _restore_parked(self, prefix: bytes) -> None:
        for key, row in self.parts.states.scan(prefix):
            address = parse_address_key(key)
            self.parts.exchange.restore_parked(address.type, address.id, row)

    async def run(self, tasks: asyncio.TaskGroup, announce: Callable[[], None]) -> None:
        """Run until told to stop, then drain; all tasks have ended or been cancelled when this returns.

        The entry in the commit log comes first: before it nothing that others can see has happened, also no request.
        """
        parts = self.parts
        await self.enter()
        parts.exchange.start()
        running: list[asyncio.Task[None]] = []

        def spawn(work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
            running.append(tasks.create_task(work))
            return running[-1]

        spawn(parts.states.run())
        spawn(parts.states.cache.run(parts.exchange.functions))
        delays = spawn(parts.delays.run(parts.exchange))
        spawn(parts.ingress_context.run())
        spawn(parts.checkpointer.run())
        spawn(parts.bases.run())
        expiry = spawn(parts.expiry.run())
        for egress in (*parts.egresses.values(), *parts.adopted):
            spawn(egress.run())
        if self._carry is not None:
            spawn(self._carry())
        ingress_tasks = [
            tasks.create_task(self._read(ingress_id, ingress))
            for ingress_id, ingress in parts.ingresses.items()
        ]
        self.readiness.running()
        announce()
        await self._stop.asked()
        await _end([*ingress_tasks, delays, expiry])
        await self._drain()
        await parts.checkpointer.rest()
        await self._last_checkpoint()
        await _end(running)

    async def _read(self, ingress_id: str, ingress: IngressSource) -> None:
        """Where reading begins is in a checkpoint before the first record is routed: `latest` means one thing once."""
        await ingress.start()
        if not self._begins_as_saved(ingress_id, ingress):
            await self.parts.checkpointer.saved()
        self.readiness.begun(ingress_id)
        await ingress.run()

    def _begins_as_saved(self, ingress_id: str, ingress: IngressSource) -> bool:
        last = self.parts.checkpointer.last_complete
        saved = {} if last is None else last.positions.get(ingress_id, {})
        here = ingress.positions()
        return bool(here) and all(saved.get(split) == at for split, at in here.items())

    async def _drain(self) -> None:
        """Let replies that are on their way come in, within half of the stop timeout if nothing else was said."""
        loop = asyncio.get_running_loop()
        dispatchers = self.parts.exchange.dispatchers
        for dispatcher in dispatchers:
            dispatcher.stop()
        within_s = self._stop.drain_s
        ends_s = loop.time() + (self._drain_s if within_s is None else within_s)
        # Nobody is told of the last reply: that would cost something for each of all the others.
        while (out := _in_flight(dispatchers)) and loop.time() < ends_s:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        if out:
            log.warning(
                "%d requests got no reply in time; they are sent again at the next start", out
            )
        for dispatcher in dispatchers:
            dispatcher.close()

    async def _last_checkpoint(self) -> None:
        """Take the checkpoint from which the next start goes on, and let what it completes leave."""
        loop, parts = asyncio.get_running_loop(), self.parts
        ends_s = loop.time() + self._stop_timeout_s * (1 - _DRAIN_SHARE)
        parts.states.save_stamps(parts.exchange.functions)
        await self._flush(ends_s, waiting_for_epoch=False)
        if parts.checkpointer.is_changed():
            await parts.checkpointer.take()
        await self._flush(ends_s, waiting_for_epoch=True)
        if parts.checkpointer.is_changed() or parts.checkpointer.has_published():
            # What left just now is not to leave again, also where nobody else can say that it has left.
            await parts.checkpointer.take()

    async def _flush(self, ends_s: float, *, waiting_for_epoch: bool) -> None:
        for egress in (*self.parts.egresses.values(), *self.parts.adopted):
            if egress.waits_for_epoch == waiting_for_epoch:
                await egress.flush(max(0.1, ends_s - asyncio.get_running_loop().time()))

    async def close(self) -> None:
        """Leave ingresses and egresses."""
        for ingress in self.parts.ingresses.values():
            await ingress.close()
        for egress in (*self.parts.egresses.values(), *self.parts.adopted):
            await egress.close()


def _in_flight(dispatchers: Iterable[Dispatcher]) -> int:
    return sum(dispatcher.in_flight for dispatcher in dispatchers)


async def _end(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)
