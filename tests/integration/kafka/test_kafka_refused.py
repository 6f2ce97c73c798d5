"""Records that a broker will never take: given up one by one, and the others go on."""

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
@pytest.mark.parametrize("has_letters", [False, True])
def test_records_that_the_broker_refuses_are_given_up_and_the_others_leave(
    broker: KafkaBroker,
    worker: Callable[..., Worker],
    functions: Callable[..., FaultyProcess],
    delivery: str,
    has_letters: bool,
) -> None:
    """A compacted topic takes no record without a key; the client library does not know the broker's answer."""
    served = functions("tests.integration.scripted:keyed")
    topic, dead = broker.unique_topic("in"), broker.unique_topic("dead")
    out = broker.unique_topic("compacted", **{"cleanup.policy": "compact"})
    egress = kafka_egress(broker.bootstrap, delivery)
    if has_letters:
        egress += f"  deadLetters: {{egress: t/records, topic: {dead}}}\n"
    running = worker(
        documents(
            endpoint(served.url, "t/*"),
            kafka_ingress(broker.bootstrap, "lines", {topic: ["keyed"]}),
            egress,
        )
    )

    broker.produce(topic, [("k", f"{out}|{n}") for n in range(40)])

    wait_until(lambda: len(broker.client.read_all(out)) == 36, "all that can leave")
    values = [record.value for record in broker.client.read_all(out)]
    assert values == [b"%d" % n for n in range(40) if n % 10 != 3]
    wait_until(lambda: running.metrics().total("statefun_egress_dropped_total") == 4, "four")
    if has_letters:
        assert len(broker.consume(dead, 4)) == 4
    running.stop_cleanly()
    said = "is a dead letter" if has_letters else "is dropped"
    assert f"for topic {out} {said}, the broker refuses it for good" in running.output()
