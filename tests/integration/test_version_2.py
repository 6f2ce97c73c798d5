"""A state folder that a worker of an earlier version left: everything in it is found, and is of today's version afterwards."""

import json
import sys
import tarfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from statefun_runtime.adapters.storage.object_folder import ObjectFolder
from statefun_runtime.core.checkpoints.manifest import FORMAT
from tests.fakes.off_loop import AT_ONCE, result_of
from tests.support.processes import Process, wait_until
from tests.support.provisions import ROOT
from tests.support.sockets import free_port, http_request
from tests.support.worker import Worker

pytestmark = pytest.mark.integration

FOLDERS = ROOT / "tests" / "support" / "state_folders"
MODULE = """\
kind: io.statefun.endpoints.v2/http
spec:
  functions: old/*
  urlPathTemplate: http://127.0.0.1:{functions}/
---
kind: io.statefun.playground.v1/ingress
spec: {{port: {ingress}}}
---
kind: io.statefun.playground.v1/egress
spec: {{port: {egress}, topics: [out], cursorTopics: [kept]}}
---
kind: io.statefun.kafka.v1/egress
spec:
  id: old/exactly
  address: 127.0.0.1:1
  deliverySemantic: {{type: exactly-once, transactionTimeout: 1min}}
---
kind: io.statefun.kafka.v1/egress
spec:
  id: old/least
  address: 127.0.0.1:1
  deliverySemantic: {{type: at-least-once}}
"""


class Old:
    """A worker on a copy of the folder."""

    def __init__(self, worker: Worker, ingress: int, egress: int) -> None:
        self.worker = worker
        self._ingress = f"http://127.0.0.1:{ingress}"
        self._egress = f"http://127.0.0.1:{egress}"

    def put(self, address: str, text: bytes, key: str = "") -> tuple[int, dict[str, str]]:
        headers = {"Content-Type": "application/vnd.old/text"}
        if key:
            headers["Idempotency-Key"] = key
        return _ask(
            urllib.request.Request(f"{self._ingress}/{address}", text, headers, method="PUT")
        )

    def get(self, path: str) -> tuple[int, str]:
        answer = http_request("GET", f"{self._egress}/{path}")
        assert answer is not None, "the egress does not answer"
        return answer[0], answer[1].decode()

    def taken(self) -> list[str]:
        """Take all away that is in topic `out`."""
        payloads = []
        while (answer := self.get("out"))[0] == 200:
            payloads.append(answer[1])
        return payloads

    def kept(self) -> list[str]:
        status, body = self.get("kept?after=")
        assert status == 200
        records: list[str] = json.loads(body)["records"]
        return records

    def numbers(self) -> dict[str, float]:
        """What waits, in the worker's own words."""
        metrics = self.worker.metrics()
        names = ("delayed_messages", "functions_numBacklog", "egress_waiting")
        return {name: metrics.total(f"statefun_{name}") for name in names}

    def manifest(self) -> dict[str, object]:
        """Return the newest manifest as it is stored."""
        entries = [
            json.loads(path.read_bytes())
            for path in sorted((self.worker.state_dir / "log").iterdir())
            if path.name.isdecimal()
        ]
        last = [entry for entry in entries if entry["kind"] == "completed"][-1]
        objects = ObjectFolder(self.worker.state_dir / "objects", AT_ONCE, sweep=False)
        content: dict[str, object] = json.loads(result_of(objects.get(last["manifest"])))
        return content


def _ask(request: urllib.request.Request) -> tuple[int, dict[str, str]]:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=10) as reply:
        return reply.status, dict(reply.headers)


@contextmanager
def opened(folder: Path) -> Iterator[Old]:
    functions, ingress, egress = free_port(), free_port(), free_port()
    server = Process(
        [sys.executable, FOLDERS / "functions.py", str(functions)], log=folder / "functions.log"
    )
    module = MODULE.format(functions=functions, ingress=ingress, egress=egress)
    # However old the folder is by now, a key in it is still remembered.
    keep = "statefun.runtime.idempotency.keep=36500d"
    arguments = ["--checkpoint-interval", "100ms", "--set", keep]
    worker = Worker(module, folder, arguments=arguments)
    with tarfile.open(FOLDERS / "version_2.tar.xz") as archive:
        archive.extractall(worker.state_dir, filter="data")
    try:
        server.wait_for_line("^serving$")
        yield Old(worker.start(), ingress, egress)
    finally:
        worker.close()
        server.stop()


def test_all_that_is_in_it_is_found_and_written_anew(tmp_path: Path):
    with opened(tmp_path) as old:
        # Two poisoned, thirteen for a function that never answers; 308 and 309 results, and four to each Kafka egress.
        waiting = {"delayed_messages": 3, "functions_numBacklog": 15, "egress_waiting": 625}
        assert old.numbers() == waiting
        assert old.manifest()["format"] == 2 or old.manifest()["epoch"] != 303

        status, headers = old.put("old/counter/keyed", b"once", key="k1")
        assert (status, headers.get("Idempotent-Replay")) == (200, "true")
        assert old.put("old/counter/id-0", b"again")[0] == 200
        wait_until(lambda: len(old.kept()) == 310, "the result")
        assert old.kept()[0] == "id-0 1 first"
        assert old.kept()[-1] == "id-0 10 again"
        wait_until(lambda: old.manifest()["format"] == FORMAT, "a checkpoint of today's version")

        # From here on nothing of version 2 is needed.
        old.worker.kill9()
        old.worker.start()
        assert old.numbers() == {
            name: count + 2 * (name == "egress_waiting") for name, count in waiting.items()
        }
        taken = old.taken()
        assert (len(taken), taken[0], taken[-1]) == (309, "id-0 2 n0", "id-0 10 again")
        assert old.put("old/counter/id-1", b"more")[0] == 200
        wait_until(lambda: old.taken() == ["id-1 9 more"], "the result")
        assert old.put("old/counter/keyed", b"once", key="k1")[1]["Idempotent-Replay"] == "true"
        old.worker.stop_cleanly()
        (part,) = old.manifest()["parts"]  # type: ignore[misc]
        assert part["owner"] == "standalone"
        assert part["key_groups"] == {"first": 0, "end": 128}
