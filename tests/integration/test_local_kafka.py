"""A module with Kafka components and no broker: topics in memory, for development."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.applications import documents, endpoint, kafka_egress, kafka_ingress
from tests.integration.conftest import KAFKA
from tests.support.http.faulty_process import FaultyProcess
from tests.support.processes import wait_until
from tests.support.sockets import free_port, http_get, http_request
from tests.support.worker import Worker

pytestmark = pytest.mark.integration

NOWHERE = "127.0.0.1:1"


class LocalKafka:
    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"

    def put(self, path: str, value: bytes) -> tuple[int, bytes]:
        answer = http_request("PUT", f"{self.url}/{path}", value)
        assert answer is not None
        return answer

    def take(self, topic: str) -> bytes | None:
        answer = http_get(f"{self.url}/{topic}")
        return answer[1] if answer is not None and answer[0] == 200 else None

    def receive(self, topic: str, count: int) -> list[bytes]:
        return [wait_until(lambda: self.take(topic), f"{count} records") for _ in range(count)]


def _received(worker: Worker, name: str) -> float:
    return worker.metrics().get(f'statefun_functions_in_total{{name="{name}",namespace="t"}}', 0.0)


@pytest.fixture
def start(
    tmp_path: Path, functions: Callable[..., FaultyProcess]
) -> Iterator[Callable[[], tuple[Worker, LocalKafka]]]:
    """Return a function that starts a worker on two chained topics, `lines` to `echo` and `more` to `second`."""
    port = free_port()
    module = documents(
        endpoint(functions(KAFKA).url, "t/*"),
        kafka_ingress(NOWHERE, "lines", {"lines": ["echo"]}),
        kafka_ingress(NOWHERE, "more", {"more": ["second"]}),
        kafka_egress(NOWHERE, "type: exactly-once, transactionTimeout: 1min"),
    )
    arguments = ["--local-kafka", str(port)]
    worker = Worker(module, tmp_path / "worker", arguments=arguments)

    def run() -> tuple[Worker, LocalKafka]:
        worker.start()
        return worker, LocalKafka(port)

    yield run
    worker.close()


def test_records_go_in_through_functions_and_out_without_a_broker(start: Callable[..., object]):
    worker, kafka = start()  # type: ignore[misc]

    for text in (b"out|hello", b"more|hello", b"out|hello"):
        assert kafka.put("lines/a%2Fb", text) == (200, b"")

    assert kafka.receive("out", 2) == [b"echo hello 1", b"echo hello 3"]
    assert kafka.receive("more", 1) == [b"echo hello 2"]
    assert http_get(f"{kafka.url}/") == (200, b'{"lines": 3, "more": 1, "out": 2}\n')
    # What one function sends to a topic another one reads from it, whoever else takes it.
    wait_until(lambda: _received(worker, "second") == 1, "the second function's message")
    assert "KAFKA IS IN MEMORY" in worker.output()


def test_a_record_without_a_key_is_refused_as_one_of_kafka_is(start: Callable[..., object]):
    worker, kafka = start()  # type: ignore[misc]

    assert kafka.put("lines", b"out|lost") == (200, b"")
    assert kafka.put("lines/alice", b"out|hello") == (200, b"")

    assert kafka.receive("out", 1) == [b"echo hello 1"]
    assert worker.metrics().total("statefun_ingress_skipped_total", reason="no-key") == 1
    worker.process.wait_for_line("topic lines, partition 0, offset 0.*it has no key")


def test_records_end_with_the_process_and_state_does_not(start: Callable[..., object]):
    worker, kafka = start()  # type: ignore[misc]
    kafka.put("lines/alice", b"out|hello")
    assert kafka.receive("out", 1) == [b"echo hello 1"]
    worker.stop_cleanly()

    start()

    assert kafka.take("out") is None
    kafka.put("lines/alice", b"out|hello")
    assert kafka.receive("out", 1) == [b"echo hello 2"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("PUT", "a b", 400),
        ("PUT", "lines/a/b", 400),
        ("GET", "lines/a", 405),
        ("POST", "lines", 405),
    ],
)
def test_what_it_cannot_do_it_says(
    start: Callable[..., object], method: str, path: str, status: int
):
    _, kafka = start()  # type: ignore[misc]

    answer = http_request(method, f"{kafka.url}/{path.replace(' ', '%20')}", b"")

    assert answer is not None
    assert answer[0] == status
    assert answer[1]
