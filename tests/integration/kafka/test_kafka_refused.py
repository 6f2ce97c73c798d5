"""Records that a broker will never take: given up one by one, and the others go on."""

from collections.abc import Callable

import pytest

from statefun_runtime.core.model.dead_letter import read_letter
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
    """A compacted topic takes no record without a key; no topic takes a time out of its window where it has one.

    The client library does not know the broker's answer to the first.
    """
    served = functions("tests.integration.scripted:keyed")
    topic, dead = broker.unique_topic("in"), broker.unique_topic("dead")
    window = {f"message.timestamp.{side}.max.ms": "3600000" for side in ("before", "after")}
    out = broker.unique_topic("compacted", **{"cleanup.policy": "compact", **window})
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

    wait_until(lambda: len(broker.client.read_all(out)) == 28, "all that can leave")
    values = [record.value for record in broker.client.read_all(out)]
    assert values == [b"%d" % n for n in range(40) if n % 10 not in (3, 5, 7)]
    wait_until(lambda: running.metrics().total("statefun_egress_dropped_total") == 12, "twelve")
    if has_letters:
        letters = [read_letter(record.value or b"") for record in broker.consume(dead, 12)]
        said = [letter.error for letter in letters]
        assert sum("out of range" in error for error in said) == 8, said
    running.stop_cleanly()
    said = "is a dead letter" if has_letters else "is dropped"
    assert f"for topic {out} {said}, the broker refuses it for good" in running.output()


def test_transactions_become_so_small_that_a_quota_lets_them_through(
    broker: KafkaBroker, worker: Callable[..., Worker], kafka_functions: FaultyProcess
) -> None:
    """Of 1.2 MB at 60 kB/s nothing would ever leave in one transaction of six seconds."""
    topic, out = broker.unique_topic("in"), broker.unique_topic("out")
    client = f"slow-{out}"
    broker.limit_produce_rate(client, bytes_a_second=60_000)
    egress = kafka_egress(broker.bootstrap, "type: exactly-once, transactionTimeout: 6s")
    running = worker(
        documents(
            endpoint(kafka_functions.url, "t/*"),
            kafka_ingress(broker.bootstrap, "lines", {topic: ["echo"]}),
            f"{egress}  properties: [client.id: {client}]\n",
        )
    )
    filler = "x" * 20_000

    broker.produce(topic, [("k", f"{out}|{n} {filler}") for n in range(60)])

    values = [record.value or b"" for record in broker.consume(out, 60, timeout_s=60)]
    assert [int(value.split()[1]) for value in values] == list(range(60))
    # The broker reads no more from a connection that is over its quota, and is there all the same.
    assert "has had no answer" not in running.output()
    running.kill9()
