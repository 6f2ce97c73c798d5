"""How long it takes from `statefun dev` on a command line until the first greeting can be taken.

    python -m tests.bench.engine.dev_greeting [--rounds N]

Each round is a project of its own: functions that are served beside the worker, in a process of the worker's, and in the
worker itself. The message is sent as soon as the ingress takes it. Prints one JSON line per round and one with the medians; the
exit status is 1 if one of them is over the aim.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.bench.rig import machine
from tests.support.processes import Process
from tests.support.sockets import free_port, http_get, http_request

AIM_S = 2.0
_LOOK_S = 0.005
_DEADLINE_S = 60.0
FUNCTIONS = """\
from statefun import IntType, StatefulFunctions, ValueSpec, egress_message_builder, make_json_type

functions = StatefulFunctions()
RECORD = make_json_type("io.statefun.playground/EgressRecord")


@functions.bind("shop/greeter", specs=[ValueSpec("seen", IntType)])
def greet(context, message):
    context.storage.seen = (context.storage.seen or 0) + 1
    record = {"topic": "greetings", "payload": f"hello {context.storage.seen}"}
    context.send_egress(egress_message_builder("io.statefun.playground/egress", record, RECORD))
"""
MODULE = """\
kind: io.statefun.endpoints.v1/python
spec: {{functions: shop/greeter, module: shop, processes: {processes}}}
---
kind: io.statefun.playground.v1/ingress
spec: {{port: {ingress}}}
---
kind: io.statefun.playground.v1/egress
spec: {{port: {egress}, topics: [greetings]}}
"""
# How many processes of the worker's run the functions; None where they are served beside it.
KINDS = {"served_s": None, "in_a_process_s": 1, "in_the_worker_s": 0}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="dev_greeting", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args(arguments)
    print(json.dumps({"machine": machine()}), flush=True)
    rows = []
    for _ in range(options.rounds):
        rows.append({name: _first_s(processes) for name, processes in KINDS.items()})
        print(json.dumps(rows[-1] | {"load": round(os.getloadavg()[0], 1)}), flush=True)
    medians = {name: round(statistics.median(row[name] for row in rows), 2) for name in KINDS}
    print(json.dumps({"median": medians}))
    return 0 if max(medians.values()) <= AIM_S else 1


def _first_s(processes: int | None) -> float:
    with tempfile.TemporaryDirectory(prefix="dev-") as name:
        folder = Path(name)
        (folder / "shop.py").write_text(FUNCTIONS)
        ingress, egress = free_port(), free_port()
        command = [sys.executable, "-m", "statefun", "dev", "--metrics-port", str(free_port())]
        if processes is None:
            command += ["shop", "--topic", "greetings", "--port", str(free_port())]
            command += ["--ingress-port", str(ingress), "--egress-port", str(egress)]
        else:
            (folder / "module.yaml").write_text(
                MODULE.format(processes=processes, ingress=ingress, egress=egress)
            )
            command += ["--module", "module.yaml"]
        began_s = time.perf_counter()
        process = Process(command, log=folder / "terminal.log", cwd=folder)
        try:
            put = f"http://127.0.0.1:{ingress}/shop/greeter/anybody"
            _until(lambda: (http_request("PUT", put, b"hello") or (0,))[0] == 200, process)
            get = f"http://127.0.0.1:{egress}/greetings"
            _until(lambda: (http_get(get) or (0, b""))[1] == b"hello 1", process)
            return round(time.perf_counter() - began_s, 3)
        finally:
            process.stop()


def _until(is_so: Callable[[], bool], process: Process) -> None:
    ends_s = time.perf_counter() + _DEADLINE_S
    while not is_so():
        assert time.perf_counter() < ends_s, process.output()
        assert process.exit_status is None, process.output()
        time.sleep(_LOOK_S)


if __name__ == "__main__":
    sys.exit(main())
