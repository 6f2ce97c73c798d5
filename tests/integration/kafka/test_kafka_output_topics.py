"""Output topics that are deleted or made anew with less partitions while records leave."""

import time
from collections.abc import Callable

import pytest

from tests.integration.applications import documents, endpoint, kafka_egress, kafka_ingress
from tests.support.http.faulty_process import FaultyProcess
from tests.support.kafka.broker import KafkaBroker
from tests.support.processes import wait_until
from tests.support.worker import Worker

pytestmark = [pytest.mark.integration, pytest.mark.kafka]

DELIVERIES = ("type: exactly-once, transactionTimeout: 1min", "type: at-least-once")


@pytest.mark.parametrize("delivery", DELIVERIES)
def test_records_for_a_topic_that_has_shrunk_go_where_their_keys_say_now(
    broker: KafkaBroker,
    worker: Callable[..., Worker],
    kafka_functions: FaultyProcess,
    delivery: str,
) -> None:
    topic, out = broker.unique_topic("in"), broker.unique_topic("out", 4)
    running = worker(
        documents(
            endpoint(kafka_functions.url, "t/*"),
            kafka_ingress(broker.bootstrap, "lines", {topic: ["echo"]}),
            kafka_egress(broker.bootstrap, delivery),
        )
    )
    keys = [f"key{n}" for n in range(20)]
    broker.produce(topic, [(key, f"{out}|a") for key in keys])
    broker.consume(out, 20)

    broker.client.delete_topic(out)
    broker.create_topic(out, 1)
    time.sleep(0.5)
    broker.produce(topic, [(key, f"{out}|b") for key in keys])

    wait_until(
        lambda: {r.key for r in broker.client.read_all(out)} == {key.encode() for key in keys},
        "a record of each key",
        # What waits for the library to notice by itself takes 43 s.
        timeout_s=30,
    )
    assert {record.value for record in broker.client.read_all(out)} == {b"echo b 2"}
    assert running.process.exit_status is None
    running.stop_cleanly()
    assert "Traceback" not in running.output()
