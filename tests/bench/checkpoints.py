"""What checkpoints cost with one million addresses, and how fast a killed worker is back.

    python -m tests.bench.checkpoints [--addresses N] [--interval D] [--waiting N]

Stations: the loop's pause while 10,000 addresses change per epoch; duration and size of a checkpoint of 1,000 changed
addresses; time from process start after `kill -9` to the first new output; memory and checkpoint duration with N
messages waiting at one address. Prints one JSON line per station.
"""

import argparse
import json
import os
import random
import signal
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from statefun_runtime.adapters.storage.commit_log_folder import CommitLogFolder
from statefun_runtime.adapters.storage.object_folder import ObjectFolder
from statefun_runtime.core.checkpoints.commits import Completed
from statefun_runtime.core.checkpoints.delta import decode_rows
from statefun_runtime.core.checkpoints.manifest import Manifest
from statefun_runtime.core.model.metrics import LATENCY_BOUNDS_MS
from statefun_runtime.engine.checkpoints.recovery import read_manifest
from tests.bench.bench import MODULE, PARTITIONS
from tests.bench.million import Bench
from tests.bench.rig import FNSERVER, function_server, on_a_broker
from tests.fakes.off_loop import AT_ONCE, result_of
from tests.support.kafka.broker import KafkaBroker
from tests.support.metrics import Samples
from tests.support.processes import wait_until
from tests.support.worker import Worker

CHANGED_PER_EPOCH, CHANGED_SMALL, EPOCHS = 10_000, 1_000, 20


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parse(arguments)
    return on_a_broker(
        "checkpoints",
        lambda broker, folder: _measure(broker, folder, options),
        driver=os.getpid(),
    )


def _measure(broker: KafkaBroker, folder: Path, options: argparse.Namespace) -> None:
    names, out = broker.unique_topic("names", PARTITIONS), broker.unique_topic("out", PARTITIONS)
    with function_server(FNSERVER, out, folder) as (functions, port):
        module = MODULE.format(
            function_port=port, bootstrap=broker.bootstrap, names=names, delivery="at-least-once"
        )
        worker = Worker(module, folder, arguments=["--checkpoint-interval", options.interval])
        try:
            bench = Bench(broker, worker.start(), names, out)
            full = bench.run(range(options.addresses), timeout_s=600)
            _tell(f"{options.addresses:,} addresses", full | _checkpoints(worker))
            _pause(bench, worker, options.addresses)
            _small(bench, worker, options.addresses)
            _restart(bench)
            _waiting(bench, worker, functions.pid, options.waiting)
        finally:
            worker.close()


def _pause(bench: Bench, worker: Worker, addresses: int) -> None:
    """The loop's pause while 10,000 random addresses change per epoch."""
    before = worker.metrics()
    chosen = random.Random(2)
    for _ in range(EPOCHS):
        epochs = _epoch(worker)
        bench.run((chosen.randrange(addresses) for _ in range(CHANGED_PER_EPOCH)), timeout_s=60)
        _await_epoch(worker, epochs + 1)
    _tell(f"{CHANGED_PER_EPOCH:,} changed per epoch", _checkpoints(worker, before))


def _small(bench: Bench, worker: Worker, addresses: int) -> None:
    """A checkpoint of 1,000 changed addresses: how long, and how many bytes beside keys and values."""
    before = worker.metrics()
    for step in range(EPOCHS):
        epochs = _epoch(worker)
        keys = [(step * CHANGED_SMALL + n * 7919) % addresses for n in range(CHANGED_SMALL)]
        bench.run(keys, timeout_s=60)
        _await_epoch(worker, epochs + 1)
    manifest = _last_manifest(worker.state_dir)
    objects = ObjectFolder(worker.state_dir / "objects", AT_ONCE, sweep=False)
    data = result_of(objects.get(manifest.parts[0].deltas[-1].object.id))
    rows = list(decode_rows([data]))
    content = sum(len(key) + len(value or b"") for key, value in rows)
    numbers = {
        "delta_rows": len(rows),
        "delta_bytes_per_content_byte": round(len(data) / content, 2),
    }
    _tell(f"{CHANGED_SMALL:,} changed per epoch", _checkpoints(worker, before) | numbers)


def _restart(bench: Bench) -> None:
    _tell("kill -9, restart", {"first_output_s": bench.restart_s()})
    bench.run([], timeout_s=60)


def _waiting(bench: Bench, worker: Worker, functions: int, count: int) -> None:
    """One address has a great many messages to do, and its function does not answer."""
    worker.wait_until_ready()
    idle = _checkpoints(worker)
    os.kill(functions, signal.SIGSTOP)
    try:
        before = worker.metrics()
        begin_s = time.perf_counter()
        bench.send([5] * count)
        wait_until(
            lambda: worker.metrics().total("statefun_functions_numBacklog") >= count,
            "all to wait",
            timeout_s=300,
        )
        numbers = {"seconds": round(time.perf_counter() - begin_s, 1), "rss_mb": bench.rss_mb()}
        _tell(f"{count:,} wait at one address", numbers | _checkpoints(worker, before))
        print(json.dumps({"for comparison": idle}), flush=True)
    finally:
        os.kill(functions, signal.SIGCONT)
    bench.run([], timeout_s=300)


def _epoch(worker: Worker) -> int:
    return int(worker.metrics().total("statefun_checkpoints_completed_total"))


def _await_epoch(worker: Worker, number: int) -> None:
    wait_until(lambda: _epoch(worker) >= number, "a checkpoint", timeout_s=30)


def _checkpoints(worker: Worker, before: Samples | None = None) -> dict[str, float]:
    """Return percentiles, as upper bounds of buckets, of pause and duration since `before`."""
    after = worker.metrics()
    numbers: dict[str, float] = {}
    for what in ("pause_ms", "duration_ms"):
        for share in (0.5, 0.99):
            name = f"statefun_checkpoint_{what}"
            numbers[f"{what}_p{share * 100:.0f}_at_most"] = _percentile(name, share, before, after)
    return numbers


def _percentile(name: str, share: float, before: Samples | None, after: Samples) -> float:
    def count(bound: str) -> float:
        earlier = before.total(f"{name}_bucket", le=bound) if before else 0
        return after.total(f"{name}_bucket", le=bound) - earlier

    total = count("+Inf")
    for bound in LATENCY_BOUNDS_MS:
        if total and count(f"{bound:g}") >= share * total:
            return float(bound)
    return float("nan")


def _last_manifest(state_dir: Path) -> Manifest:
    objects = ObjectFolder(state_dir / "objects", AT_ONCE, sweep=False)
    entries = result_of(CommitLogFolder(state_dir / "log", AT_ONCE).read())
    completed = [entry for entry in entries if isinstance(entry, Completed)]
    return result_of(read_manifest(objects, completed[-1].manifest))


def _tell(station: str, numbers: Iterable[tuple[str, float]] | dict[str, float]) -> None:
    print(json.dumps({"station": station, **dict(numbers)}), flush=True)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="checkpoints", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--addresses", type=int, default=1_000_000)
    parser.add_argument("--interval", default="1s")
    parser.add_argument("--waiting", type=int, default=1_000_000, help="messages at one address")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
