"""A broker that is not there, and one that goes away and comes back."""

import time
from collections.abc import Callable

import pytest

from tests.integration.applications import documents, endpoint, kafka_egress, kafka_ingress
from tests.support.http.faulty_process import FaultyProcess
from tests.support.kafka.broker import KafkaBroker
from tests.support.processes import wait_until
from tests.support.worker import Worker

pytestmark = [pytest.mark.integration, pytest.mark.kafka]

Workers = Callable[..., Worker]


def _module(
    broker: KafkaBroker, served: FaultyProcess, topic: str, *, transport: str = "call: 1s"
) -> str:
    return documents(
        endpoint(served.url, "t/*", transport=transport),
        kafka_ingress(broker.bootstrap, "lines", {topic: ["echo"]}),
        kafka_egress(broker.bootstrap),
    )


def test_a_broker_that_is_not_there_is_waited_for_and_the_worker_says_so(
    ours: KafkaBroker, worker: Workers, kafka_functions: FaultyProcess
) -> None:
    topic, out = ours.unique_topic("in"), ours.unique_topic("out")
    ours.produce(topic, [("k", f"{out}|a")])
    ours.stop()
    running = worker(_module(ours, kafka_functions, topic), is_ready_awaited=False)
    running.process.wait_for_line(rf"ingress t/lines waits: broker {ours.bootstrap}: .*")
    running.process.wait_for_line(rf"egress t/records waits: broker {ours.bootstrap}: .*")
    since_s = time.monotonic()
    running.stop_cleanly()
    assert time.monotonic() - since_s < 2.0
    running.start(is_ready_awaited=False)

    ours.start()

    assert ours.consume(out, 1)[0].value == b"echo a 1"
    assert "Traceback" not in running.output()
    assert "Unclosed" not in running.output()


def test_a_broker_that_restarts_while_the_worker_runs_costs_nothing(
    ours: KafkaBroker, worker: Workers, kafka_functions: FaultyProcess
) -> None:
    topic, out = ours.unique_topic("in", 2), ours.unique_topic("out", 2)
    running = worker(_module(ours, kafka_functions, topic))
    texts = [str(n) for n in range(500)]
    keys = [f"key{n}" for n in range(4)]
    ours.produce(topic, [(key, f"{out}|{text}") for text in texts[:250] for key in keys])
    wait_until(lambda: sum(ours.end_offsets(out).values()) >= 1, "the first record")

    ours.restart()
    ours.produce(topic, [(key, f"{out}|{text}") for text in texts[250:] for key in keys])

    wanted = {(key, f"echo {n} {n + 1}") for key in keys for n in range(500)}

    def all_there() -> bool:
        records = ours.client.read_all(out)
        found = {((r.key or b"").decode(), (r.value or b"").decode()) for r in records}
        assert found <= wanted
        return found == wanted

    wait_until(all_there, "all records")
    running.stop_cleanly()
    assert "Traceback" not in running.output()


def test_a_record_that_could_not_leave_before_a_clean_stop_leaves_after_the_next_start(
    ours: KafkaBroker, worker: Workers, kafka_functions: FaultyProcess
) -> None:
    topic, out = ours.unique_topic("in"), ours.unique_topic("out")
    module = _module(ours, kafka_functions, topic, transport="call: 30s")
    running = worker(module, arguments=["--stop-timeout", "1s"])
    ours.produce(topic, [("k", f"{out}|a")])
    ours.consume(out, 1)
    kafka_functions.set_plan(f"1*hang@{out}|empty")
    ours.produce(topic, [("k", f"{out}|empty")])
    wait_until(lambda: _received(running) >= 2, "the second record")
    ours.stop()
    # Only now does the function answer: the broker cannot have heard of the record.
    kafka_functions.drop_connections()
    wait_until(lambda: _waiting(running) == 1, "the record at the egress")

    running.stop_cleanly(timeout_s=10)

    assert "have not left; they are kept for the next start" in running.output()
    assert f"could not tell its consumer group: broker {ours.bootstrap}: " in running.output()
    assert "Traceback" not in running.output()
    ours.start()
    running.start()
    assert [r.value for r in ours.consume(out, 2)] == [b"echo a 1", b""]


def _received(running: Worker) -> float:
    return running.metrics().total("statefun_ingress_records_total")


def _waiting(running: Worker) -> float:
    return running.metrics().total("statefun_egress_waiting")
