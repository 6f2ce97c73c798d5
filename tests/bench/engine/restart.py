"""How soon a worker with very many addresses is back after `kill -9`, and with how much memory.

    python -m tests.bench.engine.restart [--addresses N] [--changed N]

Each address has an int of state, imported from lines of JSON. Some change, with a checkpoint a second; then the worker is
killed, three times. Prints a JSON line per station; a restart lasts from the start of the process to the first new output.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.bench.bench import MODULE, PARTITIONS
from tests.bench.million import Bench
from tests.bench.rig import FNSERVER, function_server, on_a_broker
from tests.support.kafka.broker import KafkaBroker
from tests.support.worker import Worker

_KILLS = 3
_VALUE = "DQEAAAA="


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parse(arguments)
    return on_a_broker("restart", lambda broker, folder: _measure(broker, folder, options))


def _measure(broker: KafkaBroker, folder: Path, options: argparse.Namespace) -> None:
    names, out = broker.unique_topic("names", PARTITIONS), broker.unique_topic("out", PARTITIONS)
    with function_server(FNSERVER, out, folder) as (_, port):
        module = MODULE.format(
            function_port=port, bootstrap=broker.bootstrap, names=names, delivery="at-least-once"
        )
        worker = Worker(module, folder)
        _import(folder / "lines.jsonl", worker.state_dir, options.addresses)
        try:
            bench = Bench(broker, worker.start(timeout_s=120), names, out)
            chosen = random.Random(1)
            keys = (chosen.randrange(options.addresses) for _ in range(options.changed))
            _tell(f"{options.changed:,} changed", **bench.run(keys, timeout_s=300))
            for _ in range(_KILLS):
                took_s = bench.restart_s()
                _tell("kill -9, restart", first_output_s=took_s, rss_mb=bench.rss_mb())
                worker.wait_until_ready()
        finally:
            worker.close()


def _import(lines: Path, state_dir: Path, addresses: int) -> None:
    began_s = time.monotonic()
    with lines.open("w", encoding="utf-8") as file:
        file.write('{"kind":"application","format":1}\n')
        for number in range(addresses):
            file.write(
                f'{{"kind":"state","type":"demo/greeter","id":"{number:08d}","name":"seen",'
                f'"typename":"io.statefun.types/int","value":"{_VALUE}"}}\n'
            )
    command = ["-m", "statefun_runtime.cli", "state", "import", lines, "--state-dir", state_dir]
    subprocess.run([sys.executable, *command], check=True, stdout=subprocess.DEVNULL)
    lines.unlink()
    _tell(f"{addresses:,} addresses imported", seconds=round(time.monotonic() - began_s, 1))


def _tell(station: str, **numbers: float) -> None:
    load = round(os.getloadavg()[0], 1)
    print(json.dumps({"station": station, **numbers, "load": load}), flush=True)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="restart", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--addresses", type=int, default=10_000_000)
    parser.add_argument("--changed", type=int, default=100_000)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
