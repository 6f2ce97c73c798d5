"""Where an egress keeps how far it has published, on a cluster of several brokers."""

import re
from collections.abc import Callable, Iterator

import pytest

from tests.conftest import skip_or_fail
from tests.integration.applications import documents, endpoint, kafka_egress, kafka_ingress
from tests.support.http.faulty_process import FaultyProcess
from tests.support.kafka.three import ThreeBrokers
from tests.support.processes import wait_until
from tests.support.provisions import Unavailable
from tests.support.worker import Worker

pytestmark = [pytest.mark.integration, pytest.mark.kafka]

EXACTLY = "type: exactly-once, transactionTimeout: 1min"


@pytest.fixture(scope="module")
def three(pytestconfig: pytest.Config) -> Iterator[ThreeBrokers]:
    try:
        cluster = ThreeBrokers()
    except Unavailable as error:
        skip_or_fail(pytestconfig, "Kafka", error)
    with cluster:
        yield cluster


def test_the_progress_topic_has_as_many_replicas_as_the_cluster_s_own_and_says_which_are_away(
    three: ThreeBrokers,
    worker: Callable[..., Worker],
    kafka_functions: FaultyProcess,
) -> None:
    topic, out = (three.client.create_topic_on(name, 1, 2) for name in ("in", "out"))

    def started(name: str) -> Worker:
        running = worker(
            documents(
                endpoint(kafka_functions.url, "t/*"),
                kafka_ingress(three.bootstrap, name, {topic: ["echo"]}, group=name),
                kafka_egress(three.bootstrap, EXACTLY),
            )
        )
        running.process.wait_for(
            lambda: running.metrics().total("statefun_egress_records_total"), "a record that left"
        )
        return running

    three.client.produce(topic, [("k", f"{out}|a")])
    whole = started("first")
    (first,) = three.client.replicas("progress").items()
    assert first[1] == three.client.replicas("__consumer_offsets")["__consumer_offsets"] == 3
    whole.stop_cleanly()
    assert "replication factor" not in whole.output()

    # A broker that is merely away is given its replica, too, and the line says what is not in sync.
    three.stop(3)
    three.wait_for(2)
    away = started("second")
    says = r"egress t/records has a progress topic of which 2 of 3 replicas are in sync: statefun-progress-"
    away.process.wait_for_line(says)
    assert list(three.client.replicas("progress").values()) == [3, 3]

    three.start(3)
    three.wait_for(3)
    three.client.produce(topic, [("k", f"{out}|b")])
    assert len(three.client.consume(out, 3)) == 3
    wait_until(lambda: three.client.in_sync("progress") == [3, 3], "all of them in sync")
    away.stop_cleanly()
    told = len(re.findall(says, away.output()))
    away.start()
    three.client.produce(topic, [("k", f"{out}|c")])
    assert len(three.client.consume(out, 4)) == 4
    away.stop_cleanly()
    assert len(re.findall(says, away.output())) == told
