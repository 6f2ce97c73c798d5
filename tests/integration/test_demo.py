"""`make demo`: it plays with its own worker, and ends whole, whenever and however it is ended."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from tests.support.processes import Process, wait_until
from tests.support.provisions import ROOT

pytestmark = pytest.mark.integration

DEMO = ROOT / "examples" / "greeter" / "demo.py"
PORTS = (8000, 8090, 8091)
Start = Callable[[], Process]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    made: list[Process] = []

    def run() -> Process:
        log = tmp_path / f"demo-{len(made)}.log"
        made.append(Process([sys.executable, DEMO], log=log, env={"TMPDIR": str(tmp_path)}))
        return made[-1]

    yield run
    for each in made:
        each.stop()


@pytest.fixture
def others() -> Iterator[list[str]]:
    """Be somebody else on the demo's ports; return what was asked for there."""
    asked: list[str] = []

    class Other(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

        do_PUT = do_POST = do_GET

        def log_message(self, *_: object) -> None:
            pass

    with ExitStack() as servers:
        for port in PORTS:
            # If somebody else really has it, so much the better.
            with suppress(OSError):
                server = servers.enter_context(ThreadingHTTPServer(("127.0.0.1", port), Other))
                Thread(target=server.serve_forever, daemon=True).start()
                servers.callback(server.shutdown)
        yield asked


def children(pid: int) -> list[int]:
    with suppress(OSError):
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
        return [int(child) for child in text.split()]
    return []


def is_gone(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return True
    return state == "Z"


def check_nothing_is_left(pids: list[int], tmp_path: Path) -> None:
    wait_until(lambda: all(map(is_gone, pids)), "the demo's processes to be gone")
    assert list(tmp_path.glob("statefun-demo-*")) == []


def test_it_takes_other_ports_where_somebody_has_its_own(
    start: Start, others: list[str], tmp_path: Path
) -> None:
    demo = start()
    demo.wait_for_line("Ctrl-C ends it")

    output = demo.output()
    for port, what in zip(PORTS, ("the functions", "ingress", "egress"), strict=True):
        assert f"port {port} is taken by somebody else: the" in output
        assert what in output
    assert output.count("Welcome") == 2
    assert "Third time is a charm Bob" in output
    assert others == []
    pids = children(demo.pid)
    assert len(pids) == 2
    assert demo.sigint() == 0
    check_nothing_is_left(pids, tmp_path)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("count", [1, 2])
def test_ended_in_the_middle_it_leaves_nothing_and_no_traceback(
    start: Start, tmp_path: Path, number: signal.Signals, count: int
) -> None:
    demo = start()
    demo.wait_for(lambda: len(children(demo.pid)) >= count, f"{count} children")
    pids = children(demo.pid)
    os.kill(demo.pid, number)

    assert demo.wait() == 130
    assert "Traceback" not in demo.output()
    assert demo.output().rstrip().endswith("stopped")
    check_nothing_is_left(pids, tmp_path)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's end")
def test_when_it_is_killed_its_processes_end_too(start: Start, tmp_path: Path) -> None:
    demo = start()
    demo.wait_for_line("Ctrl-C ends it")
    pids = children(demo.pid)
    demo.kill9()

    wait_until(lambda: all(map(is_gone, pids)), "the demo's processes to be gone")


def test_when_one_of_its_processes_ends_it_says_so_and_ends(start: Start, tmp_path: Path) -> None:
    demo = start()
    demo.wait_for_line("Ctrl-C ends it")
    pids = children(demo.pid)
    os.kill(pids[0], signal.SIGKILL)

    assert demo.wait() == 1
    assert "a process ended, see above" in demo.output()
    check_nothing_is_left(pids, tmp_path)
