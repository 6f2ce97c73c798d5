"""Passwords, certificates and rights on a real broker: a worker end to end, and each refusal in words."""

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from confluent_kafka.admin import ResourceType  # type: ignore[attr-defined]

from tests.conftest import skip_or_fail
from tests.integration.applications import documents, endpoint, kafka_egress, kafka_ingress
from tests.support.certificates import Authority
from tests.support.flink.left_in_kafka import Flink
from tests.support.http.faulty_process import FaultyProcess
from tests.support.kafka.broker import KafkaBroker
from tests.support.kafka.secure import (
    PASSWORD,
    PLAIN_LOGIN,
    SCRAM_LOGIN,
    TOKEN_LOGIN,
    SecureBroker,
)
from tests.support.processes import wait_until
from tests.support.provisions import Unavailable
from tests.support.sockets import http_get
from tests.support.worker import Worker

pytestmark = [pytest.mark.integration, pytest.mark.kafka]

Workers = Callable[..., Worker]
EXACTLY_ONCE = "type: exactly-once, transactionTimeout: 1min"
Properties = dict[str, str]


@pytest.fixture(scope="module")
def secure(
    pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SecureBroker]:
    """One broker for this file; the one that the environment names has no such listeners."""
    broker = None
    try:
        broker = SecureBroker(tmp_path_factory.mktemp("secure")).start()
    except (Unavailable, TimeoutError) as error:
        skip_or_fail(pytestconfig, "Kafka", error)
    yield broker
    broker.close()


def sasl(secure: SecureBroker, mechanism: str = "PLAIN", login: str = PLAIN_LOGIN) -> Properties:
    return {
        "security.protocol": "SASL_SSL",
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(secure.trusted),
        "sasl.mechanism": mechanism,
        "sasl.jaas.config": login,
    }


def with_properties(component: str, properties: Properties) -> str:
    lines = (f"    - {name}: {_quoted(text)}\n" for name, text in properties.items())
    return f"{component}  properties:\n{''.join(lines)}"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''").replace("\n", "\n\n      ") + "'"


def module(
    served: FaultyProcess,
    topic: str,
    address: str,
    properties: Properties,
    *,
    delivery: str = "type: at-least-once",
    group: str = "tests",
    out: Properties | None = None,
) -> str:
    """Return a module whose egress has the same properties as its ingress, if it has no others."""
    ingress = kafka_ingress(address, "lines", {topic: ["echo"]}, group=group)
    return documents(
        endpoint(served.url, "t/*"),
        with_properties(ingress, properties),
        with_properties(kafka_egress(address, delivery), out or properties),
    )


@pytest.mark.parametrize(
    ("reading", "writing"),
    [
        (("SCRAM-SHA-512", SCRAM_LOGIN), ("PLAIN", PLAIN_LOGIN)),
        (("OAUTHBEARER", TOKEN_LOGIN), ("OAUTHBEARER", TOKEN_LOGIN)),
    ],
    ids=["passwords", "tokens"],
)
def test_a_worker_reads_and_writes_over_sasl_ssl(
    secure: SecureBroker,
    worker: Workers,
    kafka_functions: FaultyProcess,
    reading: tuple[str, str],
    writing: tuple[str, str],
) -> None:
    topic, out = secure.plain.unique_topic("in"), secure.plain.unique_topic("out")
    secure.plain.produce(topic, [("k", f"{out}|{n}") for n in range(20)])
    given, egress = sasl(secure, *reading), sasl(secure, *writing)

    running = worker(
        module(kafka_functions, topic, secure.secure, given, delivery=EXACTLY_ONCE, out=egress)
    )

    values = [record.value for record in secure.plain.consume(out, 20)]
    assert values == [b"echo %d %d" % (n, n + 1) for n in range(20)]
    running.stop_cleanly()
    assert PASSWORD not in running.output()
    assert "Traceback" not in running.output()


def test_a_worker_shows_its_certificate_to_a_broker_that_wants_one(
    secure: SecureBroker, worker: Workers, kafka_functions: FaultyProcess, tmp_path: Path
) -> None:
    topic, out = secure.plain.unique_topic("in"), secure.plain.unique_topic("out")
    secure.plain.produce(topic, [("k", f"{out}|a")])
    identity = secure.authority.issue("worker")
    (tmp_path / "worker.p12").write_bytes(identity.pkcs12("of the store"))
    common = {
        "security.protocol": "SSL",
        "ssl.truststore.certificates": secure.authority.pem,
        "ssl.truststore.type": "PEM",
    }
    pem = {
        "ssl.keystore.type": "PEM",
        "ssl.keystore.certificate.chain": identity.certificate_pem,
        "ssl.keystore.key": identity.key_pem("of the key"),
        "ssl.key.password": "of the key",
    }
    pkcs12 = {
        "ssl.keystore.type": "PKCS12",
        "ssl.keystore.location": str(tmp_path / "worker.p12"),
        "ssl.keystore.password": "of the store",
    }

    worker(
        module(
            kafka_functions,
            topic,
            secure.mutual,
            common | pem,
            delivery=EXACTLY_ONCE,
            out=common | pkcs12,
        )
    )

    assert secure.plain.consume(out, 1)[0].value == b"echo a 1"


def test_each_refusal_is_said_once_in_words(
    secure: SecureBroker, worker: Workers, kafka_functions: FaultyProcess, tmp_path: Path
) -> None:
    other = tmp_path / "other.pem"
    other.write_text(Authority("other").pem)
    good = sasl(secure)
    without_login = {n: text for n, text in good.items() if not n.startswith("sasl.")}
    without_login["security.protocol"] = "SSL"
    login = PLAIN_LOGIN.replace("sec", "other")
    # name: (address, properties, what is said)
    cases = {
        "password": (
            secure.secure,
            good | {"sasl.jaas.config": login},
            "it refuses the login of user 'alice' (PLAIN): "
            "Authentication failed: Invalid username or password (SF3017)",
        ),
        "authority": (
            secure.secure,
            good | {"ssl.truststore.location": str(other)},
            "its certificate is not trusted: unable to get local issuer certificate (SF3018)",
        ),
        "expired": (
            secure.expired,
            without_login,
            "its certificate is not trusted: certificate has expired (SF3018)",
        ),
        "login": (
            secure.secure,
            without_login,
            "it closed the connection at once; does its listener speak security.protocol SSL, "
            "and want no certificate of this client?",
        ),
    }
    components = [endpoint(kafka_functions.url, "t/*")]
    for name, (address, given, _) in cases.items():
        egress = kafka_egress(address, EXACTLY_ONCE).replace("t/records", f"t/{name}")
        components.append(with_properties(kafka_ingress(address, name, {"x": ["echo"]}), given))
        components.append(with_properties(egress, given))
    running = worker(documents(*components), is_ready_awaited=False)
    running.process.wait_for_line("metrics   http")

    def tried_again() -> bool:
        return running.metrics().total("statefun_egress_recoveries_total") >= 12

    wait_until(tried_again, "several tries of each")
    expected = sorted(
        line
        for name, (address, _, why) in cases.items()
        for line in (
            f"egress t/{name} waits, records are kept: broker {address}: {why}",
            f"ingress t/{name} waits: broker {address}: {why}",
        )
    )

    def said() -> list[str]:
        lines = [line for line in running.output().splitlines() if "waits" in line]
        return sorted(re.sub(r"^.*?((?:in|e)gress t/)", r"\1", line) for line in lines)

    wait_until(lambda: len(said()) >= len(expected), "a word of each")
    assert said() == expected
    assert 'other"ret' not in running.output()
    assert "Traceback" not in running.output()


def test_validate_connects_as_the_worker_does_and_says_what_is_refused(
    secure: SecureBroker, kafka_functions: FaultyProcess, tmp_path: Path
) -> None:
    def connect(login: str) -> str:
        file = tmp_path / "module.yaml"
        given = sasl(secure, "PLAIN", login)
        file.write_text(module(kafka_functions, "nothing", secure.secure, given))
        command = [sys.executable, "-m", "statefun_runtime.cli", "validate", "--connect", str(file)]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout

    found = connect(PLAIN_LOGIN.replace("sec", "other"))

    assert "it refuses the login of user 'alice' (PLAIN)" in found
    assert "other" not in found
    assert "1 broker" in connect(PLAIN_LOGIN)


def both_topics(
    secure: SecureBroker, served: FaultyProcess, topics: list[str], delivery: str
) -> str:
    given = sasl(secure)
    ingress = kafka_ingress(secure.secure, "lines", {topic: ["echo"] for topic in topics})
    return documents(
        endpoint(served.url, "t/*"),
        with_properties(ingress, given),
        with_properties(kafka_egress(secure.secure, delivery), given),
    )


def missing(running: Worker) -> float:
    return running.metrics().total("statefun_egress_missing_topics")


def test_a_topic_that_may_not_be_read_is_named_once_and_the_others_are_read(
    secure: SecureBroker, worker: Workers, kafka_functions: FaultyProcess
) -> None:
    plain = secure.plain
    closed, topic, out = (plain.unique_topic(stem) for stem in ("closed", "in", "out"))
    rule = secure.deny("READ", closed)
    running = worker(both_topics(secure, kafka_functions, [closed, topic], "type: at-least-once"))
    plain.produce(closed, [("k", f"{out}|closed")])
    words = f"cannot read: broker {secure.secure}: not authorised for topic {closed} (SF3019)"
    running.process.wait_for_line(re.escape(f"ingress t/lines {words}"))
    plain.produce(topic, [("k", f"{out}|a"), ("k", f"{out}|b")])
    assert [r.value for r in plain.consume(out, 2)] == [b"echo a 1", b"echo b 2"]

    secure.allow(rule)

    assert plain.consume(out, 3)[2].value == b"echo closed 3"
    assert running.output().count("not authorised") == 1


def test_records_of_other_topics_leave_an_egress_at_least_once(
    secure: SecureBroker, worker: Workers, kafka_functions: FaultyProcess
) -> None:
    plain = secure.plain
    topic, closed, out = (plain.unique_topic(stem) for stem in ("in", "closed", "out"))
    later = out.replace("out", "later")
    rule = secure.deny("WRITE", closed)
    running = worker(both_topics(secure, kafka_functions, [topic], "type: at-least-once"))

    plain.produce(topic, [("k", f"{closed}|a"), ("k", f"{later}|b"), ("k", f"{out}|c")])

    assert plain.consume(out, 1)[0].value == b"echo c 3"
    running.process.wait_for_line(rf"egress t/records .*not authorised for topic {closed}")
    running.process.wait_for_line(
        rf"egress t/records keeps records for topic '{later}', which does not exist; "
        "they leave when somebody makes it"
    )
    assert missing(running) == 1
    secure.allow(rule)
    plain.create_topic(later)
    assert plain.consume(closed, 1)[0].value == b"echo a 1"
    assert plain.consume(later, 1)[0].value == b"echo b 2"
    assert running.output().count("not authorised") == 1


def test_a_topic_holds_up_an_exactly_once_egress_loudly_and_loses_nothing(
    secure: SecureBroker, worker: Workers, kafka_functions: FaultyProcess
) -> None:
    plain = secure.plain
    topic, closed, out = (plain.unique_topic(stem) for stem in ("in", "closed", "out"))
    later = out.replace("out", "later")
    rule = secure.deny("WRITE", closed)
    module = both_topics(secure, kafka_functions, [topic], EXACTLY_ONCE)
    running = worker(module, arguments=["--stop-timeout", "1s"])
    plain.produce(topic, [("k", f"{closed}|a")])
    running.process.wait_for_line(rf"egress t/records .*not authorised for topic {closed}")
    secure.allow(rule)
    assert plain.consume(closed, 1)[0].value == b"echo a 1"
    assert running.output().count("not authorised") == 1

    plain.produce(topic, [("k", f"{later}|b"), ("k", f"{out}|c")])
    running.process.wait_for_line(rf"egress t/records keeps records for topic '{later}'")
    assert missing(running) == 1
    running.restart()
    plain.create_topic(later)

    assert plain.consume(later, 1)[0].value == b"echo b 2"
    assert plain.consume(out, 1)[0].value == b"echo c 3"
    wait_until(lambda: missing(running) == 0, "no missing topic")


def test_an_ingress_whose_topic_it_may_not_see_waits_and_says_so(
    secure: SecureBroker, worker: Workers, kafka_functions: FaultyProcess
) -> None:
    topic, out = secure.plain.unique_topic("in"), secure.plain.unique_topic("out")
    rule = secure.deny("DESCRIBE", topic)
    running = worker(
        both_topics(secure, kafka_functions, [topic], EXACTLY_ONCE), is_ready_awaited=False
    )
    words = f"waits: broker {secure.secure}: not authorised for topic {topic} (SF3019)"
    running.process.wait_for_line(re.escape(f"ingress t/lines {words}"))

    secure.allow(rule)
    secure.plain.produce(topic, [("k", f"{out}|a")])

    assert secure.plain.consume(out, 1)[0].value == b"echo a 1"


def test_a_topic_that_may_not_be_seen_at_the_start_waits_alone_and_then_begins_as_declared(
    secure: SecureBroker, worker: Workers, kafka_functions: FaultyProcess
) -> None:
    plain = secure.plain
    closed, topic, out = (plain.unique_topic(stem) for stem in ("closed", "in", "out"))
    rule = secure.deny("DESCRIBE", closed)
    module = both_topics(secure, kafka_functions, [closed, topic], EXACTLY_ONCE)
    running = worker(module.replace("{type: earliest}", "{type: latest}"))
    why = (
        f"leaves topic '{closed}' alone, and reads the others: broker {secure.secure}: not "
        f"authorised for topic {closed} (SF3019)"
    )
    running.process.wait_for_line(re.escape(f"ingress t/lines {why}"))
    plain.produce(topic, [("k", f"{out}|a")])
    assert plain.consume(out, 1)[0].value == b"echo a 1"
    answer = http_get(f"http://127.0.0.1:{running.metrics_port}/readyz")
    assert answer is not None
    (waits,) = json.loads(answer[1])["waits"]
    assert waits.startswith(f"ingress 't/lines' leaves topic '{closed}' alone: broker ")
    # It was there before the start, and `latest` leaves that out, also after a restart.
    plain.produce(closed, [("k", f"{out}|old")])
    running.kill9()
    running.start()
    running.process.wait_for_line(re.escape(f"ingress t/lines {why}"))

    secure.allow(rule)
    running.process.wait_for_line(f"ingress t/lines reads new topic partitions: {closed}/0")
    plain.produce(closed, [("k", f"{out}|new")])

    assert plain.consume(out, 2)[1].value == b"echo new 2"
    assert running.output().count("not authorised") == 2
    running.stop_cleanly()


def test_a_consumer_group_that_may_not_be_used_keeps_nobody_from_reading(
    secure: SecureBroker, worker: Workers, kafka_functions: FaultyProcess
) -> None:
    topic, out = secure.plain.unique_topic("in"), secure.plain.unique_topic("out")
    secure.deny("ALL", topic, ResourceType.GROUP)
    given = sasl(secure)
    running = worker(module(kafka_functions, topic, secure.secure, given, group=topic))
    words = f"reads without its consumer group: broker {secure.secure}: not authorised for consumer group {topic}"
    running.process.wait_for_line(re.escape(f"ingress t/lines {words} (SF3019)"))

    secure.plain.produce(topic, [("k", f"{out}|a")])

    assert secure.plain.consume(out, 1)[0].value == b"echo a 1"


def exactly_once(served: FaultyProcess, broker: KafkaBroker, topic: str, egress: str) -> str:
    return documents(
        endpoint(served.url, "t/*"),
        kafka_ingress(broker.bootstrap, "lines", {topic: ["echo"]}),
        kafka_egress(egress, EXACTLY_ONCE),
    )


def progress_topic(broker: KafkaBroker, since: set[str]) -> str:
    found = topics(broker) - since
    return next(topic for topic in found if topic.startswith("statefun-progress-"))


def topics(broker: KafkaBroker) -> set[str]:
    return set(broker.client.admin().list_topics(timeout=5).topics)


def test_a_progress_topic_that_vanished_between_two_lives_is_missed(
    broker: KafkaBroker, worker: Workers, kafka_functions: FaultyProcess
) -> None:
    before = topics(broker)
    topic, out = broker.unique_topic("in"), broker.unique_topic("out")
    running = worker(exactly_once(kafka_functions, broker, topic, broker.bootstrap))
    broker.produce(topic, [("k", f"{out}|a")])
    broker.consume(out, 1)
    running.stop_cleanly()
    vanished = progress_topic(broker, before)
    broker.client.delete_topic(vanished)
    wait_until(lambda: vanished not in topics(broker), "the end of the topic")

    running.start(is_ready_awaited=False)

    assert wait_until(lambda: running.process.exit_status, "the end of the worker") == 1
    assert f"SF5006: the progress topic {vanished} has vanished" in running.output()
    assert "Traceback" not in running.output()
    running.arguments += ["--republish-egress", "t/records"]
    running.start()
    broker.produce(topic, [("k", f"{out}|b")])
    assert [r.value for r in broker.consume(out, 2)] == [b"echo a 1", b"echo b 2"]


def test_an_egress_moves_to_another_cluster_only_when_nothing_is_unconfirmed(
    broker: KafkaBroker, secure: SecureBroker, worker: Workers, kafka_functions: FaultyProcess
) -> None:
    topic, out = broker.unique_topic("in"), broker.unique_topic("out")
    secure.plain.create_topic(out)
    here, there = broker.bootstrap, secure.plain.bootstrap
    running = worker(exactly_once(kafka_functions, broker, topic, here))
    broker.produce(topic, [("k", f"{out}|a")])
    broker.consume(out, 1)
    # The last checkpoint holds the record, and cannot know that it has left.
    running.kill9()
    running.module_file.write_text(exactly_once(kafka_functions, broker, topic, there))

    running.start(is_ready_awaited=False)

    assert wait_until(lambda: running.process.exit_status, "the end of the worker") == 2
    assert (
        "SF1036: egress 't/records' has 1 records that may have been published" in running.output()
    )
    running.module_file.write_text(exactly_once(kafka_functions, broker, topic, here))
    running.start()
    running.process.wait_for_line(f"egress t/records publishes to {here}")
    running.stop_cleanly()

    running.module_file.write_text(exactly_once(kafka_functions, broker, topic, there))
    running.start()
    broker.produce(topic, [("k", f"{out}|b")])

    assert secure.plain.consume(out, 1)[0].value == b"echo b 2"
    assert [r.value for r in broker.client.read_all(out)] == [b"echo a 1"]


def mutual(secure: SecureBroker) -> Properties:
    certificate = secure.authority.issue("client").write_pem(secure.folder / "client.pem")
    return {
        "security.protocol": "SSL",
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(secure.trusted),
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(certificate),
    }


@pytest.mark.parametrize("way", ["PLAIN", "SCRAM-SHA-512", "OAUTHBEARER", "certificate"])
def test_what_flink_left_is_taken_over_with_the_security_settings_of_the_egress(
    secure: SecureBroker, way: str, tmp_path: Path
) -> None:
    logins = {"PLAIN": PLAIN_LOGIN, "SCRAM-SHA-512": SCRAM_LOGIN, "OAUTHBEARER": TOKEN_LOGIN}
    if way == "certificate":
        address, properties = secure.mutual, mutual(secure)
    else:
        address, properties = secure.secure, sasl(secure, way, logins[way])
    flink = Flink(secure.plain, tmp_path, address=address, properties=properties)

    tried = flink.imported("--dry-run", "--egress", "commit")
    assert "in Kafka: open, to be committed\n" in tried.stdout, tried.stderr
    done = flink.imported("--egress", "commit")

    assert done.returncode == 0, done.stderr
    assert flink.read() == [b"prepared"] * 3
    ends = [flink.described(each).state for each in (flink.prepared_id, flink.open_id)]
    assert ends == ["CompleteCommit", "CompleteAbort"]


def test_a_right_that_a_takeover_lacks_is_named_and_nothing_imported(
    secure: SecureBroker, tmp_path: Path
) -> None:
    flink = Flink(secure.plain, tmp_path, address=secure.secure, properties=sasl(secure))
    rule = secure.deny("DESCRIBE", flink.prepared_id, ResourceType.TRANSACTIONAL_ID)
    try:
        refused = flink.imported("--egress", "commit")
    finally:
        secure.allow(rule)
    assert refused.returncode == 1
    assert refused.stderr == (
        f"SF3030: egress 'acme.io/acks': the cluster at {secure.secure} cannot be asked for its transactions: "
        "TransactionalIdAuthorizationFailed: [Error 53] TransactionalIdAuthorizationFailed: the user lacks the right Describe or Write for transactional id "
        f"'{flink.prepared_id}'\nhint: the same again later may work, as long as transactionTimeout has not passed\n"
    )
    assert sorted(path.name for path in flink.state.iterdir()) == ["lock"]
    assert flink.imported("--egress", "commit").returncode == 0


def test_topics_are_compared_with_the_security_settings_of_the_module(
    secure: SecureBroker, kafka_functions: FaultyProcess, tmp_path: Path
) -> None:
    first, second = secure.plain.unique_topic("first"), secure.plain.unique_topic("second")
    for topic in (first, second):
        secure.plain.produce(topic, [("a", "1"), ("b", "2")])
    path = tmp_path / "module.yaml"
    path.write_text(module(kafka_functions, first, secure.secure, sasl(secure)))
    command = [sys.executable, "-m", "statefun_runtime.cli", "compare", first, second]

    def compare(*more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*command, *more], capture_output=True, text=True, timeout=60, check=False
        )

    told = compare("--module", str(path))
    assert (told.returncode, told.stdout.splitlines()[-1]) == (0, "they say the same"), told.stderr
    ingress = compare("--module", str(path), "--component", "t/lines")
    assert ingress.returncode == 0, ingress.stderr
    # Nobody is let in without them.
    assert compare("--kafka", secure.secure).stderr.startswith(f"SF3031: topics at {secure.secure}")
