"""`statefun dev`: a worker and functions in one terminal, as a function author has them."""

import subprocess
import sys
from collections.abc import Iterator
from itertools import count
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


EMBEDDED = """\
kind: io.statefun.endpoints.v1/python
spec: {{functions: shop/cart, module: shop, processes: {processes}}}
---
kind: io.statefun.playground.v1/ingress
spec: {{port: {ingress}}}
---
kind: io.statefun.playground.v1/egress
spec: {{port: {egress}, topics: [receipts]}}
"""


class Terminal:
    """A terminal with `statefun dev` in it; with `processes` in a module that embeds its functions."""

    def __init__(self, folder: Path, *, processes: int | None = None) -> None:
        self.processes = processes
        self.source = folder / "shop.py"
        self.source.write_text(FUNCTIONS.replace("WORD", "first"))
        self.ports = {name: free_port() for name in ("port", "ingress", "egress", "metrics")}
        command = [sys.executable, "-m", "statefun", "dev"]
        if processes is None:
            command += ["shop", "--topic", "receipts", "--port", str(self.ports["port"])]
            command += ["--ingress-port", str(self.ports["ingress"])]
            command += ["--egress-port", str(self.ports["egress"])]
        else:
            module = EMBEDDED.format(processes=processes, **self.ports)
            (folder / "module.yaml").write_text(module)
            command += ["--module", "module.yaml"]
        command += ["--metrics-port", str(self.ports["metrics"])]
        # Two versions within one second are two versions: compiled files say no more than that.
        env = {"PYTHONDONTWRITEBYTECODE": "1"}
        self.process = Process(command, log=folder / "terminal.log", cwd=folder, env=env)

    def ask(self) -> str:
        """Send a message as the hint says, and return the record that comes of it."""
        url = f"http://127.0.0.1:{self.ports['ingress']}/shop/cart/anybody"
        self.process.wait_for_line(rf"dev \| curl -X PUT -d hello {url}")
        subprocess.run(["curl", "-sS", "--fail", "-X", "PUT", "-d", "hello", url], check=True)

        def record() -> bytes | None:
            answer = http_get(f"http://127.0.0.1:{self.ports['egress']}/receipts")
            return answer[1] if answer is not None and answer[0] == 200 else None

        return wait_until(record, "a record").decode()


@pytest.fixture(params=[None, 0, 2], ids=["served", "in the worker", "in processes"])
def terminal(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Terminal]:
    terminal = Terminal(tmp_path, processes=request.param)
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

    if terminal.processes == 0:
        terminal.process.wait_for(
            lambda: terminal.process.output().count("dev | curl") == 4, "another life of the worker"
        )
    counts = count(2)

    def is_second() -> bool:
        number = next(counts)
        said = terminal.ask()
        assert said in (f"first {number}", f"second {number}")
        # Those that ran before go on until the new ones are ready.
        assert said == f"second {number}" or terminal.processes
        return said == f"second {number}"

    terminal.process.wait_for(is_second, "the new functions")


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
