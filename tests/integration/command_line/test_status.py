"""`statefun-worker status` and `retry` on a running worker."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.applications import HttpApplication, endpoint
from tests.integration.scripted import COMMAND
from tests.support.http.faulty_process import FaultyProcess
from tests.support.processes import Process, wait_until
from tests.support.provisions import ROOT
from tests.support.sockets import free_port

pytestmark = pytest.mark.integration

SCRIPT = "tests.integration.scripted:script"
Applications = Callable[..., HttpApplication]
Functions = Callable[..., FaultyProcess]


def _command(app: HttpApplication, *arguments: str) -> str:
    done = subprocess.run(
        [
            *(sys.executable, "-m", "statefun_runtime", *arguments),
            *("--state-dir", str(app.worker.state_dir)),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def _status(app: HttpApplication) -> dict[str, object]:
    found: dict[str, object] = json.loads(_command(app, "status", "--json"))
    return found


def test_status_names_the_address_that_fails_and_retry_tries_it(
    functions: Functions, application: Applications
) -> None:
    served = functions(SCRIPT, plan="always*status:500@bad")
    app = application(endpoint(served.url, "t/*", transport="call: 5min"), topic="out")
    app.send("t/script/bad", {"text": "a"}, COMMAND)
    for number in range(3):
        app.send(f"t/script/good{number}", {"text": "a"}, COMMAND)
    assert len(app.receive(3)) == 3

    # Its pauses are doubled: from some seconds on nothing but a word makes it go soon.
    wait_until(
        lambda: re.search(r"next try in 1\d\.", _command(app, "status")),
        "a long pause",
        timeout_s=40,
    )
    said = _command(app, "status")
    assert "worker       ready" in said
    assert "failing      1 address\n" in said
    assert "             t/script/bad\n" in said
    assert "the endpoint answered with status 500" in said

    served.set_plan("")
    assert _command(app, "retry", "t/script/bad") == "1 address is tried now\n"
    assert app.receive(1, timeout_s=5) == ["bad a 1"]
    assert "failing      0 addresses\n" in _command(app, "status")


def test_status_names_the_endpoint_that_is_down_and_retry_asks_it(
    application: Applications, serve: Callable[[int], Process]
) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}/statefun"
    app = application(endpoint(url, "t/*"), topic="out")
    app.send("t/script/a", {"text": "a"}, COMMAND)
    wait_until(lambda: f"{url}  DOWN" in _command(app, "status"), "the endpoint")
    said = _command(app, "status")
    assert "cannot connect to 127.0.0.1" in said
    assert "it is " in said

    serve(port)
    _command(app, "retry", url)

    assert app.receive(1) == ["a a 1"]
    assert "DOWN" not in _command(app, "status")


def test_nobody_answers_where_no_worker_runs(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "statefun_runtime", "status", "--state-dir", str(tmp_path)]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=30
    )
    assert done.returncode == 1
    assert "SF3014: no worker answers" in done.stderr
