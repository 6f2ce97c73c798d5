"""`statefun dev`: a worker and functions in one terminal, as a function author has them."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.processes import Process, wait_until
from tests.support.sockets import free_port, http_get

pytestmark = pytest.mark.integration

FUNCTIONS = """\
from statefun import IntType, StatefulFunctions, ValueSpec, egress_message_builder, make_json_type

functions = StatefulFunctions()
RECORD = make_json_type("io.statefun.playground/EgressRecord")


@functions.bind("shop/cart", specs=[ValueSpec("count", IntType)])
def cart(context, message):
    context.storage.count = (context.storage.count or 0) + 1
    record = {"topic": "receipts", "payload": f"WORD {context.storage.count}"}
    context.send_egress(egress_message_builder("io.statefun.playground/egress", record, RECORD))
"""


class Terminal:
    """A terminal with `statefun dev` in it."""

    def __init__(self, folder: Path) -> None:
        self.source = folder / "shop.py"
        self.source.write_text(FUNCTIONS.replace("WORD", "first"))
        self.ports = {name: free_port() for name in ("port", "ingress", "egress", "metrics")}
        command = [sys.executable, "-m", "statefun", "dev", "shop", "--topic", "receipts"]
        command += ["--port", str(self.ports["port"])]
        for name in ("ingress", "egress", "metrics"):
            command += [f"--{name}-port", str(self.ports[name])]
        self.process = Process(command, log=folder / "terminal.log", cwd=folder)

    def ask(self) -> str:
        """Send a message as the hint says, and return the record that comes of it."""
        url = f"http://127.0.0.1:{self.ports['ingress']}/shop/cart/anybody"
        assert f"curl -X PUT -d hello {url}" in self.process.output()
        subprocess.run(["curl", "-sS", "--fail", "-X", "PUT", "-d", "hello", url], check=True)

        def record() -> bytes | None:
            answer = http_get(f"http://127.0.0.1:{self.ports['egress']}/receipts")
            return answer[1] if answer is not None and answer[0] == 200 else None

        return wait_until(record, "a record").decode()


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    terminal = Terminal(tmp_path)
    try:
        terminal.process.wait_for_port(terminal.ports["ingress"])
        yield terminal
    finally:
        terminal.process.stop()


def test_functions_start_anew_when_their_file_changes_and_state_stays(terminal: Terminal):
    assert terminal.ask() == "first 1"

    terminal.source.write_text(FUNCTIONS.replace("WORD", "second"))
    terminal.process.wait_for(
        lambda: "shop.py changed" in terminal.process.output(), "the change to be seen"
    )

    assert terminal.ask() == "second 2"


def test_ctrl_c_ends_everything_and_cleanly(terminal: Terminal):
    assert terminal.ask() == "first 1"

    assert terminal.process.sigint() == 0

    for name in ("port", "ingress", "egress", "metrics"):
        assert http_get(f"http://127.0.0.1:{terminal.ports[name]}/") is None
    assert "Traceback" not in terminal.process.output()
    assert "worker |" in terminal.process.output()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "say which functions"),
        (["nowhere"], "there is no module 'nowhere'"),
        (["shop", "--module", "missing.yaml"], "missing.yaml"),
    ],
    ids=["nothing", "no module", "no file"],
)
def test_what_cannot_run_says_why(tmp_path: Path, arguments: list[str], said: str):
    done = subprocess.run(
        [sys.executable, "-m", "statefun", "dev", *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
