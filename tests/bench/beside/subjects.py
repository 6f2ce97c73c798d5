"""Whoever is measured, running between topics of its own, with functions, a feed and a collector at its ends."""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.bench import MODULE, PARTITIONS, Line
from tests.bench.beside.flink import StateFun
from tests.bench.load import VALUE_BYTES, Collector, Feed
from tests.bench.rig import FNSERVER, Cores, function_server
from tests.support.kafka.broker import KafkaBroker
from tests.support.processes import Process
from tests.support.worker import Worker

OURS, ORIGINAL = "ours", "StateFun on Flink"
# Between the keys of two lines of one subject.
_APART = 10_000_000
Functions = Callable[[str, Path], AbstractContextManager[tuple[Process, int]]]


@dataclass(slots=True)
class Subject:
    """One that runs; its lines have keys of their own, so that each counts from 1."""

    worker: Any
    topics: tuple[str, str]
    _broker: KafkaBroker
    _cores: Cores
    _collector: Collector
    _functions: tuple[Process, int]
    _lines: int = 0

    def line(self, addresses: int, *, size_bytes: int = VALUE_BYTES) -> Line:
        functions, port = self._functions
        self._lines += 1
        feed = Feed(
            self._broker.bootstrap,
            self.topics[0],
            addresses=addresses,
            first=self._lines * _APART,
            seed=self._lines,
            size_bytes=size_bytes,
        )
        return Line(
            self.worker,
            feed=feed,
            collector=self._collector,
            function_port=port,
            others={"driver": os.getpid(), "function": functions.pid, "broker": self._broker.pid},
            cores=self._cores,
        )


def _in_c(topic: str, folder: Path) -> AbstractContextManager[tuple[Process, int]]:
    return function_server(FNSERVER, topic, folder)


@contextmanager
def running(
    broker: KafkaBroker,
    cores: Cores,
    whose: str,
    delivery: str,
    *,
    interval: str = "1s",
    partitions: int = PARTITIONS,
    workers: int = 1,
    functions: Functions = _in_c,
) -> Iterator[Subject]:
    """Run one of them on fresh topics, on the core of whoever is measured; `workers` is the original's parallelism, too."""
    names, greetings = (broker.unique_topic(one, partitions) for one in ("names", "greetings"))
    with (
        tempfile.TemporaryDirectory(prefix="statefun-beside-") as folder,
        functions(greetings, Path(folder)) as served,
    ):
        module = MODULE.format(
            function_port=served[1], bootstrap=broker.bootstrap, names=names, delivery=delivery
        )
        is_committed = delivery == "exactly-once"
        if is_committed:
            module += "    transactionTimeout: 15min\n"
        worker: Worker | StateFun
        if whose == OURS:
            arguments = ["--checkpoint-interval", interval]
            if workers > 1:
                arguments += ["--workers", str(workers)]
            worker = Worker(module, Path(folder), arguments=arguments, cpus=cores.worker)
        else:
            worker = StateFun(
                module, Path(folder), interval=interval, parallelism=workers, cpus=cores.worker
            )
        collector = Collector(broker.bootstrap, greetings, is_committed=is_committed)
        try:
            worker.start()
            yield Subject(worker, (names, greetings), broker, cores, collector, served)
        finally:
            collector.close()
            worker.close()
