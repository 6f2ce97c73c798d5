"""Headers, timestamps and topic partitions on their way through a function, on a real broker."""

from collections.abc import Callable

import pytest
from confluent_kafka import Producer

from tests.conftest import Command
from tests.integration.applications import documents, endpoint, kafka_egress, kafka_ingress
from tests.support.http.faulty_process import FaultyProcess
from tests.support.kafka.broker import KafkaBroker
from tests.support.processes import Process
from tests.support.sockets import free_port
from tests.support.stock_sdk import FUNCTIONS
from tests.support.worker import Worker

pytestmark = [pytest.mark.integration, pytest.mark.kafka]

MIRROR = "tests.support.functions.mirror:handler"
HEADERS = [("trace", b"\x00\x01"), ("trace", b"again"), ("empty", b""), ("none", None)]
TIME_MS = 1_700_000_000_123


def produce(broker: KafkaBroker, topic: str, value: str) -> None:
    producer = Producer({"bootstrap.servers": broker.bootstrap})
    producer.produce(topic, value, "k", 1, timestamp=TIME_MS, headers=HEADERS)
    assert not producer.flush(20)


@pytest.fixture(params=["python", "javascript"])
def mirror(request: pytest.FixtureRequest, functions: Callable[..., FaultyProcess]) -> str:
    """Where the mirror is served, on the one SDK or on the other."""
    if request.param == "python":
        return functions(MIRROR).url
    port = free_port()
    node: Command = request.getfixturevalue("node")
    serve: Callable[[list[str], int], Process] = request.getfixturevalue("serve_command")
    serve(node(FUNCTIONS / "mirror.js", port), port)
    return f"http://127.0.0.1:{port}/statefun"


@pytest.mark.parametrize(
    "delivery", ["type: at-least-once", "type: exactly-once, transactionTimeout: 1min"]
)
def test_a_function_sees_what_a_record_has_and_writes_the_same(
    broker: KafkaBroker,
    worker: Callable[..., Worker],
    mirror: str,
    delivery: str,
) -> None:
    topic, plain = broker.unique_topic("in", 2), broker.unique_topic("plain", 2)
    out = broker.unique_topic("out", 3)
    produce(broker, topic, out)
    produce(broker, plain, out)
    ingress = kafka_ingress(broker.bootstrap, "lines", {topic: ["mirror"], plain: ["mirror"]})
    # Only the first topic says so.
    ingress = ingress.replace("t/mirror]\n", "t/mirror]\n      forwardMetadata: true\n", 1)
    worker(documents(endpoint(mirror, "t/*"), ingress, kafka_egress(broker.bootstrap, delivery)))

    records = {record.value: record for record in broker.consume(out, 2)}

    mirrored = records[f"{topic}/1/0".encode()]
    assert mirrored.headers == (*HEADERS, ("mirrored", b"yes"))
    assert mirrored.timestamp_ms == TIME_MS
    assert (mirrored.partition, mirrored.key) == (2, b"k")
    unmirrored = records[b"no metadata"]
    assert unmirrored.headers == ()
    assert unmirrored.timestamp_ms > TIME_MS
