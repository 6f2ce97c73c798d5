"""`/readyz` of a real worker: what it waits for, and what it cannot write."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.applications import HttpApplication, endpoint, kafka_ingress, playground
from tests.integration.scripted import COMMAND
from tests.support.http.faulty_process import FaultyProcess
from tests.support.processes import wait_until
from tests.support.sockets import free_port, http_get, http_request
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


def test_hanging_functions_leave_files_for_checkpoints_and_ports(
    functions: Callable[..., FaultyProcess], tmp_path: Path
) -> None:
    limited = tmp_path / "python"
    limited.write_text(f'#!/bin/sh\nulimit -n 300\nexec {sys.executable} "$@"\n')
    limited.chmod(0o755)
    served = functions("tests.integration.scripted:script")
    port = free_port()
    module = "---\n".join(
        (
            endpoint(served.url, "t/*", transport="call: 60s, pool_size: 1000"),
            playground(port, free_port(), "out"),
        )
    )
    worker = Worker(module, tmp_path, python=limited).start()
    try:
        worker.process.wait_for_line("the endpoints may have 113 connections together, not 1000")
        _put(port, "first")
        wait_until(lambda: _replied(worker) > 0, "the function to be known")
        known = served.request_count()
        served.set_plan("always*hang")
        for number in range(400):
            _put(port, f"id{number}")
        wait_until(lambda: served.request_count() == known + 113, "all that may be out")
        completed = worker.metrics()["statefun_checkpoints_completed_total"]
        _put(port, "one-more")
        wait_until(
            lambda: worker.metrics()["statefun_checkpoints_completed_total"] > completed,
            "another checkpoint",
        )
        metrics = worker.metrics()
        assert metrics["statefun_checkpoints_aborted_total"] == 0
        assert metrics["process_open_fds"] < 300
        assert served.request_count() == known + 113
        assert "Too many open files" not in worker.output()
    finally:
        # It would wait for the calls that hang.
        worker.kill9()


def _replied(worker: Worker) -> float:
    """Return how many messages are done with."""
    metrics = worker.metrics()
    done = metrics.total("statefun_functions_in_total")
    return done - metrics.total("statefun_functions_numBacklog")


def _put(port: int, function_id: str) -> None:
    url = f"http://127.0.0.1:{port}/t/script/{function_id}"
    answer = http_request("PUT", url, b'{"text": "a"}', headers={"content-type": COMMAND})
    assert answer == (200, b"")
