"""A thousand malformed inputs of every kind, seeded: each is counted with a reason, and the good ones between them arrive."""

import random
import socket
from collections.abc import Callable, Iterator

import pytest

from tests.integration.applications import (
    HttpApplication,
    documents,
    endpoint,
    kafka_egress,
    kafka_ingress,
)
from tests.integration.scripted import CAUSES, COMMAND
from tests.support.http.faulty_process import FaultyProcess
from tests.support.kafka.broker import KafkaBroker
from tests.support.processes import wait_until
from tests.support.sockets import http_request

pytestmark = pytest.mark.integration

SEED = 20240611
MEBIBYTE = 1 << 20


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultyProcess]:
    made = FaultyProcess("tests.integration.scripted:script", tmp_path_factory.mktemp("malformed"))
    yield made
    made.close()


def _exchange(port: int, data: bytes) -> bytes:
    """Send raw bytes, close that half, and return all that comes back."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        try:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: connection.recv(65536), b""))
        except OSError:
            return b""


def _text(chosen: random.Random, size: int) -> str:
    return "".join(chosen.choice("abcXYZ019-_.~%?&=;:@!$'()*+,") for _ in range(size))


def _bad_requests(chosen: random.Random) -> Iterator[tuple[str, str, bytes, str, int, str]]:
    """Yield method, path, body, content type, and the status and reason of the answer."""
    good, body = "/t/script/x", b'{"text": "never"}'
    while True:
        junk = _text(chosen, chosen.randrange(1, 30)).replace("?", "")
        yield "PUT", f"/{junk}", body, COMMAND, 400, "bad-path"
        yield "PUT", f"/t/script/{junk}/{junk}", body, COMMAND, 400, "bad-path"
        yield "PUT", f"//{junk}/x", body, COMMAND, 400, "bad-path"
        yield "PUT", "/t/script/", body, COMMAND, 400, "empty-id"
        yield "PUT", f"/nowhere-{junk}/script/x", body, COMMAND, 404, "unknown-function"
        yield chosen.choice(["GET", "OPTIONS"]), good, b"", COMMAND, 405, "bad-method"
        text = bytes([0xFF, chosen.randrange(0x80, 0x100)]) + chosen.randbytes(10)
        yield "PUT", good, text, "text/plain", 400, "bad-text"


def test_malformed_requests_are_refused_with_a_reason_and_counted(
    served: FaultyProcess, application: Callable[..., HttpApplication]
) -> None:
    app = application(endpoint(served.url, "t/*"), topic="out")
    chosen = random.Random(SEED)
    counted: dict[str, int] = {}
    requests = _bad_requests(chosen)
    for number in range(350):
        method, path, body, content_type, status, reason = next(requests)
        answer = http_request(
            method,
            f"http://127.0.0.1:{app.ingress_port}{path}",
            body or None,
            headers={"Content-Type": content_type},
        )
        assert answer is not None
        assert (answer[0], bool(answer[1])) == (status, True), (method, path, answer)
        counted[reason] = counted.get(reason, 0) + 1
        if number % 25 == 0:
            app.send("t/script/http-good", {"text": str(number)}, COMMAND)

    assert app.receive(14) == [f"http-good {n * 25} {n + 1}" for n in range(14)]
    assert {reason: app.skipped(reason) for reason in counted} == counted
    app.worker.stop_cleanly()


def _raw(chosen: random.Random) -> Iterator[bytes]:
    """Yield bytes for a port that are no HTTP request, or one that is broken or too large."""
    head = b"PUT /t/script/raw HTTP/1.1\r\nHost: x\r\n"
    while True:
        yield chosen.randbytes(chosen.randrange(1, 200)) + b"\r\n\r\n"
        yield b"\x16\x03\x01" + chosen.randbytes(100)
        yield b"GARBAGE /x\r\n\r\n"
        yield head + b"Content-Length: -5\r\n\r\n"
        yield head + b"Content-Length: %d\r\n\r\n" % chosen.choice([17 * MEBIBYTE, 1 << 62])
        yield head + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\nabcd"
        yield head + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n"
        yield head + b"bad header\r\n\r\n"
        yield b"PUT /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n"
        yield head + b"X: " + b"y" * 70_000 + b"\r\n\r\n"
        yield b"PUT http://x/t/script/raw HTTP/1.1\r\nContent-Length: 0\r\n\r\n"


def _cut(chosen: random.Random) -> bytes:
    whole = b"PUT /t/script/raw HTTP/1.1\r\nContent-Length: 20\r\n\r\n" + b"a" * 20
    return whole[: chosen.randrange(1, len(whole) - 1)]


def test_bytes_that_are_no_request_end_their_connection_and_nothing_else(
    served: FaultyProcess, application: Callable[..., HttpApplication]
) -> None:
    app = application(endpoint(served.url, "t/*"), topic="out")
    chosen = random.Random(SEED)
    raw = _raw(chosen)
    for number in range(220):
        answer = _exchange(app.ingress_port, next(raw))
        assert answer[:12] in (b"HTTP/1.1 400", b"HTTP/1.1 413", b"HTTP/1.1 431"), answer[:200]
        assert _exchange(app.ingress_port, _cut(chosen)) == b""
        if number % 20 == 0:
            app.send("t/script/raw-good", {"text": str(number)}, COMMAND)
    for port in (app.egress_port, app.worker.metrics_port):
        for _ in range(22):
            _exchange(port, next(raw))

    assert app.receive(11) == [f"raw-good {n * 20} {n + 1}" for n in range(11)]
    assert app.of_function("in_total", "script") == 11
    counted = {
        "bad-http": 220 - 80,
        "body-too-large": 20,
        "head-too-large": 40,
        "bad-path": 20,
        "cut-off": 220,
    }
    assert {reason: app.skipped(reason) for reason in counted} == counted
    assert app.worker.rss_bytes() < 150 * MEBIBYTE
    app.worker.stop_cleanly()


def _reply_faults(chosen: random.Random) -> str:
    kinds = ["garbage", "not-http", "truncated", "huge:200000", "content-type:text/html"]
    kinds += ["content-type", "status:500", "status:418", "lost-reply", "surplus"]
    return chosen.choice(kinds)


def test_malformed_replies_are_counted_by_cause_and_the_good_ones_between_them_count(
    served: FaultyProcess, application: Callable[..., HttpApplication]
) -> None:
    transport = "call: 30s, payload_max_bytes: 100000"
    app = application(endpoint(served.url, "t/*", transport=transport), topic="out")
    chosen = random.Random(SEED)
    wrongs = list(CAUSES)
    expected: dict[str, int] = {}
    rules = []
    for number in range(200):
        name = f"n{number:03d}."
        command: dict[str, object] = {"text": "a"}
        if number % 2:
            wrong = chosen.choice(wrongs)
            command |= {"wrong": wrong, "times": 1}
            expected[CAUSES[wrong]] = expected.get(CAUSES[wrong], 0) + 1
        else:
            rules.append(f"1*{_reply_faults(chosen)}@{name}")
        served.set_plan(", ".join(rules))
        app.send(f"t/script/{name}", command, COMMAND)
        app.send("t/script/reply-good", {"text": str(number)}, COMMAND)

    records = app.receive(400)
    app.wait_until_idle()
    served.set_plan("")

    assert app.take() is None
    good = [record for record in records if record.startswith("reply-good")]
    assert good == [f"reply-good {n} {n + 1}" for n in range(200)]
    assert sorted(set(records) - set(good)) == [f"n{n:03d}. a 1" for n in range(200)]
    found = {cause: app.failures(cause) for cause in expected}
    # `garbage` counts as bad-reply too.
    assert all(found[cause] >= count for cause, count in expected.items()), (found, expected)
    exact = set(expected) - {"bad-reply"}
    assert {c: found[c] for c in exact} == {c: expected[c] for c in exact}
    app.worker.stop_cleanly()


@pytest.mark.kafka
def test_malformed_records_are_skipped_or_parked_and_the_good_ones_between_them_arrive(
    broker: KafkaBroker,
    kafka_functions: FaultyProcess,
    worker: Callable[..., object],
) -> None:
    topic, out = broker.unique_topic("in", 2), broker.unique_topic("out")
    module = documents(
        endpoint(kafka_functions.url, "t/*", transport="call: 200ms"),
        kafka_ingress(broker.bootstrap, "lines", {topic: ["echo"]}),
        kafka_egress(broker.bootstrap),
    )
    running = worker(module)
    chosen = random.Random(SEED)
    records: list[tuple[bytes | None, bytes | None]] = []
    counted = {"no-key": 0, "no-value": 0}
    for number in range(250):
        if number % 3 == 0:
            records.append((None, chosen.choice([None, chosen.randbytes(20)])))
            counted["no-key"] += 1
        elif number % 3 == 1:
            records.append((chosen.randbytes(5), None))
            counted["no-value"] += 1
        else:
            # Garbage that the function cannot read: it answers with status 500, that address alone is parked.
            records.append((b"poison%d" % (number % 4), b"\xff" + chosen.randbytes(30)))
        records.append((b"good", f"{out}|{number}".encode()))
    broker.produce(topic, records)

    texts = [(r.value or b"").decode() for r in broker.consume(out, 250)]

    assert texts == [f"echo {number} {number + 1}" for number in range(250)]
    metrics = running.metrics()
    for reason, count in counted.items():
        assert metrics.total("statefun_ingress_skipped_total", reason=reason) == count
    wait_until(
        lambda: running.metrics().total("statefun_functions_parkedAddresses") >= 1,
        "the poison parked",
    )
    running.stop_cleanly()
