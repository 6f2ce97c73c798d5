"""The commands of docs/migrate/README.md run as they are written, with what a job of Flink would have answered."""

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.support.flink.left_in_kafka import Flink
from tests.support.kafka.broker import KafkaBroker
from tests.support.provisions import ROOT

pytestmark = [pytest.mark.integration, pytest.mark.kafka]

PAGE = ROOT / "docs" / "migrate" / "README.md"
JOB, TRIGGER = "a1b2", "t9"


class JobManager(BaseHTTPRequestHandler):
    """Answers as Flink's REST interface does: one job, and a savepoint that is there at once."""

    savepoint = Path()
    is_cancelled = False

    def do_GET(self) -> None:
        state = "CANCELED" if JobManager.is_cancelled else "RUNNING"
        answers = {
            "/jobs": {"jobs": [{"id": JOB, "status": state}, {"id": "0", "status": "FAILED"}]},
            f"/jobs/{JOB}": {"jid": JOB, "name": "x", "isStoppable": False, "state": state},
            f"/jobs/{JOB}/savepoints/{TRIGGER}": {
                "status": {"id": "COMPLETED"},
                "operation": {"location": f"file:{JobManager.savepoint}"},
            },
        }
        self._answer(answers[self.path])

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        assert self.path == f"/jobs/{JOB}/savepoints"
        assert asked["target-directory"].startswith("file:///")
        JobManager.is_cancelled = asked["cancel-job"]
        self._answer({"request-id": TRIGGER})

    def _answer(self, document: object) -> None:
        body = json.dumps(document, separators=(",", ":")).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def job_manager() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), JobManager)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def commands() -> list[str]:
    blocks = re.findall(r"^```\n(.*?)^```", PAGE.read_text(), re.M | re.S)
    return [line for block in blocks for line in block.splitlines()]


def test_every_command_runs_as_it_is_written(
    broker: KafkaBroker, job_manager: str, tmp_path: Path
) -> None:
    flink = Flink(broker, tmp_path)
    JobManager.savepoint, JobManager.is_cancelled = flink.savepoint, False
    config = tmp_path / "flink-conf.yaml"
    config.write_text("parallelism.default: 1\n")
    given = {
        "JOBMANAGER=http://localhost:8081": f"JOBMANAGER={job_manager}",
        "STATE=/var/lib/shop": f"STATE={flink.state}",
        "/opt/flink/conf/flink-conf.yaml": str(config),
        # No function server is there to be tried.
        "validate module.yaml --connect": "validate module.yaml",
    }
    lines = commands()
    for before, now in given.items():
        assert sum(before in line for line in lines) == 1, before
        lines = [line.replace(before, now) for line in lines]
    # A worker stays.
    lines = [line for line in lines if "--require-state" not in line]
    script = "\n".join(
        f"{line} || {{ echo 'FAILED: line {n}'; exit 1; }}" for n, line in enumerate(lines)
    )
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=tmp_path,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert '"state":"CANCELED"' in done.stdout
    assert flink.read() == [b"prepared"] * 3
