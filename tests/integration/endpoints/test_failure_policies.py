"""What an operator chooses for what cannot go on, with a real worker and its commands."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

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
from tests.support.provisions import ROOT
from tests.support.sockets import http_request
from tests.support.worker import Worker

pytestmark = pytest.mark.integration

SCRIPT = "tests.integration.scripted:script"
ALWAYS = "always*status:500@bad"
Functions = Callable[..., FaultyProcess]
Applications = Callable[..., HttpApplication]
Workers = Callable[..., Worker]


def with_policy(component: str, how: str, *, egress: str = "", topic: str = "out") -> str:
    letters = f"  deadLetters: {{egress: {egress}, topic: {topic}}}\n" if egress else ""
    return component.replace("spec:\n", f"spec:\n  {how}\n{letters}", 1)


def command(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "statefun_runtime.cli", *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )


def send(app: HttpApplication, target: str, *texts: str) -> None:
    for text in texts:
        app.send(f"t/script/{target}", {"text": text}, COMMAND)


def test_a_dead_letter_is_replayed_once_however_often_it_is_asked_for(
    functions: Functions, application: Applications, tmp_path: Path
) -> None:
    served = functions(SCRIPT, plan=ALWAYS)
    component = endpoint(served.url, "t/*", transport="call: 300ms")
    egress = "io.statefun.playground/egress"
    app = application(with_policy(component, "onFailure: dead-letter", egress=egress), topic="out")
    send(app, "bad", "a")
    line = _letter_while_others_succeed(app)
    letter = json.loads(line)
    assert (letter["target"], letter["reason"]) == ({"type": "t/script", "id": "bad"}, "status")
    served.set_plan("")
    send(app, "bad", "b")
    assert app.receive(1) == ["bad b 1"]
    letters = tmp_path / "letters.jsonl"
    letters.write_text(f"{line}\n")
    replay = ("dead-letters", "replay", "--from", letters, "--state-dir", app.worker.state_dir)

    assert command(*replay).stdout == "1 replayed, 0 had been before\n"
    assert app.receive(1) == ["bad a 2"]
    app.restart()
    assert command(*replay).stdout == "0 replayed, 1 had been before\n"
    send(app, "bad", "c")
    assert app.receive(1) == ["bad c 3"]


def test_parked_addresses_are_listed_skipped_and_released_by_command_also_after_a_restart(
    functions: Functions, application: Applications
) -> None:
    served = functions(SCRIPT, plan=ALWAYS)
    app = application(endpoint(served.url, "t/*", transport="call: 300ms"), topic="out")
    parked = ("--state-dir", app.worker.state_dir)
    assert command("parked", "list", *parked).stdout == "nothing is parked\n"
    send(app, "good", "a")
    assert app.receive(1) == ["good a 1"]
    send(app, "bad", "a", "b")
    shown = wait_until(lambda: _listed(parked), "the address parked")
    assert "t/script/bad\n    parked for " in shown
    assert (
        "    the endpoint answered with status 500: told to fail\n    2 invocations wait; endpoint "
        in shown
    )
    wait_until(
        lambda: app.worker.metrics().total("statefun_unsaved_bytes") == 0, "a checkpoint of it"
    )
    app.worker.kill9()
    app.start()
    assert "t/script/bad\n" in _listed(parked)

    address = "t/script/bad"
    skipped = command("parked", "skip", address, *parked).stdout
    assert skipped == "1 skipped\n" or "skipped if that fails" in skipped
    wait_until(lambda: "\n    1 invocations wait" in _listed(parked), "one of two is gone")
    served.set_plan("")
    command("parked", "release", "--all", *parked)

    assert app.receive(1) == ["bad b 1"]
    wait_until(lambda: not _listed(parked), "nothing parked")
    refused = command("parked", "skip", address, *parked)
    assert refused.returncode == 1
    assert "SF1053: t/script/bad is not parked" in refused.stderr


def _letter_while_others_succeed(app: HttpApplication) -> str:
    """Return the one dead letter; without the others' success it might be the endpoint that fails."""

    def take() -> str | None:
        send(app, "others", "x")
        return next((one for one in iter(app.take, None) if one.startswith("{")), None)

    letter = wait_until(take, "a dead letter", timeout_s=30.0)
    send(app, "others", "last")
    wait_until(lambda: (app.take() or "").startswith("others last"), "the last of the others")
    return letter


def _listed(parked: tuple[str | Path, ...]) -> str:
    shown = command("parked", "list", *parked).stdout
    return "" if shown == "nothing is parked\n" else shown


def test_a_worker_told_to_fail_stops_cleanly_and_goes_on_when_the_function_is_mended(
    functions: Functions, application: Applications
) -> None:
    served = functions(SCRIPT, plan=ALWAYS)
    component = endpoint(served.url, "t/*", transport="call: 300ms")
    app = application(with_policy(component, "onFailure: fail"), topic="out")
    send(app, "good", "a")
    assert app.receive(1) == ["good a 1"]
    send(app, "bad", "a")

    url, headers = f"http://127.0.0.1:{app.ingress_port}/t/script/good", {"Content-Type": COMMAND}
    # As long as nobody else succeeds it may be the endpoint that fails.
    wait_until(
        lambda: http_request("PUT", url, b'{"text": "b"}', headers=headers) is None,
        "the worker's end",
    )
    assert app.worker.process.wait(timeout_s=15) == 1
    assert "SF2001: t/script/bad at http://" in app.worker.output()
    assert "the next start goes on from checkpoint" in app.worker.output()
    served.set_plan("")
    app.start()

    wait_until(lambda: app.take() == "bad a 1", "what had failed")


def test_what_no_function_can_take_is_forwarded_and_replayed_when_one_can(
    broker: KafkaBroker, worker: Workers, kafka_functions: FaultyProcess
) -> None:
    topic, out, dead = (broker.unique_topic(name) for name in ("in", "out", "dead"))
    line = f"{out}|a"
    broker.produce(topic, [(None, line), ("k", line)])
    ingress = kafka_ingress(
        broker.bootstrap, "lines", {topic: ["served", "unknown"]}, unserved=["unknown"]
    )
    forwarding = with_policy(
        ingress, "invalidRecordHandling: forward", egress="t/records", topic=dead
    )

    def module(functions: str) -> str:
        return documents(
            endpoint(kafka_functions.url, functions), forwarding, kafka_egress(broker.bootstrap)
        )

    running = worker(module("t/served"))
    assert [r.value.decode() for r in broker.consume(out, 1)] == ["served a 1"]
    without_key, unknown = [json.loads(r.value) for r in broker.consume(dead, 2)]
    assert (without_key["reason"], without_key["error"]) == ("no-key", "it has no key")
    assert without_key["record"]["split"] == f"{topic}/0"
    assert unknown["target"] == {"type": "t/unknown", "id": "k"}

    running.stop_cleanly()
    running.module_file.write_text(module("t/*"))
    running.start()
    listed = command("dead-letters", "list", "--module", running.module_file)
    replayed = command(
        "dead-letters", "replay", "--module", running.module_file, "--state-dir", running.state_dir
    )

    assert (
        "t/unknown/k\n    unknown-function: no endpoint serves its function type t/unknown\n"
        in (listed.stdout)
    )
    assert listed.stdout.endswith("\n2 dead letters\n")
    assert replayed.stdout == (
        f"1 replayed, 0 had been before\nnot replayed: {without_key['id']}: "
        "it is a record that has no function to go to (it has no key)\n"
    )
    assert replayed.returncode == 1
    assert [r.value.decode() for r in broker.consume(out, 2)] == ["served a 1", "unknown a 1"]


def test_an_ingress_told_to_fail_stops_the_worker_in_front_of_the_record(
    broker: KafkaBroker, kafka_functions: FaultyProcess, tmp_path: Path
) -> None:
    topic, out = broker.unique_topic("in"), broker.unique_topic("out")
    broker.produce(topic, [("k", f"{out}|a"), (None, f"{out}|b"), ("k", f"{out}|c")])
    ingress = kafka_ingress(broker.bootstrap, "lines", {topic: ["f"]})
    served = endpoint(kafka_functions.url, "t/*")
    egress = kafka_egress(broker.bootstrap)
    failing = documents(served, with_policy(ingress, "invalidRecordHandling: fail"), egress)
    running = Worker(failing, tmp_path / "failing").start(is_ready_awaited=False)

    assert running.process.wait(timeout_s=20) == 1
    assert (
        "SF2002: ingress 't/lines' cannot route a record, and says 'invalidRecordHandling: fail': "
        f"topic {topic}, partition 0, offset 1: it has no key\n"
    ) in running.output()
    running.module_file.write_text(documents(served, ingress, egress))
    running.start()

    assert [r.value.decode() for r in broker.consume(out, 2)] == ["f a 1", "f c 2"]
    running.close()
