"""How long one turn of the event loop takes where much comes at once: an engine in this process, functions without a network.

    python -m tests.bench.engine.loop_steps [--seconds S] [new] [delayed] [timers]

`new`      messages to addresses that were never seen, as fast as they go, each of which keeps a number
`delayed`  hundreds of replies in hand at a time, each with a thousand delayed messages
`timers`   two hundred thousand delayed messages that are due at once

Store, checkpoints (one a second) and garbage collector are those of a worker. Prints one JSON line per load: by how many
milliseconds the loop was late for someone who asked to be woken every 5 ms, the CPU time of turns in which something was
done, and how much that was. The exit status is 1 if the loop was more than 20 ms late at the 99th percentile.
"""

import argparse
import asyncio
import gc
import json
import logging
import sys
import tempfile
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from time import perf_counter, thread_time
from typing import Any

from statefun_runtime.adapters.storage.state_folder import StateFolder
from statefun_runtime.adapters.wire import decode_reply
from statefun_runtime.app.build import machine_ports
from statefun_runtime.core.checkpoints.commits import History
from statefun_runtime.core.model.address import TypeName
from statefun_runtime.core.model.messages import IngressEncoder
from statefun_runtime.core.module.specs import EndpointSpec, FunctionPattern
from statefun_runtime.core.partition.backlog import Backlog, Function
from statefun_runtime.core.partition.backpressure import Limits
from statefun_runtime.engine.assembly import assemble
from statefun_runtime.engine.beginning import begin
from statefun_runtime.engine.checkpoints.recovery import Names
from statefun_runtime.engine.settings import EngineSettings
from statefun_runtime.engine.stop import Stop
from statefun_runtime.engine.worker import Worker
from statefun_runtime.ports.function_client import ReplyListener
from statefun_runtime.ports.module import ModuleSpec
from tests.bench.rig import machine
from tests.support.wire_builders import incomplete, result

GC_THRESHOLDS = (10_000, 5, 800)
_LATE_MS_MAX = 20.0
_LOOK_S = 0.005
_AT_ONCE = 256
_PER_REPLY = 1000
_SLICE = 500
_OUT_MAX = 256
_INVOCATION = IngressEncoder("t/value").encode(b"12345678")
_KNOWN = result(state={"n": b"12345678"})
_DELAYED = result(delay=((3_600_000, "later", "x", b"12345678", "") for _ in range(_PER_REPLY)))
_SOON = result(delay=((3_000, "later", "x", b"12345678", "") for _ in range(_PER_REPLY)))


class Client:
    """A FunctionClient that is answered in the next turn, or with `hold_s` after a while, all requests at once."""

    def __init__(self, answer: Callable[[bytes], bytes]) -> None:
        self._answer = answer
        self._loop = asyncio.get_running_loop()
        self._out: dict[Backlog, bytes] = {}
        self._held: list[Backlog] = []
        self.hold_s = 0.0
        self.answered = 0
        self._listener: ReplyListener

    def attach(self, listener: ReplyListener) -> None:
        self._listener = listener

    def can_send(self, wanted: int, *, is_alone: bool = False) -> bool:
        return len(self._out) < _OUT_MAX

    def send(
        self, backlog: Backlog, body: bytes, *, limit_s: float, is_alone: bool = False
    ) -> None:
        self._out[backlog] = self._answer(body)
        if not self.hold_s:
            self._loop.call_soon(self._ended, backlog)
        else:
            self._held.append(backlog)
            if len(self._held) == 1:
                self._loop.call_later(self.hold_s, self._answer_all)

    def _answer_all(self) -> None:
        """As many sockets that can be read in the same turn."""
        held, self._held = self._held, []
        for backlog in held:
            self._loop.call_soon(self._ended, backlog)

    def _ended(self, backlog: Backlog) -> None:
        self.answered += 1
        self._listener.replied(backlog, self._out.pop(backlog))
        self._listener.has_room()

    def cancel(self, backlog: Backlog) -> bool:
        return False

    def capacity(self) -> int:
        return _OUT_MAX

    def in_flight(self) -> int:
        return len(self._out)

    def close(self) -> None:
        self._out.clear()


def _answer(body: bytes) -> bytes:
    if b"\x12\x04hour" in body:
        return _DELAYED
    if b"\x12\x04soon" in body:
        return _SOON
    return _KNOWN if b"\x0a\x01n" in body else incomplete("n")


class Engine:
    """A worker on this machine's store, without connectors; it is fed by hand."""

    def __init__(self, worker: Worker, clients: dict[str, Client]) -> None:
        self.worker = worker
        self.clients = clients
        self.exchange = worker.parts.exchange

    def function(self, name: str) -> Function:
        found = self.exchange.resolve(TypeName("t", name))
        assert found is not None
        return found


class Connectors:
    """Functions alone."""

    def __init__(self) -> None:
        self.clients: dict[str, Client] = {}

    def make_client(self, function: Function) -> tuple[Any, int]:
        client = self.clients[function.type.name] = Client(_answer)
        return client, _OUT_MAX

    def make_ingress(self, *_: object) -> Any:
        raise AssertionError("there is none")

    make_egress = make_ingress


async def _until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110
        await asyncio.sleep(0)


async def feed_new(engine: Engine, seconds: float) -> int:
    """Send one message each to addresses that follow each other."""
    function, number, ends_s = engine.function("new"), 0, perf_counter() + seconds
    while perf_counter() < ends_s:
        for _ in range(_SLICE):
            number += 1
            engine.exchange.deliver(function, f"id-{number}", _INVOCATION)
        await _until(lambda: function.waiting <= 4 * _SLICE)
    return number


async def feed_delayed(engine: Engine, seconds: float) -> int:
    """Have hundreds of replies come in the same turn, again and again."""
    return await _feed_replies(engine, "hour", seconds)


async def feed_timers(engine: Engine, seconds: float) -> int:
    """Have delayed messages fall due together."""
    done = await _feed_replies(engine, "soon", 0.0)
    await asyncio.sleep(3.0 + seconds)
    return done


async def _feed_replies(engine: Engine, name: str, seconds: float) -> int:
    function, done, ends_s = engine.function(name), 0, perf_counter() + seconds
    client = engine.clients[name]
    engine.exchange.deliver(function, "first", _INVOCATION)
    await _until(lambda: not function.waiting)
    client.hold_s = 0.02
    while done == 0 or perf_counter() < ends_s:
        for number in range(_AT_ONCE):
            engine.exchange.deliver(function, f"id-{number}", _INVOCATION)
        await _until(lambda: not function.waiting)
        done += _AT_ONCE * _PER_REPLY
    return done


LOADS: dict[str, Callable[[Engine, float], Coroutine[Any, Any, int]]] = {
    "new": feed_new,
    "delayed": feed_delayed,
    "timers": feed_timers,
}


async def _look(late_ms: list[float]) -> None:
    loop = asyncio.get_running_loop()
    while True:
        due_s = loop.time() + _LOOK_S
        await asyncio.sleep(_LOOK_S)
        late_ms.append((loop.time() - due_s) * 1000)


async def _count_turns(cpu_ms: list[float]) -> None:
    """What other processes do to this one is not in it."""
    before_s = thread_time()
    while True:
        await asyncio.sleep(0)
        now_s = thread_time()
        cpu_ms.append((now_s - before_s) * 1000)
        before_s = now_s


class Collections:
    """The pauses of the garbage collector."""

    def __init__(self) -> None:
        self.pauses_ms: dict[int, float] = {}
        self._began_s = 0.0

    def __call__(self, phase: str, info: dict[str, int]) -> None:
        if phase == "start":
            self._began_s = perf_counter()
            return
        ms, generation = (perf_counter() - self._began_s) * 1000, info["generation"]
        self.pauses_ms[generation] = max(self.pauses_ms.get(generation, 0.0), round(ms, 1))


async def _measure(name: str, seconds: float) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="steps-") as folder:
        state, connectors = StateFolder(Path(folder)), Connectors()
        limits = Limits(1 << 30, 1 << 40, 1 << 40, 1 << 26, 0)
        settings = EngineSettings(limits=limits)
        ports = machine_ports(state)
        beginning = await begin(ports, History(()), Names("app", "nonce", "line"), settings)
        module = ModuleSpec((EndpointSpec(FunctionPattern("t", None), "http://x/"),), (), ())
        stop = Stop()
        assembly = await assemble(
            ports, connectors, module, settings, beginning, decode_reply, stop
        )
        worker = await assembly.restored()
        engine = Engine(worker, connectors.clients)
        gc.collect()
        gc.freeze()
        gc.set_threshold(*GC_THRESHOLDS)
        collections = Collections()
        gc.callbacks.append(collections)
        try:
            return await _run(engine, name, seconds, stop) | {"gc_max_ms": collections.pauses_ms}
        finally:
            gc.callbacks.remove(collections)
            worker.parts.states.store.close()
            state.close()


async def _run(engine: Engine, name: str, seconds: float, stop: Stop) -> dict[str, Any]:
    late_ms: list[float] = []
    cpu_ms: list[float] = []
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(engine.worker.run(tasks, lambda: None))
        await asyncio.sleep(0.2)
        looking = [tasks.create_task(_look(late_ms)), tasks.create_task(_count_turns(cpu_ms))]
        done = await LOADS[name](engine, seconds)
        for one in looking:
            one.cancel()
        stop.ask()
        await running
    busy_ms = [ms for ms in cpu_ms if ms > 0.1]
    return {
        "load": name,
        "done_per_s": round(done / max(seconds, 1.0)),
        "late_ms": _spread(late_ms),
        "cpu_ms_per_turn": _spread(busy_ms),
    }


def _spread(values: list[float]) -> dict[str, float]:
    values = sorted(values) or [0.0]
    last = len(values) - 1
    at = {"p50": last // 2, "p99": last * 99 // 100, "max": last}
    return {name: round(values[index], 1) for name, index in at.items()}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="loop_steps", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("loads", nargs="*", default=list(LOADS), help=", ".join(LOADS))
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.ERROR)
    print(json.dumps({"machine": machine()}), flush=True)
    is_good = True
    for name in options.loads:
        found = asyncio.run(_measure(name, options.seconds))
        is_good &= found["late_ms"]["p99"] <= _LATE_MS_MAX
        print(json.dumps(found), flush=True)
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
