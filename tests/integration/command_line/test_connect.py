"""`validate --connect` against a real broker and a real function server."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.applications import documents, endpoint, kafka_egress, kafka_ingress
from tests.support.http.faulty_process import FaultyProcess
from tests.support.kafka.broker import KafkaBroker
from tests.support.provisions import ROOT
from tests.support.sockets import free_port

pytestmark = [pytest.mark.integration, pytest.mark.kafka]

SCRIPT = "tests.integration.scripted:script"


def _connect(module: str, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    path = folder / "module.yaml"
    path.write_text(module)
    return subprocess.run(
        [sys.executable, "-m", "statefun_runtime.cli", "validate", path, "--connect", *arguments],
        cwd=ROOT,
        env=dict(os.environ),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_what_is_there_is_told_and_nothing_is_changed(
    broker: KafkaBroker, functions: Callable[..., FaultyProcess], tmp_path: Path
) -> None:
    served = functions(SCRIPT)
    orders = broker.unique_topic("orders", 3)
    module = documents(
        endpoint(served.url, "t/*"),
        kafka_ingress(broker.bootstrap, "orders", {orders: ["script"]}),
        kafka_egress(broker.bootstrap),
    )

    done = _connect(module, tmp_path)

    assert (done.returncode, done.stderr) == (0, "")
    first, second, third, verdict = done.stdout.splitlines()
    assert first.startswith(f"good    endpoint t/* at {served.url}: connected in ")
    at = f"at {broker.bootstrap}: "
    assert second.startswith(f"good    ingress t/orders {at}")
    assert second.endswith(f"; {orders} has 3 partitions")
    assert third.startswith(f"good    egress t/records {at}")
    assert verdict == f"{tmp_path}/module.yaml: good: 1 endpoint, 1 ingress, 1 egress"
    assert served.request_count() == 0


def test_what_is_not_there_is_told_and_not_made(broker: KafkaBroker, tmp_path: Path) -> None:
    orders, missing = broker.unique_topic("orders"), "there-is-no-such-topic"
    module = documents(
        endpoint(f"http://127.0.0.1:{free_port()}/", "t/*"),
        kafka_ingress(broker.bootstrap, "orders", {orders: ["a"], missing: ["a"]}),
        kafka_egress(f"127.0.0.1:{free_port()}"),
    )

    done = _connect(module, tmp_path, "--format", "json")

    assert done.returncode == 1
    away, topics, egress = json.loads(done.stdout)["checks"]
    assert (away["is_good"], away["found"]) == (False, "connection refused")
    assert (egress["is_good"], egress["found"]) == (False, "connection refused")
    assert topics["is_good"] is False
    assert topics["found"].endswith(f"; {orders} has 1 partition; topic {missing} does not exist")
    assert topics["hint"] == "create it; the worker would wait for it"
    assert missing not in broker.client.admin().list_topics(timeout=5).topics


def test_a_module_that_is_wrong_is_not_tried(tmp_path: Path) -> None:
    done = _connect(endpoint("nowhere", "t/*"), tmp_path)

    assert done.returncode == 2
    assert "bad: 2 errors" in done.stdout
    assert "failed" not in done.stdout


def test_addresses_that_come_from_outside_are_not_shown(tmp_path: Path) -> None:
    secret = f"127.0.0.1:{free_port()}"
    module = documents(
        endpoint("http://${HOST}/x", "t/*"), kafka_ingress("${HOST}", "a", {"b": ["c"]})
    )

    done = _connect(module, tmp_path, "--set", f"HOST={secret}")

    assert done.returncode == 1
    assert secret not in done.stdout + done.stderr
    assert "failed  endpoint t/* at http://${HOST}/x: connection refused" in done.stdout
    assert "failed  ingress t/a at ${HOST}: connection refused" in done.stdout
