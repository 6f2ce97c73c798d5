"""An ingress of an installed package, in a real worker."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.applications import documents, endpoint, playground
from tests.support.http.faulty_process import FaultyProcess
from tests.support.packages import install
from tests.support.processes import wait_until
from tests.support.provisions import ROOT
from tests.support.sockets import free_port
from tests.support.worker import Worker

pytestmark = pytest.mark.integration

TICKS = """\
kind: example.tick.v1/ingress
spec:
  id: t/ticks
  every: 20ms
  targets: [t/script]
"""


def test_a_worker_runs_an_ingress_of_a_package_and_goes_on_after_a_kill(
    functions: Callable[..., FaultyProcess], worker: Callable[..., Worker], tmp_path: Path
) -> None:
    served = functions("tests.integration.scripted:script")
    site = install(tmp_path / "site", "statefun-tick", "statefun_tick:KIND")
    path = os.pathsep.join([str(site), str(ROOT / "examples" / "tick")])
    module = documents(
        endpoint(served.url, "t/*"), TICKS, playground(free_port(), free_port(), "o")
    )

    running = worker(module, env={"PYTHONPATH": path}, arguments=["--checkpoint-interval", "50ms"])
    assert (
        "  ingress   t/ticks  example.tick.v1/ingress of the package 'statefun-tick' 0.1\n"
        in running.output()
    )

    def routed() -> float:
        return running.metrics().total("statefun_ingress_records_total", ingress="t/ticks")

    wait_until(lambda: routed() > 20, "twenty ticks")
    wait_until(lambda: served.request_count() > 0, "a request")
    running.kill9()
    running.start()
    running.process.wait_for_line("continues from checkpoint")
    wait_until(lambda: routed() > 5, "five more")
    running.stop_cleanly()
