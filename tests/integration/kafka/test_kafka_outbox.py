"""The outbox of an exactly-once egress: what the broker refuses, and what it cannot take for a while."""

from collections.abc import Callable
from pathlib import Path

import pytest

from statefun_runtime.core.model.dead_letter import read_letter
from tests.integration.applications import documents, endpoint, kafka_egress, kafka_ingress
from tests.support.http.faulty_process import FaultyProcess
from tests.support.kafka.broker import KafkaBroker
from tests.support.processes import wait_until
from tests.support.sockets import free_port, http_request
from tests.support.worker import Worker

pytestmark = [pytest.mark.integration, pytest.mark.kafka]

EXACTLY_ONCE = "type: exactly-once, transactionTimeout: 10s"
Workers = Callable[..., Worker]


def test_a_record_that_the_broker_refuses_is_a_dead_letter_and_the_others_leave(
    broker: KafkaBroker, worker: Workers, kafka_functions: FaultyProcess
) -> None:
    topic, dead = broker.unique_topic("in"), broker.unique_topic("dead")
    out = broker.unique_topic("out", **{"max.message.bytes": "2000"})
    texts = ["a", "b" * 5000, "c", "d" * 5000, "e"]
    broker.produce(topic, [("k", f"{out}|{text}") for text in texts])
    egress = kafka_egress(broker.bootstrap, EXACTLY_ONCE)
    running = worker(
        documents(
            endpoint(kafka_functions.url, "t/*"),
            kafka_ingress(broker.bootstrap, "lines", {topic: ["echo"]}),
            f"{egress}  deadLetters: {{egress: t/records, topic: {dead}}}\n",
        ),
        arguments=["--checkpoint-interval", "50ms"],
    )

    assert [r.value.decode() for r in broker.consume(out, 3)] == [
        "echo a 1",
        "echo c 3",
        "echo e 5",
    ]
    letters = [read_letter(r.value) for r in broker.consume(dead, 2)]
    assert [letter.reason for letter in letters] == ["refused", "refused"]
    origin = letters[0].origin
    assert origin is not None
    assert (origin.component, origin.split, origin.key) == ("egress t/records", out, b"k")
    assert origin.value == f"echo {texts[1]} 2".encode()
    # Nothing of it is done again by another life.
    running.kill9()
    running.start()
    broker.produce(topic, [("k", f"{out}|f")])
    assert [r.value.decode() for r in broker.consume(out, 4)][3] == "echo f 6"
    assert len(broker.client.read_all(dead)) == 2


def test_an_epoch_with_many_records_ends_early(
    broker: KafkaBroker, worker: Workers, kafka_functions: FaultyProcess
) -> None:
    topic, out = broker.unique_topic("in"), broker.unique_topic("out")
    broker.produce(topic, [("k", f"{out}|{number} {'x' * 400_000}") for number in range(30)])
    worker(
        documents(
            endpoint(kafka_functions.url, "t/*"),
            kafka_ingress(broker.bootstrap, "lines", {topic: ["echo"]}),
            kafka_egress(broker.bootstrap, EXACTLY_ONCE),
        ),
        arguments=["--checkpoint-interval", "1h"],
    )

    values = [r.value.decode().split(" ")[1] for r in broker.consume(out, 12)]
    assert values[:12] == [str(number) for number in range(12)]


def test_what_a_broker_that_is_away_cannot_take_waits_on_disk_up_to_its_quota(
    ours: KafkaBroker, worker: Workers, kafka_functions: FaultyProcess, tmp_path: Path
) -> None:
    out, port = ours.unique_topic("out"), free_port()
    ours.stop()
    playground = f"kind: io.statefun.playground.v1/ingress\nspec: {{port: {port}}}\n"
    running = worker(
        documents(
            endpoint(kafka_functions.url, "t/*", transport="call: 5s"),
            playground,
            kafka_egress(ours.bootstrap, EXACTLY_ONCE),
        ),
        arguments=[
            *("--checkpoint-interval", "100ms"),
            *("--set", "statefun.runtime.outbox.max-disk-bytes=16mb"),
        ],
    )
    running.process.wait_for_port(port)
    filler = "x" * 500_000

    def put(number: int) -> int:
        text = f"{out}|{number} {filler}".encode()
        headers = {"Content-Type": "application/vnd.t/line"}
        answer = http_request("PUT", f"http://127.0.0.1:{port}/t/echo/k", text, headers=headers)
        assert answer is not None
        return answer[0]

    count = 0
    while put(count) == 200:
        count += 1
        assert count < 400, "nothing is held back"
        if count % 10 == 0:
            wait_until(
                lambda: running.metrics().total("statefun_functions_numBacklog") == 0,
                "what came in has gone through",
            )
    # 32 MiB are in memory and 16 on disk.
    assert count > 90
    wait_until(
        lambda: "bytes wait in outboxes on disk (limit 16777216)" in running.output(),
        "the line that says why",
    )
    running.kill9()
    ours.start()
    running.start()

    values = [r.value.decode() for r in ours.consume(out, count)]
    assert [value.split(" ")[1] for value in values] == [str(number) for number in range(count)]
    assert [value.rsplit(" ")[-1] for value in values] == [str(n) for n in range(1, count + 1)]


def test_records_of_an_egress_that_is_gone_are_dropped_when_the_operator_says_so(
    ours: KafkaBroker, worker: Workers, kafka_functions: FaultyProcess
) -> None:
    topic, out = ours.unique_topic("in"), ours.unique_topic("out")
    served = endpoint(kafka_functions.url, "t/*")
    ingress = kafka_ingress(ours.bootstrap, "lines", {topic: ["echo"]})
    egress = kafka_egress(ours.bootstrap, EXACTLY_ONCE)
    ours.produce(topic, [("k", f"{out}|a")])
    running = worker(
        documents(served, ingress, egress.replace(ours.bootstrap, "127.0.0.1:1")),
        arguments=["--checkpoint-interval", "50ms", "--stop-timeout", "1s"],
    )
    waiting = lambda: running.metrics().total("statefun_egress_waiting") == 1  # noqa: E731
    wait_until(waiting, "a record that cannot leave")
    running.stop_cleanly()
    running.module_file.write_text(documents(served, ingress))
    running.start(is_ready_awaited=False)
    assert running.process.wait() == 2
    assert (
        "SF1047: egress 't/records' is not in the module any more, but has 1 records that may not have left\n"
        "hint: put it back until they have left, or drop them with --abandon-egress t/records\n"
    ) in running.output()

    running.arguments += ["--abandon-egress", "t/records"]
    running.start()
    ours.produce(topic, [("k", f"{out}|b")])
    epoch = running.metrics().total("statefun_checkpoint_epoch")
    wait_until(
        lambda: running.metrics().total("statefun_checkpoint_epoch") > epoch,
        "a checkpoint without it",
    )
    running.stop_cleanly()
    running.arguments = running.arguments[:-2]

    # The next start has nothing to ask about any more.
    running.start()
