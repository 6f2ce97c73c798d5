"""A restart with gigabytes of spilled messages at one address: what it costs in memory and time against one with none.

    python -m tests.bench.spilled [--gib N] [--delta-mib N]

The folders are made with the worker's own store and formats; most of the chunks lie in a base, the last in deltas.
Prints one JSON line per restart, and the difference. The exit status is 1 if that is more than 50 MB.
"""

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from statefun_runtime.adapters.storage.commit_log_folder import CommitLogFolder
from statefun_runtime.adapters.storage.object_folder import ObjectFolder
from statefun_runtime.adapters.storage.rocksdb import RocksDbStore
from statefun_runtime.core.checkpoints.commits import Completed, Started
from statefun_runtime.core.checkpoints.delta import MAGIC, encode_rows
from statefun_runtime.core.checkpoints.manifest import (
    Base,
    BaseFile,
    Delta,
    KeyGroups,
    Manifest,
    Part,
)
from statefun_runtime.core.checkpoints.overlay import Row
from statefun_runtime.core.model.address import TypeName
from statefun_runtime.core.model.keys import chunk_index_key_of, chunk_key_of, state_key
from statefun_runtime.core.model.messages import IngressEncoder
from statefun_runtime.core.partition.spill import MIDDLE_SEQUENCE, Chunk
from tests.bench.rig import machine
from tests.fakes.off_loop import AT_ONCE, result_of
from tests.support.sockets import free_port
from tests.support.worker import Worker

MORE_MB_MAX = 50.0
_KEY_GROUPS = 128
_ALL = KeyGroups(0, _KEY_GROUPS)
_INVOCATIONS_PER_CHUNK = 256
_CHUNKS_PER_DELTA = 128
_KEY = state_key(TypeName("bench", "slow"), "hot", key_group_count=_KEY_GROUPS)
_INVOCATION = IngressEncoder("bench/value").encode(b"x" * 1000)
_MODULE = """\
kind: io.statefun.endpoints.v2/http
spec:
  functions: bench/*
  urlPathTemplate: http://127.0.0.1:{function}
---
kind: io.statefun.playground.v1/ingress
spec: {{port: {ingress}}}
"""


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="spilled", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--gib", type=float, default=4.0, help="spilled bytes in the base")
    parser.add_argument("--delta-mib", type=int, default=128, help="and in deltas behind it")
    options = parser.parse_args(arguments)
    print(json.dumps({"machine": machine()}), flush=True)
    chunk_bytes = len(_INVOCATION) * _INVOCATIONS_PER_CHUNK
    in_base = int(options.gib * 2**30 / chunk_bytes)
    in_deltas = int(options.delta_mib * 2**20 / chunk_bytes)
    without = _measure("nothing spilled", 0, 0)
    spilled = _measure(f"{options.gib:g} GiB spilled", in_base, in_deltas)
    more_mb = round(spilled["peak_mb"] - without["peak_mb"], 1)
    print(json.dumps({"more_mb": more_mb, "is_good": more_mb < MORE_MB_MAX}))
    return 0 if more_mb < MORE_MB_MAX else 1


def _measure(station: str, in_base: int, in_deltas: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory(prefix="spilled-") as name:
        folder = Path(name)
        _make_folder(folder / "state", in_base, in_deltas)
        module = _MODULE.format(function=free_port(), ingress=free_port())
        worker = Worker(module, folder)
        try:
            begin_s = time.perf_counter()
            worker.start(timeout_s=300)
            seconds = time.perf_counter() - begin_s
            time.sleep(2.0)
            waiting = worker.metrics().total("statefun_functions_numBacklog")
            assert waiting == (in_base + in_deltas) * _INVOCATIONS_PER_CHUNK, waiting
            numbers = {
                "seconds": round(seconds, 1),
                "peak_mb": _peak_mb(worker.pid),
                "rss_mb": round(worker.rss_bytes() / 2**20, 1),
            }
        finally:
            worker.close()
    print(json.dumps({"station": station, **numbers}), flush=True)
    return numbers


def _peak_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return round(int(line.split()[1]) / 1024, 1)
    raise AssertionError("the kernel does not say how much memory a process had at most")


def _make_folder(folder: Path, in_base: int, in_deltas: int) -> None:
    """Write a state folder whose one checkpoint holds so many chunks."""
    objects = ObjectFolder(folder / "objects", AT_ONCE)
    base = _make_base(objects, folder / "making", in_base)
    deltas = []
    for epoch, begin in enumerate(range(0, in_deltas, _CHUNKS_PER_DELTA), 2):
        numbers = range(begin, min(begin + _CHUNKS_PER_DELTA, in_deltas))
        rows = [row for number in numbers for row in _rows(in_base + number)]
        deltas.append(Delta(epoch, result_of(objects.put([MAGIC, encode_rows(rows)]))))
    last = 1 + len(deltas)
    part = Part("standalone", _ALL, (base,), tuple(deltas))
    manifest = Manifest("bench", last, 1, "line", 0, _KEY_GROUPS, 8, {}, (part,), outboxes=())
    stored = result_of(objects.put([manifest.encode()]))
    result_of(objects.sync())
    log = CommitLogFolder(folder / "log", AT_ONCE)
    result_of(log.append(Started("bench", 1, "nonce", "line", 0, None, None, _KEY_GROUPS)))
    result_of(log.append(Completed(last, 1, "line", stored.id)))


def _make_base(objects: ObjectFolder, making: Path, count: int) -> Base:
    store = RocksDbStore(making / "live")
    for number in range(count):
        store.write(_rows(number))
    store.flush()
    store.snapshot(making / "snapshot")
    store.close()
    files = tuple(
        BaseFile(path.name, result_of(objects.put_file(path)))
        for path in sorted((making / "snapshot").iterdir())
    )
    shutil.rmtree(making)
    return Base(1, _ALL, files)


def _rows(number: int) -> list[Row]:
    row = _INVOCATION * _INVOCATIONS_PER_CHUNK
    chunk = Chunk(MIDDLE_SEQUENCE + 1 + number, _INVOCATIONS_PER_CHUNK, len(row))
    key = chunk_key_of(_KEY, chunk.sequence)
    return [(key, row), (chunk_index_key_of(key), chunk.index_row())]


if __name__ == "__main__":
    sys.exit(main())
