"""Function servers as they are: what a burst, a pause, a restart and a cold start cost, in counted failures."""

import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from statefun._wire import FromFunction

from tests.conftest import skip_or_fail
from tests.integration.applications import HttpApplication, endpoint
from tests.support.function_servers import SERVERS
from tests.support.processes import Process, wait_until
from tests.support.provisions import Unavailable
from tests.support.sockets import free_port

pytestmark = pytest.mark.integration

CAUSES = ("connect", "disconnect", "timeout", "status", "content-type", "bad-http", "bad-reply")
# Three times as many as what listens lets wait.
BURST = 400
# Those that, at SIGTERM, reset connections whose request they have not read; aiohttp where it lags behind.
ABRUPT = {"aiohttp", "gunicorn-gthread", "gunicorn-sync", "node"}


def reply() -> bytes:
    """Return a FromFunction with one record for the egress: its count is that of effects."""
    made = FromFunction()
    record = made.invocation_result.outgoing_egresses.add(
        egress_namespace="io.statefun.playground", egress_type="egress"
    )
    record.argument.typename = "io.statefun.playground/EgressRecord"
    record.argument.has_value = True
    record.argument.value = b'{"topic": "out", "payload": "done"}'
    encoded: bytes = made.SerializeToString()
    return encoded


class Rig:
    """An application of `t/fast` and `t/slow`, and a server for both that comes and goes."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.port = free_port()
        self.command = SERVERS[name](self.port, reply())
        self._folder = folder
        self._server: Process | None = None
        url = f"http://127.0.0.1:{self.port}/{{function.name}}"
        self.app = HttpApplication(
            [endpoint(url, "t/*", transport="call: 60s")], folder / "app", topic="out"
        )
        self.sent = 0

    def start(self) -> None:
        log = self._folder / "server.log"
        self._server = Process(self.command.words, log=log, env=self.command.env)
        self._server.wait_for_port(self.port)

    @property
    def server_pid(self) -> int:
        assert self._server is not None
        return self._server.pid

    def stop(self) -> None:
        assert self._server is not None
        self._server.sigterm()

    def send(self, name: str, count: int) -> None:
        """Send a message to each of so many addresses that had none before, all at once."""
        requests = b"".join(
            b"PUT /t/%b/id%d HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\n\r\nx"
            % (name.encode(), self.sent + number)
            for number in range(count)
        )
        self.sent += count
        with socket.create_connection(("127.0.0.1", self.app.ingress_port), timeout=30) as there:
            there.sendall(requests)
            answers = b""
            while answers.count(b"HTTP/1.1 200") < count:
                part = there.recv(1 << 16)
                assert part, answers[-200:]
                answers += part

    def done(self) -> float:
        return self.app.worker.metrics().total("statefun_functions_outEgress_total")

    def wait_until_done(self) -> None:
        """Wait until each message had its effect, once: each is alone in its request."""
        wait_until(lambda: self.done() >= self.sent, "all effects", timeout_s=40)
        self.app.wait_until_idle()
        assert self.done() == self.sent

    def failures(self) -> dict[str, float]:
        counted = {cause: self.app.failures(cause) for cause in CAUSES}
        return {cause: count for cause, count in counted.items() if count}

    def connections(self) -> int:
        """Return how many connections are established to the server."""
        lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()]
        return sum(line[2].endswith(f":{self.port:04X}") and line[3] == "01" for line in lines)

    def close(self) -> None:
        self.app.close()
        if self._server is not None:
            self._server.stop()


@pytest.fixture(params=SERVERS)
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Rig]:
    try:
        made = Rig(request.param, tmp_path)
    except Unavailable as error:
        skip_or_fail(request.config, "function server", error)
    yield made
    made.close()


def test_a_cold_start_a_burst_and_a_pause_cost_nothing_that_is_not_a_failure(rig: Rig) -> None:
    rig.send("fast", BURST)
    wait_until(lambda: rig.failures().get("connect"), "the server to be missed")
    rig.start()
    rig.wait_until_done()
    assert set(rig.failures()) == {"connect"}
    missed = rig.failures()

    wait_until(lambda: rig.connections() == 0, "the connections to be closed, by whoever does")
    rig.send("fast", 20)
    rig.send("slow", 20)
    rig.wait_until_done()
    rig.send("fast", BURST)
    rig.wait_until_done()
    assert rig.failures() == missed


@pytest.mark.parametrize("rig", ["gunicorn-sync"], indirect=True)
def test_nine_addresses_do_not_make_a_server_with_one_place_stand_still(rig: Rig) -> None:
    rig.start()
    began_s = time.monotonic()
    rig.send("fast", 9)
    rig.wait_until_done()

    # It waits 30 s for a request on each connection that is open.
    assert time.monotonic() - began_s < 5.0
    assert rig.failures() == {}


def test_a_restart_under_load_costs_only_what_was_cut(rig: Rig) -> None:
    rig.start()
    rig.send("fast", 20)
    rig.wait_until_done()
    assert rig.failures() == {}
    rig.send("slow", 200)
    wait_until(lambda: rig.done() >= 30, "some to be done")
    rig.stop()
    rig.start()
    rig.wait_until_done()

    allowed = {"connect", "disconnect"} if rig.name in ABRUPT else {"connect"}
    assert set(rig.failures()) <= allowed, rig.failures()
    assert rig.failures().get("disconnect", 0) <= 64


@pytest.mark.parametrize("rig", ["statefun-serve-2"], indirect=True)
def test_processes_that_are_killed_in_the_middle_of_bundles_cost_no_effect_and_double_none(
    rig: Rig,
) -> None:
    rig.start()
    rig.send("slow", 20)
    rig.wait_until_done()
    server = rig.server_pid
    for _ in range(3):
        rig.send("slow", 300)
        done = rig.done()
        wait_until(lambda: rig.done() >= done + 30, "some to be done")  # noqa: B023
        for child in children(server):
            os.kill(child, signal.SIGKILL)
        wait_until(lambda: len(children(server)) == 2, "others in their place")
    rig.wait_until_done()

    assert set(rig.failures()) <= {"connect", "disconnect"}
    assert rig.app.worker.metrics().total("statefun_functions_bundles_total") > 0


def children(pid: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
