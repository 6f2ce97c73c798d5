"""Where a worker begins is told, and a start that is refused has changed nothing."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.processes import wait_until
from tests.support.sockets import free_port, http_request
from tests.support.worker import Worker

pytestmark = pytest.mark.integration

MODULE = """\
kind: io.statefun.endpoints.v2/http
spec:
  functions: t/*
  urlPathTemplate: http://127.0.0.1:1/
---
kind: io.statefun.playground.v1/ingress
spec: {{port: {port}}}
"""


class Shop:
    """A worker whose only checkpoints are of messages that wait."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        arguments = ["--checkpoint-interval", "50ms", "--checkpoints-kept", "1"]
        self.worker = Worker(MODULE.format(port=self.port), folder, arguments=arguments)

    def epoch(self) -> float:
        return self.worker.metrics().total("statefun_checkpoint_epoch")

    def put(self) -> None:
        """Send a message, and return when a checkpoint has it."""
        before = self.epoch()
        answer = http_request("PUT", f"http://127.0.0.1:{self.port}/t/f/id", b"x")
        assert answer == (200, b"")
        wait_until(lambda: self.epoch() > before, "a checkpoint")

    def refusal(self, *arguments: str) -> str:
        """Start with more arguments; return what is said when that is refused."""
        log = self.worker.directory / "worker.log"
        said = log.read_text() if log.exists() else ""
        given = list(self.worker.arguments)
        self.worker.arguments += arguments
        self.worker.start(is_ready_awaited=False)
        wait_until(lambda: self.worker.process.exit_status is not None, "the refusal")
        self.worker.arguments = given
        assert self.worker.process.exit_status == 2, self.worker.output()
        return self.worker.output().removeprefix(said)

    def files(self) -> dict[str, bytes]:
        """Return what is in the commit log."""
        log = self.worker.state_dir / "log"
        return {path.name: path.read_bytes() for path in log.iterdir()}


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    made = Shop(tmp_path)
    yield made
    made.worker.close()


def test_a_checkpoint_that_is_not_kept_is_refused_and_a_plain_start_goes_on(shop: Shop):
    shop.worker.start()
    first = shop.epoch()
    for _ in range(45):
        shop.put()
    shop.worker.stop_cleanly()
    before = shop.files()

    said = shop.refusal("--from-checkpoint", str(int(first) + 1))
    assert (
        f"SF1049: no complete checkpoint {int(first) + 1} is kept in {shop.worker.state_dir}"
        in said
    )
    assert shop.files() == before
    shop.worker.start()
    assert shop.worker.metrics().total("statefun_functions_numBacklog") == 45


def test_whether_it_is_new_or_goes_on_is_told_and_can_be_asked_for(shop: Shop):
    said = shop.refusal("--require-state")
    assert (
        f"SF1059: {shop.worker.state_dir} holds no complete checkpoint, and --require-state" in said
    )
    assert not shop.worker.state_dir.exists()

    shop.worker.arguments += ["--application", "shop"]
    shop.worker.start()
    assert (
        f"begins as new application 'shop', incarnation 1: {shop.worker.state_dir}"
        in shop.worker.output()
    )
    shop.put()
    shop.worker.stop_cleanly()
    before = shop.files()

    said = shop.refusal("--application", "billing")
    assert "SF1043: the state is that of application 'shop', not of 'billing'" in said
    assert shop.files() == before
    shop.worker.arguments += ["--require-state"]
    shop.worker.start()
    assert "application 'shop' continues from checkpoint" in shop.worker.output()
    assert shop.worker.metrics().total("statefun_functions_numBacklog") == 1
