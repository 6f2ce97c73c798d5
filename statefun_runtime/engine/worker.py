"""The life of a worker: restore, run, stop with a checkpoint.

restore ─▶ start egresses and ingresses ─▶ run ─▶ stop: ingress first, then requests that are out, then
                                                  egresses, then the checkpoint that the next start goes on from
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from statefun_runtime.core.address import KeyGroup
from statefun_runtime.core.backpressure import Load
from statefun_runtime.core.checkpoint import Manifest
from statefun_runtime.core.messages import split_fields
from statefun_runtime.core.rows import BACKLOG, TIMER, backlog_key, group_prefix, parse_address_key
from statefun_runtime.engine.delays import Delays
from statefun_runtime.engine.exchange import Exchange
from statefun_runtime.engine.gate import Gate
from statefun_runtime.engine.states import States
from statefun_runtime.ports.checkpoint_store import CheckpointStore, Unpublished
from statefun_runtime.ports.clock import Clock
from statefun_runtime.ports.egress import EgressSink
from statefun_runtime.ports.ingress import IngressSource
from statefun_runtime.ports.state_store import StateStore

log = logging.getLogger("statefun.worker")

_DRAIN_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class Parts:
    """What a worker is made of; egresses by namespace and name, ingresses by id."""

    store: StateStore
    states: States
    load: Load
    delays: Delays
    exchange: Exchange
    gate: Gate
    clock: Clock
    egresses: Mapping[tuple[str, str], EgressSink]
    ingresses: Mapping[str, IngressSource]
    checkpoints: CheckpointStore


class Worker:
    """Runs one application."""

    def __init__(
        self, parts: Parts, *, key_group_count: int, partition_count: int, stop_timeout_s: float
    ) -> None:
        self.parts = parts
        self._key_group_count = key_group_count
        self._partition_count = partition_count
        self._stop_timeout_s = stop_timeout_s
        self.is_ready = False

    def restore(self, unpublished: Unpublished) -> None:
        """Take back backlogs, delayed messages and egress records of an earlier life."""
        left_behind = 0
        for group in range(self._key_group_count):
            prefix = group_prefix(KeyGroup(group))
            left_behind += self._restore_backlogs(prefix + BACKLOG)
            for key, row in self.parts.states.scan(prefix + TIMER):
                self.parts.delays.restore(key, row)
        if left_behind:
            log.warning(
                "the backlogs of %d addresses are kept but wait: no endpoint serves their function type",
                left_behind,
            )
        for egress_id, sink in self._egresses():
            records = [record for owner, record in unpublished if owner == egress_id]
            if records:
                sink.restore(records)
        known = {egress_id for egress_id, _ in self._egresses()}
        lost = sum(1 for owner, _ in unpublished if owner not in known)
        if lost:
            log.error("%d egress records have no egress any more and are dropped", lost)

    def _restore_backlogs(self, prefix: bytes) -> int:
        left_behind = 0
        for key, row in list(self.parts.states.scan(prefix)):
            address = parse_address_key(key)
            function = self.parts.exchange.resolve(address.type)
            if function is None:
                left_behind += 1
                continue
            for invocation in split_fields(row):
                self.parts.exchange.deliver(function, address.id, invocation)
            self.parts.states.write(key, None)
        return left_behind

    async def run(
        self, tasks: asyncio.TaskGroup, stop: asyncio.Event, announce: Callable[[], None]
    ) -> None:
        """Run until `stop` is set, then drain; all tasks have ended or been cancelled when this returns."""
        parts = self.parts
        running: list[asyncio.Task[None]] = []

        def spawn(work: Coroutine[Any, Any, None]) -> None:
            running.append(tasks.create_task(work))

        spawn(parts.states.run())
        spawn(parts.delays.run(parts.exchange))
        spawn(parts.gate.run())
        for _, sink in self._egresses():
            spawn(sink.run())
        ingress_tasks = [
            tasks.create_task(_start_and_run(ingress)) for ingress in parts.ingresses.values()
        ]
        self.is_ready = True
        announce()
        await stop.wait()
        self.is_ready = False
        for task in ingress_tasks:
            task.cancel()
        await _ended(ingress_tasks)
        await self._drain()
        for task in running:
            task.cancel()
        await _ended(running)

    async def _drain(self) -> None:
        """Let replies that are on their way come in, and egress records leave; both within the stop timeout."""
        loop = asyncio.get_running_loop()
        ends_s = loop.time() + self._stop_timeout_s
        lanes = self.parts.exchange.lanes
        for lane in lanes:
            lane.stop()
        drained_s = loop.time() + self._stop_timeout_s * _DRAIN_SHARE
        while (out := sum(lane.in_flight for lane in lanes)) and loop.time() < drained_s:
            await asyncio.sleep(0.01)
        if out:
            log.warning(
                "%d requests got no reply in time; they will be sent again at the next start", out
            )
        for lane in lanes:
            lane.close()
        for _, sink in self._egresses():
            await sink.flush(max(0.1, ends_s - loop.time()))

    def save(self, previous: Manifest | None) -> Manifest:
        """Write the checkpoint from which the next start goes on; nothing else may run."""
        parts = self.parts
        for address, invocations in parts.exchange.unfinished():
            key = backlog_key(address.type, address.id, key_group_count=self._key_group_count)
            parts.states.write(key, b"".join(invocations))
        parts.states.settle(parts.exchange.functions)
        parts.store.flush()
        unpublished = [
            (egress_id, record)
            for egress_id, sink in self._egresses()
            for record in sink.unpublished()
        ]
        manifest = Manifest(
            number=previous.number + 1 if previous else 1,
            created_ms=parts.clock.now_ms(),
            key_group_count=self._key_group_count,
            partition_count=self._partition_count,
            positions=self._positions(previous),
            unpublished_count=len(unpublished),
        )
        parts.checkpoints.save(manifest, parts.store.snapshot, unpublished)
        return manifest

    async def close(self, manifest: Manifest) -> None:
        """Leave ingresses and egresses; the positions of the checkpoint may be told to the outside now."""
        for ingress_id, ingress in self.parts.ingresses.items():
            await ingress.close(manifest.positions.get(ingress_id, {}))
        for _, sink in self._egresses():
            await sink.close()

    def _positions(self, previous: Manifest | None) -> dict[str, dict[str, int]]:
        """An ingress that has gone, or was never reached, keeps the positions it had."""
        positions = dict(previous.positions) if previous else {}
        for ingress_id, ingress in self.parts.ingresses.items():
            positions[ingress_id] = {**positions.get(ingress_id, {}), **ingress.positions()}
        return positions

    def _egresses(self) -> list[tuple[str, EgressSink]]:
        return [("/".join(key), sink) for key, sink in self.parts.egresses.items()]


async def _start_and_run(ingress: IngressSource) -> None:
    await ingress.start()
    await ingress.run()


async def _ended(tasks: Sequence[asyncio.Task[None]]) -> None:
    if tasks:
        await asyncio.wait(tasks)
