"""A shadow runs beside its original on a real broker, and `compare` tells whether both say the same."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from confluent_kafka import Producer

from tests.integration.applications import documents, endpoint, kafka_egress, kafka_ingress
from tests.support.http.faulty_process import FaultyProcess
from tests.support.kafka.broker import KafkaBroker
from tests.support.processes import wait_until
from tests.support.provisions import ROOT
from tests.support.sockets import http_get
from tests.support.worker import Worker

pytestmark = [pytest.mark.integration, pytest.mark.kafka]

Workers = Callable[..., Worker]
EXACTLY_ONCE = "type: exactly-once, transactionTimeout: 1min"


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "statefun_runtime.cli", *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def module(broker: KafkaBroker, url: str, topic: str, group: str, delivery: str) -> str:
    return documents(
        endpoint(url, "t/*"),
        kafka_ingress(broker.bootstrap, "lines", {topic: ["echo"]}, group=group),
        kafka_egress(broker.bootstrap, delivery),
    )


@pytest.mark.parametrize(
    "delivery", ["type: at-least-once", EXACTLY_ONCE], ids=["least", "exactly"]
)
def test_a_shadow_says_the_same_to_topics_of_its_own(
    broker: KafkaBroker,
    worker: Workers,
    kafka_functions: FaultyProcess,
    delivery: str,
    tmp_path: Path,
) -> None:
    topic, out = broker.unique_topic("in", 2), broker.unique_topic("out", 2)
    broker.create_topic(f"{out}.shadow", 3)
    group = f"group-{out}"
    text = module(broker, kafka_functions.url, topic, group, delivery)
    broker.produce(topic, [(f"k{n % 7}", f"{out}|{n}") for n in range(100)])

    original = worker(text)
    broker.consume(out, 100)
    before = broker.client.end_offsets(out)
    shadow = worker(text, arguments=["--shadow", "--egress-suffix", ".shadow"])
    broker.consume(f"{out}.shadow", 100)

    assert broker.client.end_offsets(out) == before
    compared = run("compare", out, f"{out}.shadow", "--kafka", broker.bootstrap)
    assert compared.stdout.splitlines() == [
        f"{out}: 100 records; {out}.shadow: 100 records",
        "7 keys: 7 same",
        "they say the same",
    ], compared.stderr
    assert compared.returncode == 0
    assert (
        "SHADOW: another worker or Flink does the work; records go to topics *.shadow"
        in shadow.output()
    )
    status = http_get(f"http://127.0.0.1:{shadow.metrics_port}/readyz")
    assert status is not None
    assert json.loads(status[1]) == {"ready": True, "reasons": [], "waits": [], "shadow": True}
    assert shadow.metrics()["statefun_shadow"] == 1
    assert original.metrics()["statefun_shadow"] == 0
    told = run("status", "--state-dir", shadow.state_dir)
    assert (
        "SHADOW       of an application that works elsewhere: records go to topics *.shadow"
        in told.stdout
    )
    wait_until(
        lambda: sum(broker.client.committed_offsets(group, topic).values()) == 100, "offsets"
    )
    wait_until(
        lambda: sum(broker.client.committed_offsets(f"{group}-shadow", topic).values()) == 100,
        "offsets of the shadow",
    )
    shadow.kill9()
    shadow.start()
    broker.produce(topic, [("k0", f"{out}|last")])
    broker.consume(f"{out}.shadow", 101)
    broker.consume(out, 101)
    assert run("compare", out, f"{out}.shadow", "--kafka", broker.bootstrap).returncode == 0


def test_a_shadow_without_a_suffix_counts_and_sends_nothing(
    broker: KafkaBroker, worker: Workers, kafka_functions: FaultyProcess
) -> None:
    topic, out = broker.unique_topic("in"), broker.unique_topic("out")
    broker.produce(topic, [(f"k{n}", f"{out}|{n}") for n in range(50)])
    text = module(broker, kafka_functions.url, topic, out, EXACTLY_ONCE)
    topics = set(broker.client.admin().list_topics(timeout=5).topics)

    shadow = worker(text, arguments=["--shadow", "--checkpoint-interval", "50ms"])

    wait_until(lambda: shadow.metrics().total("statefun_egress_counted_total") == 50, "50 counted")
    shadow.stop_cleanly()
    assert broker.client.end_offsets(out) == {0: 0}
    assert set(broker.client.admin().list_topics(timeout=5).topics) <= topics | {
        "__consumer_offsets"
    }
    refused = run("--module", shadow.module_file, "--state-dir", shadow.state_dir)
    assert refused.returncode == 2
    assert refused.stderr.startswith(f"SF1135: the state in {shadow.state_dir} is a shadow's")


def test_differences_are_counted_and_the_first_is_named(broker: KafkaBroker) -> None:
    first, second = broker.unique_topic("first"), broker.unique_topic("second")
    broker.produce(first, [("a", "1"), ("b", "1"), ("a", "2"), ("b", "2"), ("c", "1"), (None, "x")])
    broker.produce(
        second, [("b", "2"), ("a", "1"), ("b", "1"), ("a", "3"), (None, "x"), ("c", "1")]
    )

    told = run("compare", first, second, "--kafka", broker.bootstrap)

    assert told.returncode == 1
    lines = told.stdout.splitlines()
    assert lines[0] == f"{first}: 6 records; {second}: 6 records"
    assert lines[1].startswith("4 keys: 2 same, 1 ")
    assert lines[2] == f"1 values are in {first} alone, 1 in {second} alone"
    assert sorted(lines[3:5]) == [
        f"  a  differs, 1 missing, 1 additional; at {first} 0/2, {second} 0/3",
        f"  b  other order; at {first} 0/1, {second} 0/0",
    ]
    assert lines[5:] == [
        f"first difference: key b, at {first} 0/1, {second} 0/0",
        "they do NOT say the same",
    ]
    document = json.loads(
        run("compare", first, second, "--kafka", broker.bootstrap, "--format", "json").stdout
    )
    assert document["same"] is False
    assert document["records"] == [6, 6]
    assert (document["missing"], document["additional"]) == (1, 1)
    assert document["first_difference"] == {
        "key": "b",
        "verdict": "reordered",
        "missing": 0,
        "additional": 0,
        "first": {"partition": 0, "offset": 1},
        "second": {"partition": 0, "offset": 0},
    }


def test_what_is_compared_can_begin_and_end_anywhere(broker: KafkaBroker) -> None:
    first, second = broker.unique_topic("first", 2), broker.unique_topic("second")
    broker.client.produce(first, [("a", "0"), ("a", "1")], partition=0)
    broker.client.produce(first, [("b", "0"), ("b", "1"), ("b", "2")], partition=1)
    broker.produce(second, [("a", "1"), ("b", "1")])

    def compare(*flags: str) -> int:
        return run("compare", first, second, "--kafka", broker.bootstrap, *flags).returncode

    assert compare() == 1
    assert compare("--start", f"{first}=0:1,1:1", "--end", f"{first}=1:2") == 0
    assert compare("--start", f"{first}=0:1,1:1") == 1
    assert compare("--start", f"{first}=0:1,1:1", "--open-end") == 0
    assert compare("--open-start", "--open-end") == 0
    # Nothing of either is that young.
    assert compare("--start", "2099-01-01T00:00") == 0


def test_fields_that_may_differ_are_left_out(broker: KafkaBroker) -> None:
    first, second = broker.unique_topic("first"), broker.unique_topic("second")
    broker.produce(first, [("a", '{"n": 1, "at": 5, "meta": {"host": "x", "v": 1}}')])
    broker.produce(second, [("a", '{"at": 6, "n": 1, "meta": {"host": "y", "v": 1}}')])
    ignored = ("--ignore", "at", "--ignore", "meta.host")

    def compare(*flags: str) -> int:
        return run("compare", first, second, "--kafka", broker.bootstrap, *flags).returncode

    assert compare() == 1
    assert compare("--ignore", "at") == 1
    assert compare(*ignored) == 0


def test_what_was_aborted_is_not_compared(broker: KafkaBroker) -> None:
    first, second = broker.unique_topic("first"), broker.unique_topic("second")
    settings = {"bootstrap.servers": broker.bootstrap, "transactional.id": first, "log_level": 0}
    producer = Producer(settings)
    producer.init_transactions(30)
    for value, end in (("1", producer.commit_transaction), ("x", producer.abort_transaction)):
        producer.begin_transaction()
        producer.produce(first, value, "a")
        producer.flush(30)
        end(30)
    broker.produce(second, [("a", "1")])

    told = run("compare", first, second, "--kafka", broker.bootstrap)
    assert (told.returncode, told.stdout.splitlines()[0]) == (
        0,
        f"{first}: 1 records; {second}: 1 records",
    )


def test_what_is_not_there_is_named(broker: KafkaBroker) -> None:
    first = broker.unique_topic("first")
    broker.produce(first, [("a", "1")])
    told = run("compare", first, f"{first}.shadow", "--kafka", broker.bootstrap)
    assert (told.returncode, told.stderr) == (
        2,
        f"SF1136: there is no topic '{first}.shadow' at {broker.bootstrap}\nhint: a shadow makes TOPIC.shadow only with "
        "--egress-suffix .shadow, and where topics may be made by themselves; else make it first\n",
    )
    told = run("compare", first, first, "--kafka", "127.0.0.1:9")
    assert told.returncode == 1
    assert told.stderr.startswith("SF3031: topics at 127.0.0.1:9 cannot be read: ")


def test_a_shadow_is_refused_where_its_original_has_run_once(
    broker: KafkaBroker, worker: Workers, kafka_functions: FaultyProcess
) -> None:
    topic, out = broker.unique_topic("in"), broker.unique_topic("out")
    original = worker(module(broker, kafka_functions.url, topic, out, EXACTLY_ONCE))
    original.stop_cleanly()
    refused = run("--shadow", "--module", original.module_file, "--state-dir", original.state_dir)
    assert refused.returncode == 2
    assert refused.stderr.startswith(
        f"SF1135: the state in {original.state_dir} is of an application that is no shadow"
    )
    original.start()
    original.stop_cleanly()


def test_a_shadow_begins_with_what_was_imported_and_nobody_else_goes_on_there(
    broker: KafkaBroker, worker: Workers, kafka_functions: FaultyProcess, tmp_path: Path
) -> None:
    topic, out = broker.unique_topic("in"), broker.unique_topic("out")
    broker.produce(topic, [("k", f"{out}|{n}") for n in range(5)])
    seed = tmp_path / "seed.jsonl"
    seed.write_text(
        '{"kind":"application","format":1}\n'
        f'{{"kind":"position","ingress":"t/lines","split":"{topic}/0","position":3}}\n'
        '{"kind":"state","type":"t/echo","id":"k","name":"seen","typename":"t/value","value":"Nw=="}\n'
    )
    text = module(broker, kafka_functions.url, topic, out, EXACTLY_ONCE)
    shadow = Worker(text, tmp_path / "shadow", arguments=["--shadow", "--egress-suffix", ".s"])
    broker.create_topic(f"{out}.s")
    assert run("state", "import", seed, "--state-dir", shadow.state_dir).returncode == 0
    try:
        shadow.start()
        values = [record.value for record in broker.consume(f"{out}.s", 2)]
        assert values == [b"echo 3 8", b"echo 4 9"]
        shadow.stop_cleanly()
    finally:
        shadow.close()
    assert broker.client.end_offsets(out) == {0: 0}
    refused = run("--module", shadow.module_file, "--state-dir", shadow.state_dir)
    assert refused.stderr.startswith(f"SF1135: the state in {shadow.state_dir} is a shadow's")
