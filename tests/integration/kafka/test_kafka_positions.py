"""Where a Kafka ingress begins, and what happens when that place does not exist."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from confluent_kafka import Consumer, KafkaException, TopicPartition

from tests.integration.applications import documents, endpoint, kafka_egress, kafka_ingress
from tests.support.http.faulty_process import FaultyProcess
from tests.support.kafka.broker import KafkaBroker
from tests.support.processes import wait_until
from tests.support.sockets import free_port, http_get
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


def _module(broker: KafkaBroker, served: FaultyProcess, *topics: str) -> str:
    targets = {topic: ["echo"] for topic in topics}
    return documents(
        endpoint(served.url, "t/*"),
        kafka_ingress(broker.bootstrap, "lines", targets, reset="earliest"),
        kafka_egress(broker.bootstrap),
    )


def test_a_position_that_vanished_waits_alone_until_a_person_says_where_to_go_on(
    broker: KafkaBroker, worker: Workers, kafka_functions: FaultyProcess
) -> None:
    topic, other, out = (broker.unique_topic(stem) for stem in ("in", "other", "out"))
    running = worker(_module(broker, kafka_functions, topic, other))
    broker.produce(topic, [("k", f"{out}|{text}") for text in OLD])
    broker.consume(out, 10)
    running.stop_cleanly()
    broker.produce(topic, [("k", f"{out}|{text}") for text in OLD])
    broker.delete_records(topic, before={0: 15})

    running.start()

    running.process.wait_for_line(
        f"SF3003: ingress 't/lines' cannot go on at topic {topic}, partition 0, offset 10: the broker has "
        "offsets 15 to 20; it waits there, and the others go on; hint: to go on without what is lost, start with "
        f"--restart-topic {topic}, or with {topic}=latest to skip what is there now, too"
    )
    broker.produce(other, [("o", f"{out}|a")])
    assert broker.consume(out, 11)[-1].value == b"echo a 1"
    assert running.metrics().total("statefun_ingress_lost_splits") == 1
    answer = http_get(f"http://127.0.0.1:{running.metrics_port}/readyz")
    assert answer is not None
    assert json.loads(answer[1])["waits"] == [
        "ingress 't/lines' has 1 topic partitions whose position is lost [SF3003]"
    ]

    running.stop_cleanly()
    assert "Traceback" not in running.output()

    running.arguments = ["--restart-topic", topic]
    running.start()
    # The state is the one of before: these are numbers 11 to 15 of the key.
    texts = [(r.value or b"").decode() for r in broker.consume(out, 16)][11:]
    assert texts == [f"echo {n} {n + 6}" for n in range(5, 10)]
    assert (
        f"goes on at topic {topic}, partition 0, offset 15, and not at offset 10, as --restart-topic says: "
        "5 records are skipped, 0 may be read again"
    ) in running.output()
    metrics = running.metrics()
    assert metrics.total("statefun_ingress_lost_records_total") == 5
    assert metrics.total("statefun_ingress_lost_splits") == 0


def test_a_topic_to_restart_that_nobody_reads_is_refused_before_anything_starts(
    broker: KafkaBroker, worker: Workers, kafka_functions: FaultyProcess
) -> None:
    topic = broker.unique_topic("in")
    running = worker(
        _module(broker, kafka_functions, topic),
        arguments=["--restart-topic", "order"],
        is_ready_awaited=False,
    )

    assert running.process.wait() == 2
    assert (
        "SF1085: --restart-topic names topic 'order', which no ingress of the module reads\n"
        f"hint: it reads {topic}\n"
    ) in running.output()
    assert not running.state_dir.exists()


def test_a_position_that_vanishes_while_running_waits_alone_too(
    broker: KafkaBroker, worker: Workers, kafka_functions: FaultyProcess
) -> None:
    topic, other, out = (broker.unique_topic(stem) for stem in ("in", "other", "out"))
    running = worker(_module(broker, kafka_functions, topic, other))
    broker.produce(topic, [("k", f"{out}|{text}") for text in OLD])
    broker.consume(out, 10)
    running.process.pause()
    # The fetch that is out may still bring some of these; the one after it comes too late.
    for text in OLD:
        broker.produce(topic, [("k", f"{out}|{text}")])
    broker.delete_records(topic, before={0: 20})

    running.process.resume()

    running.process.wait_for_line(
        f"SF3003: ingress 't/lines' cannot go on at topic {topic}, partition 0, offset 1[0-9]: the broker has "
        "offsets 20 to 20; it waits there"
    )
    broker.produce(other, [("o", f"{out}|a")])
    wait_until(
        lambda: "echo a 1" in [(r.value or b"").decode() for r in broker.client.read_all(out)],
        "the record of the other topic",
    )
    running.stop_cleanly()
    running.arguments = ["--restart-topic", f"{topic}=latest"]
    running.start()
    running.process.wait_for_line(
        f"goes on at topic {topic}, partition 0, offset 20, and not at .*"
    )
    running.stop_cleanly()
    assert "Traceback" not in running.output()


def test_a_topic_that_was_made_anew_between_two_runs_is_read_from_its_beginning(
    broker: KafkaBroker, worker: Workers, kafka_functions: FaultyProcess
) -> None:
    """It holds more records than the position that the checkpoint has of the one of before."""
    topic, out = broker.unique_topic("in"), broker.unique_topic("out")
    running = worker(_module(broker, kafka_functions, topic))
    broker.produce(topic, [("k", f"{out}|{text}") for text in OLD[:3]])
    broker.consume(out, 3)
    running.stop_cleanly()
    broker.client.delete_topic(topic)
    _create_again(broker, topic)
    broker.produce(topic, [("k", f"{out}|{text}") for text in OLD])

    running.start()

    texts = [(r.value or b"").decode() for r in broker.consume(out, 13)][3:]
    assert texts == [f"echo {n} {n + 4}" for n in range(10)]
    assert (
        f"topic {topic} was made anew: partition 0 is read from offset 0 on, and not from offset 3 of the topic of "
        "before; what was not read of that is lost [SF3026]"
    ) in running.output()
    assert running.metrics().total("statefun_ingress_made_anew_total") == 1
    running.stop_cleanly()
    (position,) = [line for line in checkpoints_show(running) if line.startswith("position")]
    topic_id = broker.client.topic_id(topic)
    assert position == f"position     t/lines  {topic}/0  offset 10, topic_id {topic_id}"


def test_a_topic_that_is_made_anew_at_once_while_the_worker_runs_is_read_from_its_beginning(
    broker: KafkaBroker, worker: Workers, kafka_functions: FaultyProcess
) -> None:
    topic, out = broker.unique_topic("in"), broker.unique_topic("out")
    running = worker(_module(broker, kafka_functions, topic))
    broker.produce(topic, [("k", f"{out}|{text}") for text in OLD[:3]])
    broker.consume(out, 3)
    wait_until(lambda: running.metrics().total("statefun_ingress_records_total") == 3, "three")
    running.process.pause()
    broker.client.delete_topic(topic)
    _create_again(broker, topic)
    broker.produce(topic, [("k", f"{out}|{text}") for text in OLD])

    running.process.resume()

    def all_there() -> bool:
        texts = [(r.value or b"").decode().split()[1] for r in broker.client.read_all(out)][3:]
        # What is read of it before that is noticed is read again.
        return texts[-10:] == OLD

    wait_until(all_there, "all records of the new topic")
    running.process.wait_for_line(
        rf"topic {topic} was made anew: partition 0 is read from offset 0"
    )
    running.stop_cleanly()
    assert "Traceback" not in running.output()


def checkpoints_show(running: Worker) -> list[str]:
    command = [sys.executable, "-m", "statefun_runtime.cli", "checkpoints", "show"]
    done = subprocess.run(
        [*command, "--state-dir", running.state_dir], capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()


def _create_again(broker: KafkaBroker, topic: str) -> None:
    """Deleting takes its time after it was confirmed."""

    def create() -> bool:
        try:
            broker.create_topic(topic)
        except KafkaException:
            return False
        return True

    wait_until(create, "the topic that is made anew")


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
    broker.client.add_partitions(topic, 2)
    broker.client.produce(topic, [("k", f"{out}|a")], partition=1)

    running.start()

    assert broker.consume(out, 1)[0].value == b"echo a 1"


@pytest.mark.parametrize(
    "semantic", ["type: at-least-once", "type: exactly-once, transactionTimeout: 1min"]
)
def test_kafka_in_memory_refuses_the_state_of_a_real_broker_and_leaves_it_as_it_is(
    broker: KafkaBroker, worker: Workers, kafka_functions: FaultyProcess, semantic: str
) -> None:
    topic, out = broker.unique_topic("in"), broker.unique_topic("out")
    broker.client.produce(topic, [("k", f"{out}|one")])
    running = worker(
        documents(
            endpoint(kafka_functions.url, "t/*"),
            kafka_ingress(broker.bootstrap, "names", {topic: ["echo"]}),
            kafka_egress(broker.bootstrap, semantic),
        )
    )
    wait_until(lambda: broker.client.read_all(out), "the first record")
    running.stop_cleanly()

    arguments = list(running.arguments)
    running.arguments += ["--local-kafka", str(free_port())]
    running.start(is_ready_awaited=False)
    assert running.process.wait() == 2
    assert "SF1163" in running.output()
    assert "is to be in memory, and the state folder knows of a real broker" in running.output()

    running.arguments[:] = arguments
    broker.client.produce(topic, [("k", f"{out}|two")])
    running.start()
    wait_until(lambda: len(broker.client.read_all(out)) == 2, "the second record")
    values = [record.value for record in broker.client.read_all(out)]
    assert values == [b"echo one 1", b"echo two 2"]
