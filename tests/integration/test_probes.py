"""`/readyz` of a real worker: what it waits for, and what it cannot write."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.applications import HttpApplication, endpoint, kafka_ingress, playground
from tests.integration.scripted import COMMAND
from tests.support.processes import wait_until
from tests.support.sockets import free_port, http_get
from tests.support.worker import Worker

pytestmark = pytest.mark.integration

NOWHERE = "http://127.0.0.1:9/"


def readiness(worker: Worker) -> tuple[int, list[str]]:
    answer = http_get(f"http://127.0.0.1:{worker.metrics_port}/readyz")
    if answer is None:
        return 0, []
    status, body = answer
    content = json.loads(body)
    assert content["ready"] == (status == 200) == (not content["reasons"])
    return status, content["reasons"]


def test_a_worker_whose_broker_is_away_says_which_ingress_waits(tmp_path: Path) -> None:
    module = "---\n".join(
        (
            endpoint(NOWHERE, "t/*"),
            playground(free_port(), free_port(), "out"),
            kafka_ingress(f"127.0.0.1:{free_port()}", "in", {"lines": ["count"]}),
        )
    )
    worker = Worker(module, tmp_path)
    try:
        worker.start(is_ready_awaited=False)
        said = "ingress 't/in' does not read yet: it waits for what it reads from"
        worker.process.wait_for(lambda: readiness(worker) == (503, [said]), "that reason alone")
    finally:
        worker.close()


def test_a_worker_that_cannot_write_its_checkpoints_says_so_until_it_can(
    application: Callable[..., HttpApplication], tmp_path: Path
) -> None:
    app = application(endpoint(NOWHERE, "t/*"), topic="out")
    assert readiness(app.worker) == (200, [])
    objects = app.worker.state_dir / "objects"
    away = objects.rename(tmp_path / "away")
    app.send("t/script/x", {"text": "a"}, COMMAND)
    wait_until(lambda: readiness(app.worker)[0] == 503, "the worker not to be ready")
    (reason,) = readiness(app.worker)[1]
    assert reason.startswith("checkpoints cannot be written: ")
    age_s = app.worker.metrics()["statefun_checkpoint_age_seconds"]

    away.rename(objects)
    wait_until(lambda: readiness(app.worker) == (200, []), "the worker to be ready")
    assert app.worker.metrics()["statefun_checkpoint_age_seconds"] < age_s + 1.0
