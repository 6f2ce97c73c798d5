"""Topics that come later, and topics that grow while a worker runs."""

from collections.abc import Callable

import pytest

from tests.integration.applications import documents, endpoint, kafka_egress, kafka_ingress
from tests.support.http.faulty_process import FaultyProcess
from tests.support.kafka.broker import KafkaBroker
from tests.support.processes import wait_until
from tests.support.worker import Worker

pytestmark = [pytest.mark.integration, pytest.mark.kafka]

Workers = Callable[..., Worker]
QUICKLY = "  properties: [metadata.max.age.ms: 300]\n"


def module(broker: KafkaBroker, served: FaultyProcess, *topics: str) -> str:
    targets = {topic: ["echo"] for topic in topics}
    ingress = kafka_ingress(broker.bootstrap, "lines", targets, startup="type: latest")
    return documents(
        endpoint(served.url, "t/*"), ingress + QUICKLY, kafka_egress(broker.bootstrap) + QUICKLY
    )


def exists(broker: KafkaBroker, topic: str) -> bool:
    return topic in broker.client.admin().list_topics(timeout=5).topics


def test_a_topic_that_comes_later_holds_up_no_other_and_is_read_from_its_beginning(
    broker: KafkaBroker, worker: Workers, kafka_functions: FaultyProcess
) -> None:
    topic, out = broker.unique_topic("in"), broker.unique_topic("out")
    later = topic.replace("in", "later")
    running = worker(module(broker, kafka_functions, topic, later))
    running.process.wait_for_line(rf"ingress t/lines waits: topic '{later}' does not exist")
    running.process.wait_for_line(r"reads 1 topic partitions")
    broker.produce(topic, [("k", f"{out}|a")])
    assert broker.consume(out, 1)[0].value == b"echo a 1"
    assert not exists(broker, later)

    broker.create_topic(later, 2)
    broker.client.produce(later, [("k", f"{out}|b")], partition=1)

    assert broker.consume(out, 2)[1].value == b"echo b 2"
    assert running.output().count("does not exist") == 1


def test_what_came_into_a_missing_topic_while_the_worker_was_stopped_is_read_too(
    broker: KafkaBroker, worker: Workers, kafka_functions: FaultyProcess
) -> None:
    out = broker.unique_topic("out")
    later = out.replace("out", "later")
    running = worker(module(broker, kafka_functions, later))
    running.process.wait_for_line(r"ingress t/lines reads 0 topic partitions of no topic yet")
    running.stop_cleanly()
    broker.create_topic(later)
    broker.produce(later, [("k", f"{out}|a")])

    running.start()

    assert broker.consume(out, 1)[0].value == b"echo a 1"


def test_topic_partitions_that_are_added_while_it_runs_are_read_and_written(
    broker: KafkaBroker, worker: Workers, kafka_functions: FaultyProcess
) -> None:
    topic, out = broker.unique_topic("in"), broker.unique_topic("out")
    running = worker(module(broker, kafka_functions, topic))
    running.process.wait_for_line("reads 1 topic partitions")
    broker.produce(topic, [("k", f"{out}|old")])
    broker.consume(out, 1)
    broker.client.add_partitions(topic, 3)
    broker.client.produce(topic, [("k", f"{out}|new")], partition=2)

    assert broker.consume(out, 2)[1].value == b"echo new 2"
    running.process.wait_for_line(rf"reads new topic partitions: {topic}/1, {topic}/2")

    broker.client.add_partitions(out, 2)
    keys = [f"key{n}" for n in range(8)]

    def spread() -> bool:
        broker.produce(topic, [(key, f"{out}|x") for key in keys])
        return broker.end_offsets(out)[1] > 0

    wait_until(spread, "records in the new topic partition")
    assert running.metrics().total("statefun_ingress_lag") >= 0


def test_a_position_in_a_new_topic_partition_survives_a_crash(
    broker: KafkaBroker, worker: Workers, kafka_functions: FaultyProcess
) -> None:
    topic, out = broker.unique_topic("in"), broker.unique_topic("out")
    arguments = ["--set", "execution.checkpointing.interval=100ms"]
    running = worker(module(broker, kafka_functions, topic), arguments=arguments)
    running.process.wait_for_line("reads 1 topic partitions")
    broker.client.add_partitions(topic, 2)
    broker.client.produce(topic, [("k", f"{out}|{n}") for n in range(5)], partition=1)
    broker.consume(out, 5)
    running.kill9()
    broker.client.produce(topic, [("k", f"{out}|last")], partition=1)

    running.start()

    def last() -> bytes | None:
        values = [r.value or b"" for r in broker.client.read_all(out)]
        return next((value for value in values if value.startswith(b"echo last")), None)

    assert wait_until(last, "the last record") == b"echo last 6"
