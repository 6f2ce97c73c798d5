"""From topic to topic on a real broker: routing, order, skips, stops, and the egress's semantics."""

from collections.abc import Callable, Iterable

import pytest

from tests.conftest import Command
from tests.integration.applications import documents, endpoint, kafka_egress, kafka_ingress
from tests.support.http.faulty_process import KAFKA_GREETER, FaultyProcess
from tests.support.kafka.broker import KafkaBroker
from tests.support.kafka.client import Record
from tests.support.processes import Process, wait_until
from tests.support.sockets import free_port
from tests.support.stock_sdk import FUNCTIONS
from tests.support.worker import Worker

pytestmark = [pytest.mark.integration, pytest.mark.kafka]

Workers = Callable[..., Worker]


def _module(broker: KafkaBroker, served: FaultyProcess, topic: str, **settings: str) -> str:
    return documents(
        endpoint(served.url, "t/*"),
        kafka_ingress(broker.bootstrap, "lines", {topic: ["echo"]}),
        kafka_egress(broker.bootstrap, **settings),
    )


def _texts(records: Iterable[Record]) -> list[str]:
    return [(record.value or b"").decode() for record in records]


def _lines(out: str, keys: Iterable[str], texts: Iterable[str]) -> list[tuple[str, str]]:
    return [(key, f"{out}|{text}") for text in texts for key in keys]


def _greets(broker: KafkaBroker, worker: Workers, url: str, name: str) -> None:
    """The greeter of the StateFun README, whose topic of greetings is shared by all that call this."""
    names = broker.unique_topic("names")
    if "greetings" not in broker.client.admin().list_topics(timeout=5).topics:
        broker.create_topic("greetings")
    ingress = f"""\
kind: io.statefun.kafka.v1/ingress
spec:
  id: example/names
  address: {broker.bootstrap}
  consumerGroupId: greeter
  startupPosition: {{type: earliest}}
  topics:
    - topic: {names}
      valueType: example/GreetRequest
      targets: [example/person]
"""
    egress = kafka_egress(broker.bootstrap).replace("t/records", "example/greets")
    worker(documents(endpoint(url, "example/*"), ingress, egress))
    broker.produce(names, [(name, f'{{"name": "{name}"}}')] * 3)

    def greeted() -> list[Record] | None:
        mine = [r for r in broker.client.read_all("greetings") if r.key == name.encode()]
        return mine if len(mine) >= 3 else None

    assert _texts(wait_until(greeted, "three greetings")) == [
        f"Welcome {name}",
        f"Nice to see you again {name}",
        f"Third time is a charm {name}",
    ]


def test_our_sdk_greets_from_topic_to_topic(
    broker: KafkaBroker, worker: Workers, functions: Callable[..., FaultyProcess]
) -> None:
    _greets(broker, worker, functions(KAFKA_GREETER).url, "Bob")


@pytest.mark.stock_sdk
def test_the_stock_python_sdk_greets_from_topic_to_topic(
    broker: KafkaBroker,
    worker: Workers,
    stock_python: Command,
    serve_command: Callable[..., Process],
) -> None:
    port = free_port()
    serve_command(stock_python(FUNCTIONS / "greeter_stock.py", port, "kafka"), port)
    _greets(broker, worker, f"http://127.0.0.1:{port}/statefun", "Ada")


@pytest.mark.stock_sdk
def test_the_stock_javascript_sdk_greets_from_topic_to_topic(
    broker: KafkaBroker, worker: Workers, stock_js: Command, serve_command: Callable[..., Process]
) -> None:
    port = free_port()
    serve_command(stock_js(FUNCTIONS / "greeter_stock.js", port, "kafka"), port)
    _greets(broker, worker, f"http://127.0.0.1:{port}/statefun", "Eve")


def test_each_topic_goes_to_its_targets(
    broker: KafkaBroker, worker: Workers, kafka_functions: FaultyProcess
) -> None:
    first, second = broker.unique_topic("first"), broker.unique_topic("second", 2)
    out = broker.unique_topic("out")
    topics = {first: ["one", "both"], second: ["both"]}
    worker(
        documents(
            endpoint(kafka_functions.url, "t/*"),
            kafka_ingress(broker.bootstrap, "lines", topics),
            kafka_egress(broker.bootstrap),
        )
    )

    broker.produce(first, [("k", f"{out}|a")])
    broker.consume(out, 2)
    broker.produce(second, [("k", f"{out}|b")])

    assert sorted(_texts(broker.consume(out, 3))) == ["both a 1", "both b 2", "one a 1"]


def test_records_of_one_key_are_processed_in_order_and_once(
    broker: KafkaBroker, worker: Workers, kafka_functions: FaultyProcess
) -> None:
    topic, out = broker.unique_topic("in", 3), broker.unique_topic("out", 3)
    keys = [f"key{n}" for n in range(20)]
    broker.produce(topic, _lines(out, keys, map(str, range(50))))
    worker(_module(broker, kafka_functions, topic))

    records = broker.consume(out, 1000)

    for key in keys:
        mine = [r for r in records if r.key == key.encode()]
        assert _texts(mine) == [f"echo {n} {n + 1}" for n in range(50)]
        assert len({r.partition for r in mine}) == 1


def test_records_without_key_or_value_are_skipped_counted_and_named(
    broker: KafkaBroker, worker: Workers, kafka_functions: FaultyProcess
) -> None:
    topic, out = broker.unique_topic("in"), broker.unique_topic("out")
    line = f"{out}|a"
    broker.produce(topic, [("k", line), (None, line), ("k", None), (None, None), ("k", line)])
    broker.produce(topic, [(b"", line), (b"\xff\xfe", line)])
    running = worker(_module(broker, kafka_functions, topic))

    records = broker.consume(out, 4)

    assert sorted(_texts(records)) == ["echo a 1", "echo a 1", "echo a 1", "echo a 2"]
    # An empty key is an empty id, and leaves as no key; bytes that are no text become U+FFFD.
    assert {r.key for r in records} == {b"k", None, "��".encode()}
    for offset, defect in ((1, "key"), (2, "value"), (3, "key")):
        where = f"topic {topic}, partition 0, offset {offset}: it has no {defect}"
        assert f"ingress t/lines skipped a record: {where}" in running.output()
    metrics = running.metrics()
    assert metrics.total("statefun_ingress_skipped_total", reason="no-key") == 2
    assert metrics.total("statefun_ingress_skipped_total", reason="no-value") == 1


def test_records_for_a_function_type_that_nobody_serves_are_skipped_and_counted(
    broker: KafkaBroker, worker: Workers, kafka_functions: FaultyProcess
) -> None:
    topic, out = broker.unique_topic("in"), broker.unique_topic("out")
    broker.produce(topic, [("k", f"{out}|a"), ("k", f"{out}|b")])
    running = worker(
        documents(
            endpoint(kafka_functions.url, "t/served"),
            kafka_ingress(
                broker.bootstrap, "lines", {topic: ["served", "unknown"]}, unserved=["unknown"]
            ),
            kafka_egress(broker.bootstrap),
        )
    )

    assert _texts(broker.consume(out, 2)) == ["served a 1", "served b 2"]
    skipped = running.metrics().total("statefun_ingress_skipped_total", reason="unknown-function")
    assert skipped == 2
    assert "no endpoint serves its function type t/unknown" in running.output()


def test_a_clean_stop_in_the_middle_loses_and_doubles_nothing(
    broker: KafkaBroker, worker: Workers, functions: Callable[..., FaultyProcess]
) -> None:
    served = functions("tests.integration.scripted:kafka", plan="every7*slow:0.05")
    topic, out = broker.unique_topic("in", 2), broker.unique_topic("out", 2)
    keys = [f"key{n}" for n in range(30)]
    running = worker(_module(broker, served, topic), arguments=["--stop-timeout", "2s"])
    for part in range(3):
        texts = [str(n) for n in range(part * 10, part * 10 + 10)]
        broker.produce(topic, _lines(out, keys, texts))
        wanted = part * 300 + 20
        wait_until(lambda wanted=wanted: _count(broker, out) >= wanted, "the first of them")
        running.restart()

    records = broker.consume(out, 900)
    running.stop_cleanly()

    assert len(broker.client.read_all(out)) == 900
    for key in keys:
        mine = [r for r in records if r.key == key.encode()]
        assert _texts(mine) == [f"echo {n} {n + 1}" for n in range(30)]
    # The group is told, for people to see.
    assert broker.client.committed_offsets("tests", topic) == broker.end_offsets(topic)


def _count(broker: KafkaBroker, topic: str) -> int:
    return sum(broker.end_offsets(topic).values())


@pytest.mark.parametrize(
    "delivery",
    ["type: none", "type: exactly-once, transactionTimeout: 1min"],
    ids=["none", "exactly"],
)
def test_an_egress_of_another_semantic_delivers_too(
    broker: KafkaBroker, worker: Workers, kafka_functions: FaultyProcess, delivery: str
) -> None:
    topic, out = broker.unique_topic("in"), broker.unique_topic("out")
    running = worker(_module(broker, kafka_functions, topic, delivery=delivery))

    broker.produce(topic, _lines(out, ["k"], map(str, range(100))))

    assert _texts(broker.consume(out, 100)) == [f"echo {n} {n + 1}" for n in range(100)]
    running.stop_cleanly()


def test_a_topic_that_does_not_exist_yet_is_waited_for(
    broker: KafkaBroker, worker: Workers, kafka_functions: FaultyProcess
) -> None:
    out = broker.unique_topic("out")
    topic = out.replace("out", "later")
    running = worker(_module(broker, kafka_functions, topic))
    running.process.wait_for_line(rf"ingress t/lines waits: topic '{topic}' does not exist")
    assert running.is_ready()

    # It is made by whoever asks for it first.
    broker.produce(topic, [("k", f"{out}|a")])

    assert _texts(broker.consume(out, 1)) == ["echo a 1"]
