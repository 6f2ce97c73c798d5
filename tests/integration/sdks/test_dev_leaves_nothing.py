"""What `statefun dev` starts ends with it, however it ends, and a debugger has the terminal."""

import fcntl
import os
import pty
import signal
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest
from statefun.dev.children import Child
from statefun.dev.guard import Guard

from tests.support.processes import Process, wait_until
from tests.support.sockets import free_port, http_request, is_listening

pytestmark = pytest.mark.integration

CTRL_C = "\x03"
# As `go run` and `npm start` do: no signal is passed on to what serves.
PASSES_NOTHING_ON = f"{sys.executable} serve.py & wait"
SERVE = """\
import signal, socket
with socket.create_server(("127.0.0.1", PORT)):
    print("serves", flush=True)
    while True:
        signal.pause()
"""
MODULE = """\
kind: io.statefun.endpoints.v2/http
spec: {{functions: shop/*, urlPathTemplate: "http://127.0.0.1:{functions}/statefun"}}
---
kind: io.statefun.playground.v1/ingress
spec: {{port: {ingress}}}
"""
STOPS = """\
from statefun import StatefulFunctions

functions = StatefulFunctions()


@functions.bind("shop/cart")
def cart(context, message):
    breakpoint()
    print("goes", "on", flush=True)
"""


class Terminal:
    """A terminal of one's own, with a command in it."""

    def __init__(self, command: list[str], folder: Path) -> None:
        self._ours, theirs = pty.openpty()
        os.set_blocking(self._ours, False)
        self.said = ""
        self.process = subprocess.Popen(
            command,
            cwd=folder,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(theirs)

    def press(self, keys: str) -> None:
        os.write(self._ours, keys.encode())

    def wait_for(self, pattern: str) -> None:
        """Wait until it has said so, and forget that."""

        def is_said() -> bool:
            self._read()
            _, found, rest = self.said.partition(pattern)
            self.said = rest if found else self.said
            return bool(found)

        try:
            wait_until(is_said, repr(pattern))
        except TimeoutError as error:
            raise TimeoutError(f"{error}, but said: {self.said}") from None

    def wait(self) -> int:
        def has_ended() -> bool:
            self._read()
            return self.process.poll() is not None

        wait_until(has_ended, "the end")
        return self.process.returncode

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._ours)

    def _read(self) -> None:
        try:
            while got := os.read(self._ours, 65536):
                self.said += got.decode()
        except OSError:
            return


def flags(folder: Path, ports: dict[str, int]) -> list[str]:
    (folder / "module.yaml").write_text(MODULE.format(**ports))
    command = [sys.executable, "-m", "statefun", "dev", "--module", "module.yaml"]
    return [*command, "--metrics-port", str(ports["metrics"])]


@pytest.fixture
def ports() -> dict[str, int]:
    return {name: free_port() for name in ("functions", "ingress", "metrics")}


@pytest.fixture
def dev(tmp_path: Path, ports: dict[str, int]) -> Iterator[Process]:
    (tmp_path / "serve.py").write_text(SERVE.replace("PORT", str(ports["functions"])))
    command = [*flags(tmp_path, ports), "--", "sh", "-c", PASSES_NOTHING_ON]
    # What ignores the end of its terminal, as under nohup, has what it starts ignore it, too.
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    try:
        dev = Process(command, log=tmp_path / "log", cwd=tmp_path)
    finally:
        signal.signal(signal.SIGHUP, before)
    try:
        dev.wait_for_port(ports["functions"])
        dev.wait_for_port(ports["ingress"])
        yield dev
    finally:
        dev.stop()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGKILL])
def test_nothing_is_left_when_only_dev_is_signalled(
    dev: Process, ports: dict[str, int], number: signal.Signals
):
    os.kill(dev.pid, number)

    dev.wait()
    for port in ports.values():
        wait_until(lambda port=port: not is_listening(port), f"port {port} left")
    assert "Traceback" not in dev.output()
    assert "killed" not in dev.output()


def test_what_serves_ends_before_it_is_started_anew(dev: Process, tmp_path: Path):
    (tmp_path / "more.go").touch()

    dev.wait_for(lambda: dev.output().count("serves\n") == 2, "the port to be taken again")


def test_what_hears_no_signal_is_killed_with_all_that_it_started(
    tmp_path: Path, ports: dict[str, int], capfd: pytest.CaptureFixture[str]
):
    port = ports["functions"]
    (tmp_path / "serve.py").write_text(SERVE.replace("PORT", str(port)))
    guard = Guard()
    deaf = f"cd {tmp_path}; trap '' TERM; {PASSES_NOTHING_ON}"
    child = Child("functions", ["sh", "-c", deaf], guard, has_terminal=True, grace_s=0.1)
    child.start()
    wait_until(lambda: is_listening(port), f"port {port} open")

    child.stop()
    guard.close()

    assert not is_listening(port)
    assert "functions does not end, and is killed" in capfd.readouterr().out


@pytest.fixture
def terminal(tmp_path: Path, ports: dict[str, int]) -> Iterator[Terminal]:
    """Return a terminal in which a function stands in a debugger."""
    (tmp_path / "shop.py").write_text(STOPS)
    command = [*flags(tmp_path, ports), "--port", str(ports["functions"]), "shop"]
    terminal = Terminal(command, tmp_path)
    try:
        terminal.wait_for("curl -X PUT")
        url = f"http://127.0.0.1:{ports['ingress']}/shop/cart/anybody"
        assert http_request("PUT", url, b"hello") == (200, b"")
        terminal.wait_for("(Pdb) ")
        yield terminal
    finally:
        terminal.close()


def test_a_debugger_has_the_terminal_and_ctrl_c_ends_all_once(terminal: Terminal):
    terminal.press("p 6 * 7\n")
    terminal.wait_for("42")
    terminal.wait_for("(Pdb) ")
    terminal.press("c\n")
    terminal.wait_for("goes on")

    terminal.press(CTRL_C)

    assert terminal.wait() == 0
    assert terminal.said.count("stopping") == terminal.said.count("INFO ended") == 1
    assert "killed" not in terminal.said
    assert "(Pdb)" not in terminal.said


def test_a_second_ctrl_c_does_not_wait_for_who_stands_in_a_debugger(terminal: Terminal):
    terminal.press(CTRL_C)
    terminal.wait_for("once more to stop at once")

    terminal.press(CTRL_C)

    assert terminal.wait() == 0
    assert "does not end" not in terminal.said
