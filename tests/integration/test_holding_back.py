"""What a slow function does to the ingresses when little memory may be used: they wait, and nothing is lost."""

import json
import urllib.error
import urllib.request
from collections.abc import Callable

import pytest

from tests.integration.applications import (
    HttpApplication,
    documents,
    endpoint,
    kafka_egress,
    kafka_ingress,
)
from tests.integration.scripted import COMMAND
from tests.support.http.faulty_process import FaultyProcess
from tests.support.kafka.broker import KafkaBroker
from tests.support.processes import wait_until
from tests.support.worker import Worker

pytestmark = pytest.mark.integration

Applications = Callable[..., HttpApplication]
Functions = Callable[..., FaultyProcess]
SCRIPT = "tests.integration.scripted:script"
KAFKA = "tests.integration.scripted:kafka"
MEBIBYTE = 1 << 20


def _limit(size: str) -> list[str]:
    return ["--set", f"statefun.runtime.waiting.max-bytes={size}"]


def _put(app: HttpApplication, function_id: str, text: str) -> tuple[int, str | None]:
    """Send a message of 10 kB; return the status and the header Retry-After."""
    body = json.dumps({"text": text, "padding": "p" * 10_000}).encode()
    request = urllib.request.Request(
        f"http://127.0.0.1:{app.ingress_port}/t/script/{function_id}",
        body,
        {"Content-Type": COMMAND},
        method="PUT",
    )
    try:
        with urllib.request.urlopen(request, timeout=5) as reply:
            return reply.status, reply.headers["Retry-After"]
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers["Retry-After"]


def test_http_answers_503_when_memory_is_used_up_and_goes_on_later(
    functions: Functions, application: Applications
) -> None:
    served = functions(SCRIPT)
    app = application(
        endpoint(served.url, "t/*", transport="call: 30s"), topic="out", arguments=_limit("1mb")
    )
    served.set_plan("always*hang")
    taken = []
    for number in range(300):
        status, retry_after = _put(app, f"id{number % 50}", str(number))
        if status != 200:
            break
        taken.append(f"id{number % 50} {number} {number // 50 + 1}")

    assert (status, retry_after) == (503, "1")
    assert 100 <= len(taken) <= 106
    assert _put(app, "another", "x") == (503, "1")
    metrics = app.worker.metrics()
    assert metrics["statefun_ingress_open"] == 0
    assert metrics["statefun_waiting_bytes"] < 1.02 * MEBIBYTE
    assert app.skipped("busy") == 2

    served.set_plan("")
    served.drop_connections()

    assert sorted(app.receive(len(taken))) == sorted(taken)
    assert _put(app, "another", "x") == (200, None)
    assert app.receive(1) == ["another x 1"]
    assert app.worker.metrics()["statefun_ingress_open"] == 1


def test_an_address_with_too_much_to_do_is_held_back_before_the_others(
    functions: Functions, application: Applications
) -> None:
    served = functions(SCRIPT)
    app = application(
        endpoint(served.url, "t/*", transport="call: 30s", threshold=20),
        topic="out",
        arguments=_limit("1mb"),
    )
    served.set_plan("always*hang@slow")
    taken = []
    for number in range(100):
        status, retry_after = _put(app, "slow", str(number))
        if status != 200:
            break
        taken.append(f"slow {number} {number + 1}")

    assert (status, retry_after) == (503, "1")
    assert 50 <= len(taken) <= 54
    assert app.of_function("numBlockedAddress", "script") == 1
    for number in range(20):
        assert _put(app, "other", str(number)) == (200, None)
        assert app.receive(1) == [f"other {number} {number + 1}"]

    served.set_plan("")
    served.drop_connections()
    assert app.receive(len(taken)) == taken


def test_with_as_many_busy_addresses_as_allowed_new_messages_wait(
    functions: Functions, application: Applications
) -> None:
    served = functions(SCRIPT)
    app = application(
        endpoint(served.url, "t/*", transport="call: 30s"),
        topic="out",
        arguments=["--set", "statefun.async.max-per-task=5"],
    )
    served.set_plan("always*hang")
    for number in range(5):
        assert _put(app, f"id{number}", "a") == (200, None)

    assert _put(app, "sixth", "a") == (503, "1")

    served.set_plan("")
    served.drop_connections()
    assert sorted(app.receive(5)) == [f"id{number} a 1" for number in range(5)]
    assert _put(app, "sixth", "a") == (200, None)


@pytest.mark.kafka
def test_kafka_stops_when_memory_is_used_up_and_goes_on_later_without_a_loss(
    broker: KafkaBroker, worker: Callable[..., Worker], functions: Functions
) -> None:
    served = functions(KAFKA, plan="always*hang")
    topic, out = broker.unique_topic("in", 2), broker.unique_topic("out")
    module = documents(
        endpoint(served.url, "t/*", transport="call: 60s"),
        kafka_ingress(broker.bootstrap, "lines", {topic: ["echo"]}),
        kafka_egress(broker.bootstrap),
    )
    padding = "p" * 4000
    count, keys = 10_000, 20
    broker.produce(topic, [(f"key{n % keys}", f"{out}|{n // keys}{padding}") for n in range(count)])
    running = worker(module, arguments=_limit("4mb"))
    wait_until(lambda: running.metrics()["statefun_ingress_open"] == 0, "the ingress held back")

    routed = _routed(running)
    # A poll that was under way when the limit was met is routed whole: at most 1000 records.
    assert 900 < routed < 1100 + 1000
    for _ in range(50):
        assert _routed(running) == routed
    assert running.rss_bytes() < 120 * MEBIBYTE
    lag = running.metrics().total("statefun_ingress_lag")
    assert lag > 0

    served.set_plan("")
    served.drop_connections()

    wait_until(lambda: broker.end_offsets(out)[0] >= count, "all records out")
    assert broker.end_offsets(out)[0] == count
    assert running.rss_bytes() < 160 * MEBIBYTE
    assert running.metrics().total("statefun_ingress_lag") == 0
    records = broker.consume(out, count)
    for key in range(keys):
        mine = [(r.value or b"").split()[-1] for r in records if r.key == b"key%d" % key]
        assert mine == [b"%d" % (n + 1) for n in range(count // keys)]


def _routed(running: Worker) -> float:
    return running.metrics().total("statefun_ingress_records_total")


@pytest.mark.kafka
def test_the_topic_of_a_slow_function_is_held_back_and_others_flow(
    broker: KafkaBroker, worker: Callable[..., Worker], functions: Functions
) -> None:
    served, fast = functions(KAFKA, plan="always*hang"), functions(KAFKA)
    slow_topic, fast_topic = broker.unique_topic("slow"), broker.unique_topic("fast")
    out = broker.unique_topic("out")
    topics = {slow_topic: ["slow"], fast_topic: ["fast"]}
    running = worker(
        documents(
            endpoint(served.url, "t/slow", transport="call: 60s", threshold=100),
            endpoint(fast.url, "t/fast"),
            kafka_ingress(broker.bootstrap, "lines", topics),
            kafka_egress(broker.bootstrap),
        ),
        # Most of it waits on disk; half of that quota is what makes the worker choose.
        arguments=["--set", "statefun.runtime.waiting.max-disk-bytes=24mb"],
    )
    padding = "p" * 2000
    broker.produce(slow_topic, [("k", f"{out}|{n}{padding}") for n in range(10_000)])
    wait_until(lambda: running.metrics().total("statefun_ingress_held_splits") == 1, "a held split")

    broker.produce(fast_topic, [(f"k{n % 3}", f"{out}|{n}") for n in range(300)])

    fast_records = broker.consume(out, 300)
    assert {r.key for r in fast_records} == {b"k0", b"k1", b"k2"}
    assert running.metrics()["statefun_ingress_open"] == 1

    served.set_plan("")
    served.drop_connections()
    wait_until(lambda: broker.end_offsets(out)[0] >= 10_300, "all records out")
    assert broker.end_offsets(out)[0] == 10_300
