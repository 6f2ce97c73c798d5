"""For how long output pauses when a process joins a cluster, leaves it, or dies, with so many addresses.

    python -m tests.bench.engine.moves [--addresses N] [--rate N]

Two processes on one machine, and a broker; checkpoints every 100 ms, exactly-once. All addresses have state before anything
happens. Prints a JSON line for each: the longest time between two committed records that a reader saw meanwhile, and how long
records took from the producer to that reader, of those that were sent from the beginning of what happens until some seconds
after it has. Where the time goes is in the logs of the processes with --log-level debug.
"""

import argparse
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from confluent_kafka import Producer

from tests.bench.bench import MODULE, PARTITIONS
from tests.bench.rig import FNSERVER, function_server, on_a_broker
from tests.chaos.rig import Reader
from tests.support.kafka.broker import KafkaBroker
from tests.support.kafka.cluster import Processes
from tests.support.processes import wait_until

_AFTER_S = 4.0


class Trickle:
    """Sends to one address after the other at a steady rate, until it is stopped."""

    def __init__(self, broker: KafkaBroker, topic: str, *, addresses: int, rate: int) -> None:
        self._producer = Producer({"bootstrap.servers": broker.bootstrap, "linger.ms": 5})
        self._topic, self._addresses, self._rate = topic, addresses, rate
        self._is_stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.sent = 0
        # When each record was sent by number, and how long each took that has come out.
        self._sent_s: dict[int, float] = {}
        self._took_ms: list[tuple[int, float]] = []

    def fill(self) -> None:
        """Send one to each address."""
        for _ in range(self._addresses):
            self._send()
        assert not self._producer.flush(300)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._is_stopped.set()
        self._thread.join()

    def came(self, values: Sequence[bytes], now_s: float) -> None:
        """Results have come out, each with the number of its record behind a semicolon."""
        for value in values:
            number = int(value.partition(b";")[2])
            sent_s = self._sent_s.pop(number, None)
            if sent_s is not None:
                self._took_ms.append((number, (now_s - sent_s) * 1000))

    def took_ms(self, first: int) -> list[float]:
        """Return how long those records took, in order of size, that were sent from a number on."""
        return sorted(ms for number, ms in list(self._took_ms) if number >= first)

    def _send(self) -> None:
        key = b"%08d" % (self.sent * 7919 % self._addresses)
        while True:
            try:
                self._producer.produce(self._topic, b"%d" % self.sent, key)
                break
            except BufferError:
                self._producer.poll(0.05)
        self.sent += 1

    def _run(self) -> None:
        while not self._is_stopped.wait(0.02):
            for _ in range(self._rate // 50):
                self._sent_s[self.sent] = time.monotonic()
                self._send()
            self._producer.poll(0)


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parse(arguments)
    return on_a_broker("moves", lambda broker, folder: _measure(broker, folder, options))


def _measure(broker: KafkaBroker, folder: Path, options: argparse.Namespace) -> None:
    names, out = (broker.unique_topic(name, PARTITIONS) for name in ("names", "out"))
    with function_server(FNSERVER, out, folder) as (_, port):
        module = MODULE.format(
            function_port=port, bootstrap=broker.bootstrap, names=names, delivery="exactly-once"
        )
        processes = Processes(
            broker, f"{module}    transactionTimeout: 15min\n", folder / "cluster"
        )
        trickle = Trickle(broker, names, addresses=options.addresses, rate=options.rate)
        reader = Reader(broker, out, trickle.came)
        try:
            processes.start(2)
            trickle.fill()
            _caught_up(reader, trickle)
            trickle.start()
            tell = partial(_tell, options, reader, trickle)
            tell("nothing happens", lambda: time.sleep(_AFTER_S))
            tell("one joins", lambda: _join(processes))
            leaves = processes.running[2]
            tell("one leaves", lambda: _leave(processes, leaves.sigterm))
            dies = processes.running[1]
            tell("one dies", lambda: _leave(processes, dies.kill9, left=1))
            trickle.stop()
        finally:
            processes.close()
            reader.close()


def _join(processes: Processes) -> None:
    processes.add(is_ready_awaited=False)
    processes.wait_for_seats(3)


def _leave(processes: Processes, end: Callable[[], object], left: int = 2) -> None:
    end()
    processes.wait_for_seats(left)


def _caught_up(reader: Reader, trickle: Trickle) -> None:
    """Return when all that has been sent by now has come out: a pause is seen by what comes behind it."""
    wanted = trickle.sent
    wait_until(lambda: reader.received >= wanted, f"{wanted} results", timeout_s=600)


def _tell(
    options: argparse.Namespace,
    reader: Reader,
    trickle: Trickle,
    what: str,
    happens: Callable[[], None],
) -> None:
    _caught_up(reader, trickle)
    reader.longest_silence_s, first, began_s = 0.0, trickle.sent, time.monotonic()
    happens()
    # What pauses afterwards belongs to it, too.
    time.sleep(_AFTER_S)
    took_s = time.monotonic() - began_s
    _caught_up(reader, trickle)
    took_ms = trickle.took_ms(first)
    row = {
        "what": what,
        "addresses": options.addresses,
        "pause_s": round(reader.longest_silence_s, 2),
        "p50_ms": round(took_ms[len(took_ms) // 2]),
        "p99_ms": round(took_ms[len(took_ms) * 99 // 100]),
        "within_s": round(took_s, 1),
        "load": round(os.getloadavg()[0], 1),
    }
    print(json.dumps(row), flush=True)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="moves", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--addresses", type=int, default=1_000_000)
    parser.add_argument("--rate", type=int, default=500)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
