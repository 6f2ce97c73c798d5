"""A worker under load on a real broker, and the check that nothing was lost, doubled or reordered."""

import random
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from confluent_kafka import Producer

from tests.bench.bench import MODULE, PARTITIONS
from tests.bench.rig import FNSERVER, function_server
from tests.support.kafka_broker import KafkaBroker
from tests.support.processes import wait_until
from tests.support.worker import Worker

KEYS = 200
_BURST, _PAUSE_S = 20, 0.02
_CAUGHT_UP_S = 90.0


class Feed:
    """Produces to random keys at a steady rate, from its own thread, until it is stopped."""

    def __init__(self, broker: KafkaBroker, topic: str, *, seed: int) -> None:
        self._topic = topic
        self._random = random.Random(seed)
        self._is_stopped = threading.Event()
        settings = {"bootstrap.servers": broker.bootstrap, "linger.ms": 5, "log_level": 0}
        # A broker that dies before it answers makes the producer send again: only once may it count.
        settings = {**settings, "enable.idempotence": True, "message.timeout.ms": 300_000}
        self._producer = Producer(settings)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.sent = 0

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> int:
        """Return how many records are in the topic now."""
        self._is_stopped.set()
        self._thread.join()
        assert not self._producer.flush(120), "records could not be produced"
        return self.sent

    def _run(self) -> None:
        while not self._is_stopped.wait(_PAUSE_S):
            for _ in range(_BURST):
                key = b"%08d" % self._random.randrange(KEYS)
                self._producer.produce(self._topic, b"x", key)
                self.sent += 1
            self._producer.poll(0)


class Rig:
    """A worker with an exactly-once egress, its topics, and its feed."""

    def __init__(
        self, broker: KafkaBroker, folder: Path, worker: Worker, names: str, out: str, seed: int
    ) -> None:
        self.broker = broker
        self.folder = folder
        self.worker = worker
        self.random = random.Random(seed)
        self._out = out
        self.feed = Feed(broker, names, seed=seed)

    def pause_at_random(self, longest_s: float) -> None:
        """Let a random time pass: a kill must be able to hit anything."""
        time.sleep(self.random.uniform(0.1, longest_s))

    def kill_and_start(self) -> None:
        assert self.worker.process.exit_status is None, self.worker.output()[-2000:]
        self.worker.kill9()
        self.worker.start(is_ready_awaited=False)

    def check(self) -> int:
        """Stop the feed, wait for all results, and check every key's count; return how many results there were."""
        sent = self.feed.stop()
        wait_until(
            lambda: self._committed() >= sent, f"{sent} committed results", timeout_s=_CAUGHT_UP_S
        )
        counts: dict[bytes, list[int]] = defaultdict(list)
        for record in self.broker.client.read_all(self._out, is_committed=True):
            assert record.key is not None
            assert record.value is not None
            counts[record.key].append(int(record.value.split(b";", 1)[0]))
        wrong = {
            key: numbers
            for key, numbers in counts.items()
            if numbers != list(range(1, len(numbers) + 1))
        }
        assert not wrong, f"{len(wrong)} keys are wrong, such as {next(iter(wrong.items()))}"
        results = sum(map(len, counts.values()))
        assert results == sent, f"{sent} records went in, {results} results came out"
        return sent

    def _committed(self) -> int:
        return len(self.broker.client.read_all(self._out, is_committed=True))


def module(broker: KafkaBroker, port: int, names: str, *, timeout: str = "15min") -> str:
    text = MODULE.format(
        function_port=port, bootstrap=broker.bootstrap, names=names, delivery="exactly-once"
    )
    return f"{text.rstrip()}\n    transactionTimeout: {timeout}\n"


@contextmanager
def running(
    broker: KafkaBroker,
    folder: Path,
    *,
    seed: int,
    interval: str = "100ms",
    timeout: str = "15min",
) -> Iterator[Rig]:
    """Run functions, worker and feed."""
    names, out = broker.unique_topic("names", PARTITIONS), broker.unique_topic("out", PARTITIONS)
    with function_server(FNSERVER, out, folder) as (_, port):
        worker = Worker(
            module(broker, port, names, timeout=timeout),
            folder / "worker",
            arguments=["--checkpoint-interval", interval],
        )
        rig = Rig(broker, folder, worker.start(), names, out, seed)
        rig.feed.start()
        try:
            yield rig
        finally:
            worker.close()
