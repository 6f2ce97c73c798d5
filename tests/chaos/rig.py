"""A worker under load on a real broker, and the check that nothing was lost, doubled or reordered.

The n-th record of a key has the value n, and its result is `<count of the key>;<value of the record>`: of each key
exactly `1;1`, `2;2`, `3;3`, … must come out.
"""

import os
import random
import threading
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from confluent_kafka import Consumer, Producer, TopicPartition

from tests.bench.bench import MODULE
from tests.bench.rig import FNSERVER, function_server
from tests.support.kafka.broker import KafkaBroker
from tests.support.kafka.client import BEGINNING
from tests.support.kafka.three import ThreeBrokers
from tests.support.processes import wait_until
from tests.support.worker import Worker

# `make chaos` runs every story long, `make test` a slice of each.
IS_FULL = os.environ.get("STATEFUN_CHAOS") == "full"
KEYS = 200
PARTITIONS = 4
_BURST, _PAUSE_S = 20, 0.02
_CAUGHT_UP_S = 90.0
# A client that finds its broker again soon after it came back.
_QUICK = {"reconnect.backoff.max.ms": 500, "log_level": 0}

# One broker, or three.
Brokers = KafkaBroker | ThreeBrokers
Tell = Callable[[str], None]
Value = Callable[[int], bytes]
Take = Callable[[Sequence[bytes], float], None]


class Feed:
    """Produces to random keys at a steady rate, from its own thread, until it is stopped.

    With `has_fresh_keys` every tenth record has a key of its own.
    """

    def __init__(
        self,
        broker: Brokers,
        topic: str,
        *,
        seed: int,
        value: Value,
        has_fresh_keys: bool = False,
    ) -> None:
        self._has_fresh_keys = has_fresh_keys
        self._topic = topic
        self._value = value
        self._random = random.Random(seed)
        self._is_stopped = threading.Event()
        self._producer = Producer(
            {
                "bootstrap.servers": broker.bootstrap,
                "linger.ms": 5,
                "message.timeout.ms": 300_000,
                "queue.buffering.max.messages": 1_000_000,
                # What is in the topic is what was meant to be, in its order, whatever the broker went through.
                "enable.idempotence": True,
                **_QUICK,
            }
        )
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.sent: Counter[bytes] = Counter()

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Return when all that was sent is in the topic."""
        self._is_stopped.set()
        self._thread.join()
        self._flush()

    def once_more(self) -> None:
        """Send one more record to each key that ever had one."""
        for key in list(self.sent):
            self._send(key)
        self._flush()

    def _run(self) -> None:
        while not self._is_stopped.wait(_PAUSE_S):
            for number in range(_BURST):
                is_fresh = self._has_fresh_keys and number % 10 == 0
                key = KEYS + len(self.sent) if is_fresh else self._random.randrange(KEYS)
                self._send(b"%08d" % key)
            self._producer.poll(0)

    def _send(self, key: bytes) -> None:
        self.sent[key] += 1
        self._producer.produce(self._topic, self._value(self.sent[key]), key)

    def _flush(self) -> None:
        assert not self._producer.flush(120), "records could not be produced"


class Reader:
    """Follows a topic as a `read_committed` reader, from its own thread; knows the longest silence.

    `take` is told, in that thread, of the values that have come, and when.
    """

    def __init__(
        self, broker: Brokers, topic: str, take: Take = lambda values, now_s: None
    ) -> None:
        self._broker, self._topic = broker, topic
        self._take = take
        self._consumer = Consumer(
            {
                "bootstrap.servers": broker.bootstrap,
                "group.id": uuid.uuid4().hex,
                "enable.auto.commit": False,
                "fetch.wait.max.ms": 50,
                "isolation.level": "read_committed",
                **_QUICK,
            }
        )
        self._consumer.assign([TopicPartition(topic, p, BEGINNING) for p in range(PARTITIONS)])
        self._is_stopped = threading.Event()
        self._newest_s: float | None = None
        self._is_silence_measured = True
        self._seen: set[tuple[bytes | None, bytes | None]] = set()
        self.longest_silence_s = 0.0
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def received(self) -> int:
        """How many results have come; one that came twice counts once."""
        return len(self._seen)

    def end_of_load(self) -> None:
        """From now on silence is no wonder."""
        self._is_silence_measured = False

    def results(self) -> dict[bytes, list[bytes]]:
        """Return the values of each key as all that is committed has them, read anew from the beginning."""
        values: dict[bytes, list[bytes]] = defaultdict(list)
        for record in self._broker.client.read_all(self._topic):
            assert record.key is not None
            assert record.value is not None
            values[record.key].append(record.value)
        return values

    def close(self) -> None:
        self._is_stopped.set()
        self._thread.join()
        self._consumer.close()

    def _run(self) -> None:
        while not self._is_stopped.is_set():
            messages = [m for m in self._consumer.consume(10_000, 0.05) if m.error() is None]
            if not messages:
                continue
            now_s = time.monotonic()
            if self._newest_s is not None and self._is_silence_measured:
                self.longest_silence_s = max(self.longest_silence_s, now_s - self._newest_s)
            self._newest_s = now_s
            self._seen.update((message.key(), message.value()) for message in messages)
            self._take([message.value() or b"" for message in messages], now_s)


class Rig:
    """A worker, its feed, and the readers of its results."""

    def __init__(self, worker: Worker, feed: Feed, readers: Sequence[Reader], seed: int) -> None:
        self.worker = worker
        self.feed = feed
        self.readers = readers
        self.kills = 0
        self._random = random.Random(seed)

    def pause_at_random(self, longest_s: float) -> None:
        """Let a random time pass: a kill must be able to hit anything."""
        time.sleep(self._random.uniform(0.1, longest_s))

    def kill_and_start(self) -> None:
        assert self.worker.process.exit_status is None, self.worker.output()[-2000:]
        self.worker.kill9()
        self.kills += 1
        self.worker.start(is_ready_awaited=False)

    def wait_for_more(self, count: int = 100, *, reader: int = 0, timeout_s: float = 60.0) -> None:
        """Return when so many more results were seen."""
        wanted = self.readers[reader].received + count
        wait_until(
            lambda: self.readers[reader].received >= wanted,
            f"{count} more results:\n{self.worker.output()[-3000:]}",
            timeout_s=timeout_s,
        )

    def settle(self) -> None:
        """Stop the feed; return when all of its results are committed."""
        self.feed.stop()
        self._wait_for_all()
        for reader in self.readers:
            reader.end_of_load()

    def check(self, *, may_repeat: bool = False) -> str:
        """Settle, ask every key for its count, stop cleanly, and check all results; return what to tell."""
        self.settle()
        total = sum(self.feed.sent.values())
        self.feed.once_more()
        self._wait_for_all()
        self.worker.stop_cleanly()
        repeated = sum(
            self._check_results(reader, may_repeat=may_repeat) for reader in self.readers
        )
        silence_s = max(reader.longest_silence_s for reader in self.readers)
        return (
            f"{self.kills} kill -9, {total} records of {len(self.feed.sent)} keys, each once"
            f"{f' ({repeated} repeated, as they may)' if may_repeat else ''}, "
            f"longest silence {silence_s:.2f} s"
        )

    def _check_results(self, reader: Reader, *, may_repeat: bool) -> int:
        found, repeated = reader.results(), 0
        assert found.keys() == self.feed.sent.keys()
        for key, values in found.items():
            wanted = [b"%d;%d" % (n, n) for n in range(1, self.feed.sent[key] + 1)]
            if may_repeat:
                repeated += len(values) - len(wanted)
                values = list(dict.fromkeys(values))
                assert sorted(values) == sorted(wanted), _difference(key, values, wanted)
            else:
                assert values == wanted, _difference(key, values, wanted)
        return repeated

    def _wait_for_all(self) -> None:
        total = sum(self.feed.sent.values())

        def slowest() -> int:
            return min(reader.received for reader in self.readers)

        try:
            wait_until(
                lambda: slowest() >= total, f"{total} committed results", timeout_s=_CAUGHT_UP_S
            )
        except TimeoutError as error:
            tail = self.worker.output()[-3000:]
            raise AssertionError(f"{error}, found {slowest()}\n{tail}") from None


def _difference(key: bytes, values: list[bytes], wanted: list[bytes]) -> str:
    place = next((i for i, (a, b) in enumerate(zip(values, wanted, strict=False)) if a != b), -1)
    near = values[max(0, place - 3) : place + 5] if place >= 0 else values[-5:]
    return f"key {key!r}: {len(values)} results for {len(wanted)} records, at {place}: {near}"


def module(
    broker: Brokers,
    port: int,
    names: str,
    *,
    timeout: str = "15min",
    delivery: str = "exactly-once",
) -> str:
    text = MODULE.format(
        function_port=port, bootstrap=broker.bootstrap, names=names, delivery=delivery
    )
    return (
        text
        if delivery != "exactly-once"
        else f"{text.rstrip()}\n    transactionTimeout: {timeout}\n"
    )


@contextmanager
def running(
    broker: KafkaBroker,
    folder: Path,
    *,
    seed: int,
    interval: str = "100ms",
    timeout: str = "15min",
    delivery: str = "exactly-once",
    python: Path | None = None,
    has_fresh_keys: bool = False,
    arguments: Sequence[str] = (),
) -> Iterator[Rig]:
    """Run functions in C, worker, feed and reader; the worker's folder is `folder/worker`."""
    names, out = broker.unique_topic("names", PARTITIONS), broker.unique_topic("out", PARTITIONS)
    with function_server(FNSERVER, out, folder) as (_, port):
        text = module(broker, port, names, timeout=timeout, delivery=delivery)
        worker = Worker(
            text,
            folder / "worker",
            arguments=["--checkpoint-interval", interval, *arguments],
            python=python,
        )
        feed = Feed(
            broker, names, seed=seed, value=lambda n: b"%d" % n, has_fresh_keys=has_fresh_keys
        )
        with driven(worker, feed, [Reader(broker, out)], seed=seed) as rig:
            yield rig


@contextmanager
def driven(worker: Worker, feed: Feed, readers: Sequence[Reader], *, seed: int) -> Iterator[Rig]:
    """Start a worker and its feed; end all that runs afterwards."""
    try:
        worker.start()
        feed.start()
        yield Rig(worker, feed, readers, seed)
    finally:
        worker.close()
        for reader in readers:
            reader.close()
