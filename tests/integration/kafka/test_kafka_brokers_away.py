"""Brokers that die under a running worker, and topics that go away and come back."""

import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from confluent_kafka import Producer

from tests.integration.applications import documents, endpoint, kafka_egress, kafka_ingress
from tests.support.http.faulty_process import FaultyProcess
from tests.support.kafka.broker import KafkaBroker
from tests.support.processes import wait_until
from tests.support.sockets import http_get
from tests.support.worker import Worker

pytestmark = [pytest.mark.integration, pytest.mark.kafka]

Workers = Callable[..., Worker]
EXACTLY = "type: exactly-once, transactionTimeout: 1min"


def _module(
    broker: KafkaBroker, served: FaultyProcess, *topics: str, delivery: str = EXACTLY
) -> str:
    return documents(
        endpoint(served.url, "t/*"),
        kafka_ingress(broker.bootstrap, "lines", {topic: ["echo"] for topic in topics}),
        kafka_egress(broker.bootstrap, delivery),
    )


@pytest.mark.parametrize("delivery", [EXACTLY, "type: at-least-once"])
@pytest.mark.parametrize("how", ["kill", "pause"])
def test_a_broker_that_dies_is_told_by_ingress_and_egress_and_so_is_its_return(
    ours: KafkaBroker, worker: Workers, kafka_functions: FaultyProcess, how: str, delivery: str
) -> None:
    topic, out = ours.unique_topic("in"), ours.unique_topic("out")
    running = worker(_module(ours, kafka_functions, topic, delivery=delivery))
    ours.produce(topic, [("k", f"{out}|a")])
    ours.consume(out, 1)
    wait_until(lambda: _connected(running) == [1.0, 1.0], "both connected")
    assert running.metrics().total("statefun_ingress_lag") == 0

    since_s = time.monotonic()
    getattr(ours, how)()

    silent = rf"has had no answer of {ours.bootstrap} since \d\d:\d\d:\d\d: "
    running.process.wait_for_line(
        f"ingress t/lines {silent}nothing is read, nobody knows how much waits"
    )
    running.process.wait_for_line(f"egress t/records {silent}0 records wait to leave")
    assert time.monotonic() - since_s < 10
    assert _connected(running) == [0.0, 0.0]
    status, ready = _readyz(running)
    assert (status, ready["ready"], ready["waits"]) == (503, False, [])
    (reason,) = ready["reasons"]
    assert re.fullmatch(rf"ingress 't/lines' {silent.removesuffix(': ')}", reason)
    # Unknown is not none.
    assert not [name for name in running.metrics() if "ingress_lag" in name]

    ours.start() if how == "kill" else ours.resume()

    for who in ("ingress t/lines", "egress t/records"):
        running.process.wait_for_line(rf"{who} reaches its brokers again, after \d+ s")
    assert _readyz(running) == (200, {"ready": True, "reasons": [], "waits": []})
    ours.produce(topic, [("k", f"{out}|b")])
    assert [r.value for r in ours.consume(out, 2)] == [b"echo a 1", b"echo b 2"]
    running.stop_cleanly()
    for words in ("has had no answer", "reaches its brokers again"):
        assert running.output().count(words) == 2, words


def _readyz(running: Worker) -> tuple[int, dict[str, Any]]:
    answer = http_get(f"http://127.0.0.1:{running.metrics_port}/readyz")
    assert answer is not None
    return answer[0], json.loads(answer[1])


def _connected(running: Worker) -> list[float]:
    metrics = running.metrics()
    return [metrics.total(f"statefun_{noun}_connected") for noun in ("ingress", "egress")]


def test_an_input_topic_that_goes_is_not_made_again_and_the_others_go_on(
    broker: KafkaBroker, worker: Workers, kafka_functions: FaultyProcess
) -> None:
    gone, kept, out = (broker.unique_topic(stem) for stem in ("gone", "kept", "out"))
    running = worker(_module(broker, kafka_functions, gone, kept))
    broker.produce(gone, [("g", f"{out}|{n}") for n in range(5)])
    broker.consume(out, 5)

    broker.client.delete_topic(gone)

    running.process.wait_for_line(f"ingress t/lines: topic '{gone}' is gone; it is read on .*")
    broker.produce(kept, [("k", f"{out}|a")])
    assert broker.consume(out, 6)[-1].value == b"echo a 1"
    assert gone not in broker.client.admin().list_topics(timeout=10).topics

    broker.create_topic(gone)
    running.process.wait_for_line(f"ingress t/lines: topic {gone} was made anew: partition 0 .*")
    broker.produce(gone, [("g", f"{out}|new")])
    assert broker.consume(out, 7)[-1].value == b"echo new 6"
    running.stop_cleanly()
    assert running.output().count("is gone") == 1


def test_what_transactions_leave_in_a_log_is_no_lost_position(
    broker: KafkaBroker, worker: Workers, kafka_functions: FaultyProcess
) -> None:
    """Marks of commits take offsets: all records are read, and then the log is emptied."""
    first, second, out = (broker.unique_topic(stem) for stem in ("first", "second", "out"))
    before = worker(_module(broker, kafka_functions, first))
    broker.produce(first, [("k", f"{second}|{out}") for _ in range(3)])
    broker.consume(second, 3)
    before.stop_cleanly()
    end = broker.end_offsets(second)[0]
    assert end > 3

    running = worker(_module(broker, kafka_functions, second))
    wait_until(lambda: running.metrics().total("statefun_ingress_records_total") == 3, "records")
    wait_until(lambda: running.metrics().total("statefun_ingress_lag") == 0, "no lag")
    time.sleep(1.5)
    running.stop_cleanly()
    broker.delete_records(second, before={0: end})

    running.start()
    running.stop_cleanly()
    assert "SF3003" not in running.output()


def test_to_read_committed_from_now_on_while_a_transaction_is_open_loses_no_position(
    broker: KafkaBroker, worker: Workers, kafka_functions: FaultyProcess
) -> None:
    topic, out = broker.unique_topic("in"), broker.unique_topic("out")
    module = _module(broker, kafka_functions, topic, delivery="type: at-least-once")
    running = worker(module)
    with open_transaction(broker, topic, f"{out}|open"):
        broker.produce(topic, [("k", f"{out}|a")])
        broker.consume(out, 2)
        running.stop_cleanly()
        committed = module.replace(
            "  topics:\n", "  properties:\n    - isolation.level: read_committed\n  topics:\n"
        )

        running.module_file.write_text(committed)
        running.start()
        wait_until(lambda: _connected(running)[0], "the ingress")
        assert "SF3003" not in running.output()
    broker.produce(topic, [("k", f"{out}|b")])
    assert broker.consume(out, 3)[-1].value == b"echo b 3"
    running.stop_cleanly()


@contextmanager
def open_transaction(broker: KafkaBroker, topic: str, text: str) -> Iterator[None]:
    """Have a record in a transaction that is open until the block ends, and then aborted."""
    producer = Producer(
        {"bootstrap.servers": broker.bootstrap, "transactional.id": f"open-{topic}"}
    )
    producer.init_transactions(10)
    producer.begin_transaction()
    producer.produce(topic, text.encode(), b"k", partition=0)
    producer.flush(10)
    yield
    producer.abort_transaction(10)
