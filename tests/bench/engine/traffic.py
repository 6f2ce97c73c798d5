"""What a cluster writes to Kafka and to the place of its checkpoints, for sizing: bytes and objects, counted from outside.

    python -m tests.bench.engine.traffic [--workers N] [--rate N] [--addresses N] [--interval D] [--seconds N]

Processes of one worker each run on this machine. Prints one JSON line.
"""

import argparse
import json
import re
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from tests.bench.bench import MODULE, PARTITIONS
from tests.bench.engine.moves import Trickle
from tests.bench.rig import FNSERVER, function_server, on_a_broker
from tests.support.kafka.broker import KafkaBroker
from tests.support.kafka.cluster import Processes
from tests.support.kafka.servers import JavaServer
from tests.support.provisions import Unavailable

_LOOK_S = 0.02
_OBJECT = re.compile("[0-9a-f]{64}")
_TOPICS = ("control", "log", "inbox")


class Objects:
    """Sees every object that is written to a folder, since each is kept for some checkpoints."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._is_stopped = threading.Event()
        self.sizes: dict[str, int] = {}
        self._look()
        self._before = set(self.sizes)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> dict[str, int]:
        """Return the sizes of those that were written meanwhile."""
        self._is_stopped.set()
        self._thread.join()
        return {name: size for name, size in self.sizes.items() if name not in self._before}

    def _look(self) -> None:
        for path in self._folder.rglob("*"):
            try:
                # One that is being written has another name.
                if _OBJECT.fullmatch(path.name) and path.name not in self.sizes:
                    self.sizes[path.name] = path.stat().st_size
            except FileNotFoundError:
                continue

    def _run(self) -> None:
        while not self._is_stopped.wait(_LOOK_S):
            self._look()


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parse(arguments)
    return on_a_broker("traffic", lambda broker, folder: _measure(broker, folder, options))


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
        try:
            for _ in range(options.workers):
                processes.add("--checkpoint-interval", options.interval, is_ready_awaited=False)
            processes.wait_for_seats(options.workers)
            trickle.start()
            time.sleep(3)
            objects = Objects(folder / "cluster" / "shared" / "objects")
            before = _state(broker, processes, trickle)
            time.sleep(options.seconds)
            after = _state(broker, processes, trickle)
            written = objects.stop()
            trickle.stop()
        finally:
            processes.close()
    grown = {name: after[name] - before[name] for name in after}
    epochs, messages = grown["epochs"], grown["messages"]
    row = {
        "workers": options.workers,
        "messages_per_s": round(messages / options.seconds),
        "epochs_per_s": round(epochs / options.seconds, 1),
        "inbox_bytes_a_message": round(grown["inbox"] / messages, 1),
        "control_bytes_a_second": round(grown["control"] / options.seconds),
        "log_bytes_an_epoch": round(grown["log"] / epochs),
        "objects_an_epoch": round(len(written) / epochs, 2),
        "object_bytes_a_message": round(sum(written.values()) / messages, 1),
    }
    print(json.dumps(row), flush=True)


def _state(broker: KafkaBroker, processes: Processes, trickle: Trickle) -> dict[str, float]:
    epoch = processes.ask("status")["checkpoints"]["epoch"]
    sizes = {
        name: sum(
            path.stat().st_size
            for path in _data(broker).glob(f"statefun-{processes.name}-{name}-*/*.log")
        )
        for name in _TOPICS
    }
    return {"epochs": epoch, "messages": trickle.sent, **sizes}


def _data(broker: KafkaBroker) -> Path:
    """Return where the broker has its topic partitions."""
    server = broker._server  # noqa: SLF001
    if not isinstance(server, JavaServer):
        raise Unavailable("a broker whose files can be looked at")
    return server.data


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="traffic", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rate", type=int, default=1000)
    parser.add_argument("--addresses", type=int, default=10_000)
    parser.add_argument("--interval", default="1s")
    parser.add_argument("--seconds", type=int, default=20)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
