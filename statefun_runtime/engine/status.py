"""What a running worker tells of itself: what is stuck, since when, why, and what happens next."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any

from statefun_runtime.core.model.address import Address, TypeName
from statefun_runtime.core.model.metrics import Histogram, Metric
from statefun_runtime.core.partition.backlog import BACKING_OFF, Backlog, Function, Phase
from statefun_runtime.core.partition.partitions import Partitions
from statefun_runtime.engine.dispatch.parked import ParkedAddresses, Selection
from statefun_runtime.engine.readiness import Readiness
from statefun_runtime.engine.worker import Parts
from statefun_runtime.errors import ConfigError

# An application has many addresses in memory: whoever looks at all of them lets others work in between.
_SLICE = 5000
_DOING = {
    Phase.READY: "waits for a connection",
    Phase.IN_FLIGHT: "is being tried now",
    Phase.BACKING_OFF: "is tried again after a pause",
}
# Of the splits of an ingress the one that is worst off counts; all else adds up.
_WORST = ("_ms", "_seconds", "_age", "connected")


class Status:
    """Answers `statefun-worker status` and `retry`."""

    def __init__(self, parts: Parts, readiness: Readiness) -> None:
        self._parts = parts
        self._readiness = readiness
        self._parked = ParkedAddresses(parts.exchange, parts.checkpointer, parts.clock)
        self._loop = asyncio.get_running_loop()

    async def show(self, *, limit: int) -> dict[str, Any]:
        """Return all of it; of addresses that fail, and of parked ones, so many in detail, the oldest first."""
        failing = [backlog async for backlog in self._failing()]
        failing.sort(key=_since_s)
        parts = self._parts
        last = parts.checkpointer.last_complete
        return {
            "not_ready": self._readiness.reasons(),
            "waits": self._readiness.waits(),
            "held_back": parts.ingress_context.why_held_back() or "",
            "checkpoints": {
                "epoch": last.epoch if last is not None else 0,
                "age_s": parts.checkpointer.age_s(),
                "completed": parts.checkpointer.completed_count,
                "aborted": parts.checkpointer.aborted_count,
                "trouble": parts.checkpointer.trouble,
            },
            "ingresses": [_numbers(name, one.metrics()) for name, one in parts.ingresses.items()],
            "functions": list(self._functions()),
            "failing": {
                "total": len(failing),
                "addresses": [self._describe(backlog) for backlog in failing[:limit]],
            },
            "parked": self._parked.show(Selection(), limit=limit),
            "egresses": [_numbers(name, one.metrics()) for name, one in parts.egresses.items()],
        }

    async def retry_address(self, address: Address) -> dict[str, Any]:
        """Try an address that fails, or is parked, at once."""
        function = self._parts.exchange.resolve(address.type)
        backlog = _find(function, address) if function is not None else None
        if backlog is None or backlog.failing is None or not backlog.failing.attempts:
            raise ConfigError(
                f"{address} does not fail",
                code="SF1058",
                hint="`statefun-worker status` shows which addresses do",
            )
        dispatcher = next(d for d in self._parts.exchange.dispatchers if d.function is function)
        was_down = dispatcher.policy.probe_now()
        is_resumed = dispatcher.policy.retry(backlog)
        return {"addresses": int(is_resumed), "probes": int(was_down)}

    async def retry_endpoint(self, text: str) -> dict[str, Any]:
        """Ask an endpoint, named by its URL or by one of its function types, and all its addresses that make a pause."""
        dispatchers = [d for d in self._parts.exchange.dispatchers if _is_meant(d.function, text)]
        if not dispatchers:
            known = dict.fromkeys(d.function.url for d in self._parts.exchange.dispatchers)
            raise ConfigError(
                f"no endpoint that was called is {text!r}",
                code="SF1058",
                hint=f"the endpoints are {', '.join(known) or 'none, for nothing was called yet'}",
            )
        probes = addresses = 0
        for dispatcher in dispatchers:
            probes += dispatcher.policy.probe_now()
            for backlog in list(dispatcher.function.backlogs.values()):
                if backlog.phase == BACKING_OFF:
                    addresses += dispatcher.policy.retry(backlog)
        return {"addresses": addresses, "probes": probes}

    def _functions(self) -> Iterator[dict[str, Any]]:
        set_aside = set_aside_by_function(self._parts.exchange.partitions)
        now_s = self._loop.time()
        for dispatcher in self._parts.exchange.dispatchers:
            function, circuit = dispatcher.function, dispatcher.function.circuit
            down_since_s = dispatcher.policy.down_since_s
            yield {
                "function": str(function.type),
                "endpoint": function.url,
                "state": circuit.state.value,
                "error": circuit.reason if function.is_down else "",
                "down_s": now_s - down_since_s if function.is_down else 0.0,
                "next_probe_s": dispatcher.policy.probe_in_s(),
                "succeeded_s": now_s - circuit.succeeded_s if circuit.succeeded_s else None,
                "in_flight": dispatcher.in_flight,
                "waiting": function.waiting,
                "busy": function.busy,
                "parked": set_aside[function],
            }

    async def _failing(self) -> AsyncIterator[Backlog]:
        seen = 0
        for dispatcher in self._parts.exchange.dispatchers:
            for backlog in list(dispatcher.function.backlogs.values()):
                seen += 1
                if seen % _SLICE == 0:
                    await asyncio.sleep(0)
                failing = backlog.failing
                if failing is None or not failing.attempts:
                    continue
                if not self._parts.exchange.partitions.has_parked(backlog):
                    yield backlog

    def _describe(self, backlog: Backlog) -> dict[str, Any]:
        failing = backlog.failing
        assert failing is not None
        now_s = self._loop.time()
        pause_s = 0.0
        if backlog.phase == BACKING_OFF:
            partition = self._parts.exchange.partitions.owned[backlog.owner]
            pause_s = max(0.0, partition.failures.pauses.end_s(backlog) - now_s)
        return {
            "function": str(backlog.function.type),
            "id": backlog.id,
            "endpoint": backlog.function.url,
            "failing_s": now_s - failing.since_s,
            "attempts": failing.attempts,
            "doing": _DOING.get(Phase(backlog.phase), ""),
            "next_try_s": pause_s,
            "waiting": len(backlog.in_flight) + backlog.waiting_count,
            "error": failing.reason,
        }


def set_aside_by_function(partitions: Partitions) -> Counter[Function]:
    """Count the addresses that `parked list` shows: set aside, until they get past what they failed at."""
    return Counter(b.function for partition in partitions for b in partition.failures.parked)


def _find(function: Function, address: Address) -> Backlog | None:
    """Find an address by its id, or as it was printed: escaped, and without the end of a long id."""
    if address.id in function.backlogs:
        return function.backlogs[address.id]
    shown = f"{address.type}/{address.id}"
    failing = (b for b in function.backlogs.values() if b.failing is not None)
    return next((b for b in failing if str(b.address) == shown), None)


def _since_s(backlog: Backlog) -> float:
    return backlog.failing.since_s if backlog.failing is not None else 0.0


def _is_meant(function: Function, text: str) -> bool:
    if "://" in text:
        return text in (function.url, function.endpoint.url_template)
    try:
        return function.type == TypeName.parse(text)
    except ValueError:
        return False


def _numbers(name: str, metrics: Iterable[Metric]) -> dict[str, Any]:
    """Return what an ingress or egress counts, by the last part of the names."""
    numbers: dict[str, float] = {}
    for metric in metrics:
        if isinstance(metric.value, Histogram):
            continue
        short = metric.name.removeprefix("statefun_ingress_").removeprefix("statefun_egress_")
        if short not in numbers:
            numbers[short] = metric.value
        elif short.endswith(_WORST):
            worst = min if short.endswith("connected") else max
            numbers[short] = worst(numbers[short], metric.value)
        else:
            numbers[short] += metric.value
    return {"id": name, "numbers": numbers}
