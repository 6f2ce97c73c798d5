"""How long it takes from the start of a worker's process until a read_committed reader has its first record.

    python -m tests.bench.engine.first_greeting [--rounds N] [--interval D]

A record waits in the topic before each start: of a new application, and of the same one after `kill -9`. Prints one JSON
line per round and one with the medians; the exit status is 1 if the median of new applications is over the aim.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from confluent_kafka import Producer

from tests.bench.bench import MODULE
from tests.bench.engine.epochs import CommittedEnds
from tests.bench.rig import FNSERVER, function_server, machine
from tests.support.kafka.broker import KafkaBroker
from tests.support.provisions import Unavailable
from tests.support.worker import Worker

AIM_S = 1.5


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parse(arguments)
    print(json.dumps({"machine": machine()}), flush=True)
    rows: list[dict[str, float]] = []
    try:
        with KafkaBroker() as broker:
            for _ in range(options.rounds):
                rows.append(_round(broker, options.interval))
                print(json.dumps(rows[-1]), flush=True)
    except Unavailable as error:
        print(error, file=sys.stderr)
        return 1
    medians = {name: round(statistics.median(row[name] for row in rows), 2) for name in rows[0]}
    print(json.dumps({"median": medians}))
    return 0 if medians["new_s"] <= AIM_S else 1


def _round(broker: KafkaBroker, interval: str) -> dict[str, float]:
    names, greetings = broker.unique_topic("names"), broker.unique_topic("greetings")
    producer = Producer({"bootstrap.servers": broker.bootstrap, "linger.ms": 0, "log_level": 0})
    with (
        tempfile.TemporaryDirectory(prefix="first-") as folder,
        function_server(FNSERVER, greetings, Path(folder)) as (_, port),
    ):
        module = MODULE.format(
            function_port=port,
            bootstrap=broker.bootstrap,
            names=names,
            delivery="exactly-once",
        )
        module += "    transactionTimeout: 15min\n"
        worker = Worker(module, Path(folder), arguments=["--checkpoint-interval", interval])
        ends = CommittedEnds(broker.bootstrap, greetings)
        # Its connection and the topic's metadata are there before anything is measured.
        assert ends.is_empty()
        try:
            row = {}
            for name in ("new_s", "killed_s"):
                producer.produce(names, f"{time.perf_counter_ns()};", "alice")
                assert not producer.flush(30)
                began_s = time.perf_counter()
                worker.start(is_ready_awaited=False)
                ends.latencies_ms(1)
                row[name] = round(time.perf_counter() - began_s, 3)
                worker.kill9()
            return row | {"load": round(os.getloadavg()[0], 1)}
        finally:
            ends.close()
            worker.close()


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="first_greeting", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--interval", default="100ms")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
