"""An ingress and an egress of an installed package, in a real worker."""

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
    site = install(tmp_path / "site", "statefun-tick", "statefun_tick:KINDS")
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


def test_a_worker_runs_an_egress_of_a_package_which_goes_on_after_a_kill(
    functions: Callable[..., FaultyProcess], worker: Callable[..., Worker], tmp_path: Path
) -> None:
    served = functions("tests.integration.scripted:lines")
    site = install(tmp_path / "site", "statefun-tick", "statefun_tick:KINDS")
    path = os.pathsep.join([str(site), str(ROOT / "examples" / "tick")])
    file = tmp_path / "lines.txt"
    lines = f"kind: example.tick.v1/egress\nspec:\n  id: t/lines\n  file: {file}\n"
    module = documents(endpoint(served.url, "t/*"), TICKS, lines)

    running = worker(module, env={"PYTHONPATH": path}, arguments=["--checkpoint-interval", "50ms"])
    assert (
        "  egress    t/lines  example.tick.v1/egress of the package 'statefun-tick' 0.1\n"
        in running.output()
    )

    def written() -> list[int]:
        return [int(line) for line in file.read_text().splitlines()] if file.exists() else []

    wait_until(lambda: len(written()) > 20, "twenty lines")
    running.kill9()
    before = max(written())
    running.start()
    wait_until(lambda: max(written()) > before + 5, "five more")
    running.stop_cleanly()
    numbers = written()
    # Some may be there twice, none is missing.
    assert sorted(set(numbers)) == list(range(max(numbers) + 1))
