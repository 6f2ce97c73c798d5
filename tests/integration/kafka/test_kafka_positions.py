"""Where a Kafka ingress begins, and what happens when that place does not exist."""

import time
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from confluent_kafka import Consumer, TopicPartition

from tests.integration.applications import documents, endpoint, kafka_egress, kafka_ingress
from tests.support.http.faulty_process import FaultyProcess
from tests.support.kafka.broker import KafkaBroker
from tests.support.processes import wait_until
from tests.support.worker import Worker

pytestmark = [pytest.mark.integration, pytest.mark.kafka]

Workers = Callable[..., Worker]
OLD = [str(n) for n in range(10)]


def _commit(broker: KafkaBroker, group: str, topic: str, offset: int) -> None:
    consumer = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": group})
    consumer.commit(offsets=[TopicPartition(topic, 0, offset)], asynchronous=False)
    consumer.close()


def _date(timestamp_ms: float) -> str:
    moment = datetime.fromtimestamp(timestamp_ms / 1000, UTC)
    return f"{moment:%Y-%m-%d %H:%M:%S}.{int(timestamp_ms) % 1000:03d} +0000"


def test_every_start_position_begins_where_it_should(
    broker: KafkaBroker, worker: Workers, kafka_functions: FaultyProcess
) -> None:
    topic, out = broker.unique_topic("in", 2), broker.unique_topic("out")
    produce = broker.client.produce
    produce(topic, [("k", f"{out}|{text}") for text in OLD[:6]], partition=0)
    before_s = time.time()
    wait_until(lambda: time.time() > before_s + 0.005, "the next milliseconds")
    produce(topic, [("k", f"{out}|{text}") for text in OLD[6:]], partition=0)
    timestamps = {r.offset: r.timestamp_ms for r in broker.client.read_all(topic)}
    group, unknown = f"group-{topic}", f"unknown-{topic}"
    _commit(broker, group, topic, 4)
    dated = f'type: date, date: "{_date(timestamps[6])}"'
    future = f'type: date, date: "{_date(timestamps[9] + 3_600_000)}"'
    # name: (startupPosition, autoOffsetResetPosition, group, offset of the first old record)
    cases = {
        "earliest": ("type: earliest", "latest", unknown, 0),
        "latest": ("type: latest", "earliest", unknown, 10),
        "group": ("type: group-offsets", "latest", group, 4),
        "group-unknown": ("type: group-offsets", "latest", unknown, 10),
        "group-unknown-earliest": ("type: group-offsets", "earliest", unknown, 0),
        "specific": (_specific(f"{topic}/0: 7"), "latest", unknown, 7),
        "specific-other": (_specific(f"{topic}/1: 0"), "latest", group, 4),
        "specific-gone": (_specific(f"{topic}/0: 1000"), "earliest", unknown, 0),
        "specific-gone-latest": (_specific(f"{topic}/0: 1000"), "latest", unknown, 10),
        "date": (dated, "earliest", unknown, 6),
        "date-future": (future, "earliest", unknown, 10),
    }
    ingresses = [
        kafka_ingress(
            broker.bootstrap, name, {topic: [name]}, startup=startup, reset=reset, group=in_group
        )
        for name, (startup, reset, in_group, _) in cases.items()
    ]
    running = worker(
        documents(endpoint(kafka_functions.url, "t/*"), *ingresses, kafka_egress(broker.bootstrap))
    )
    reading = "reads 2 topic partitions"
    running.process.wait_for(
        lambda: running.output().count(reading) == len(cases), "all ingresses reading"
    )

    produce(topic, [("k", f"{out}|new")], partition=0)

    expected = {name: [*OLD[first:], "new"] for name, (_, _, _, first) in cases.items()}
    records = broker.consume(out, sum(map(len, expected.values())))
    found: dict[str, list[str]] = {name: [] for name in cases}
    for record in records:
        name, text, _ = (record.value or b"").decode().split()
        found[name].append(text)
    assert found == expected


def _specific(offset: str) -> str:
    return f"type: specific-offsets, offsets: [{offset}]"


def _module(broker: KafkaBroker, served: FaultyProcess, topic: str) -> str:
    return documents(
        endpoint(served.url, "t/*"),
        kafka_ingress(broker.bootstrap, "lines", {topic: ["echo"]}, reset="earliest"),
        kafka_egress(broker.bootstrap),
    )


def test_a_position_of_a_checkpoint_that_vanished_is_an_error_that_says_what_to_do(
    broker: KafkaBroker, worker: Workers, kafka_functions: FaultyProcess
) -> None:
    topic, out = broker.unique_topic("in"), broker.unique_topic("out")
    running = worker(_module(broker, kafka_functions, topic))
    broker.produce(topic, [("k", f"{out}|{text}") for text in OLD])
    broker.consume(out, 10)
    running.stop_cleanly()
    broker.produce(topic, [("k", f"{out}|{text}") for text in OLD])
    broker.delete_records(topic, before={0: 15})

    running.start(is_ready_awaited=False)

    status = wait_until(lambda: running.process.exit_status, "the end of the worker")
    assert status == 1
    text = running.output()
    assert (
        f"SF3003: ingress 't/lines' cannot go on at topic {topic}, partition 0, offset 10: "
        "the broker has offsets 15 to 20" in text
    )
    assert (
        "hint: records are lost, or the topic was made anew; to go on without them, start" in text
    )
    assert "Traceback" not in text
    assert "Unclosed" not in text

    # A new state folder is the way to go on that the hint names.
    running.state_dir = running.directory / "other-state"
    running.start()
    broker.consume(out, 15)


def test_a_position_that_vanishes_while_running_is_the_same_error(
    broker: KafkaBroker, worker: Workers, kafka_functions: FaultyProcess
) -> None:
    topic, out = broker.unique_topic("in"), broker.unique_topic("out")
    running = worker(_module(broker, kafka_functions, topic))
    broker.produce(topic, [("k", f"{out}|{text}") for text in OLD])
    broker.consume(out, 10)
    running.process.pause()
    # The fetch that is out may still bring some of these; the one after it comes too late.
    for text in OLD:
        broker.produce(topic, [("k", f"{out}|{text}")])
    broker.delete_records(topic, before={0: 20})

    running.process.resume()

    status = wait_until(lambda: running.process.exit_status, "the end of the worker")
    assert status == 1
    text = running.output()
    assert "SF3003: ingress 't/lines' cannot go on: the broker does not have topic" in text
    assert (
        "start with a new state folder (--state-dir) and a startupPosition of your choice" in text
    )
    assert "Traceback" not in text


def test_a_topic_partition_that_is_added_between_two_runs_is_read_from_its_beginning(
    broker: KafkaBroker, worker: Workers, kafka_functions: FaultyProcess
) -> None:
    topic, out = broker.unique_topic("in"), broker.unique_topic("out")
    module = documents(
        endpoint(kafka_functions.url, "t/*"),
        kafka_ingress(broker.bootstrap, "lines", {topic: ["echo"]}, startup="type: latest"),
        kafka_egress(broker.bootstrap),
    )
    running = worker(module)
    running.process.wait_for_line("reads 1 topic partitions")
    running.stop_cleanly()
    _add_partition(broker, topic)
    broker.client.produce(topic, [("k", f"{out}|a")], partition=1)

    running.start()

    assert broker.consume(out, 1)[0].value == b"echo a 1"


def _add_partition(broker: KafkaBroker, topic: str) -> None:
    from confluent_kafka.admin import AdminClient, NewPartitions

    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    admin.create_partitions([NewPartitions(topic, 2)])[topic].result(10)
