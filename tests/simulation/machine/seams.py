"""What of the runtime is replaced while a world runs: the machine under the adapters, and a few limits, made small."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

from statefun_runtime.adapters import clock
from statefun_runtime.adapters.storage import commit_log_folder, object_folder
from statefun_runtime.app import build
from statefun_runtime.connectors.kafka.egress import publisher as kafka_publisher
from statefun_runtime.connectors.playground import ingress_log
from statefun_runtime.connectors.playground import reader as playground_reader
from statefun_runtime.connectors.playground import writer as playground_writer
from statefun_runtime.core.partition import backlog
from statefun_runtime.engine.checkpoints import checkpointer, snapshots
from statefun_runtime.engine.state import spills, states
from tests.simulation.machine.fake_disk import Disk, FakeOs
from tests.simulation.machine.fake_http import Ports, fake_server
from tests.simulation.machine.loop import START_MS, SimLoop, off_loop
from tests.simulation.machine.state_store import DictStore


class Time:
    """The module `time` of a machine whose wall clock can be set."""

    def __init__(self, loop: SimLoop) -> None:
        self._loop = loop
        self.offset_s = 0.0

    def time_ns(self) -> int:
        return START_MS * 1_000_000 + int((self._loop.time() - 1000 + self.offset_s) * 1e9)

    def clock_gettime_ns(self, clock_id: int) -> int:
        return int(self._loop.time() * 1e9)

    def monotonic(self) -> float:
        return self._loop.time()


@contextmanager
def machine(
    disk: Disk,
    ports: Ports,
    time: Time,
    connectors: SimpleNamespace,
    limits: dict[str, int],
) -> Iterator[None]:
    """Run the adapters on this machine until the block ends."""
    fake_os, server = FakeOs(disk), fake_server(ports)
    replaced: list[tuple[Any, str, Any]] = [
        (object_folder, "os", fake_os),
        (object_folder, "shutil", fake_os),
        (commit_log_folder, "os", fake_os),
        (ingress_log, "os", fake_os),
        (clock, "time", time),
        (playground_reader, "HttpServer", server),
        (playground_writer, "HttpServer", server),
        (asyncio, "to_thread", off_loop),
        (build, "RocksDbStore", DictStore),
        (build, "make_client", connectors.make_client),
        (build, "make_ingress", connectors.make_ingress),
        (build, "make_egress", connectors.make_egress),
        (backlog, "HEAD_BYTES_MAX", limits["head_bytes"]),
        (spills, "CHUNK_BYTES", limits["chunk_bytes"]),
        (backlog, "CHUNK_BYTES", limits["chunk_bytes"]),
        (snapshots, "_DELTAS_MAX", limits["deltas"]),
        (snapshots, "_SLICE_ROWS", limits["slice_rows"]),
        (states, "_SLICE_ROWS", limits["slice_rows"]),
        (checkpointer, "_COLLECT_EVERY", limits["collect_every"]),
        (ingress_log, "_SEGMENT_BYTES", limits["segment_bytes"]),
        (kafka_publisher, "_CHUNK_BYTES", limits["transaction_bytes"]),
        (kafka_publisher, "_MEMORY_MAX_BYTES", limits["outbox_bytes"]),
        (kafka_publisher, "_COMMIT_LIMIT_S", 6.0),
    ]
    before = [(owner, name, getattr(owner, name)) for owner, name, _ in replaced]
    try:
        for owner, name, value in replaced:
            setattr(owner, name, value)
        yield
    finally:
        for owner, name, value in before:
            setattr(owner, name, value)


Clock = Callable[[], float]
