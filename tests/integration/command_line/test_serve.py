"""`statefun serve` as processes: how it begins, who is replaced, and how it ends."""

import os
import signal
import socket
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.processes import Process, wait_until
from tests.support.sockets import free_port

pytestmark = pytest.mark.integration

PROGRAM = """\
from statefun import StatefulFunctions

functions = StatefulFunctions()


@functions.bind("shop/cart")
async def cart(context, message): ...
"""


class Served:
    def __init__(self, folder: Path, *options: str) -> None:
        (folder / "shop.py").write_text(PROGRAM)
        self.port = free_port()
        words = [sys.executable, "-m", "statefun", "serve", "shop", "--port", str(self.port)]
        self.process = Process([*words, *options], log=folder / "log", cwd=folder)

    def is_healthy(self) -> bool:
        try:
            with urllib.request.urlopen(
                f"http://127.0.0.1:{self.port}/health", timeout=5
            ) as answer:
                return bool(answer.read() == b"ok\n")
        except OSError:
            return False

    def children(self) -> list[int]:
        text = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [int(pid) for pid in text.split()]

    def log(self) -> str:
        return self.process.log.read_text()


@pytest.fixture
def family(tmp_path: Path) -> Iterator[Served]:
    served = Served(tmp_path, "--processes", "2")
    wait_until(served.is_healthy, "health")
    yield served
    served.process.stop()


def is_there(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("processes", ["1", "2"])
def test_it_says_what_it_serves_and_ends_without_a_trace(
    tmp_path: Path, number: signal.Signals, processes: str
):
    served = Served(tmp_path, "--processes", processes)
    wait_until(served.is_healthy, "health")
    os.kill(served.process.pid, number)
    wait_until(lambda: served.process.exit_status is not None, "the end")

    assert served.process.exit_status == 0
    first, last = served.log().splitlines()
    assert first.endswith(f"INFO serving shop/cart at http://127.0.0.1:{served.port}/statefun")
    assert last.endswith("INFO ended")


def test_a_process_that_dies_is_replaced(family: Served):
    before = family.children()
    os.kill(before[0], signal.SIGKILL)
    wait_until(lambda: len(set(family.children()) - {before[0]}) == 2, "another in its place")

    assert family.is_healthy()
    assert f"process {before[0]} ended with -9 and is replaced" in family.log()


def test_children_do_not_outlive_their_parent(family: Served):
    children = family.children()
    os.kill(family.process.pid, signal.SIGKILL)
    wait_until(lambda: not any(map(is_there, children)), "the children's end")

    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", family.port), timeout=5)


def test_a_socket_file_is_served_and_taken_away(tmp_path: Path):
    path = tmp_path / "fns.sock"
    served = Served(tmp_path, "--unix", str(path))
    wait_until(path.exists, "the socket")
    with socket.socket(socket.AF_UNIX) as there:
        there.connect(str(path))
        there.sendall(b"GET /health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        assert there.recv(1000).startswith(b"HTTP/1.1 200 OK\r\n")
    served.process.stop()

    assert not path.exists()
    assert f"http+unix://{path}/statefun" in served.log()
