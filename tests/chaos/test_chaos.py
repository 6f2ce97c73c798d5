"""Whatever dies and whenever: nothing lost, nothing doubled, nothing out of order.

A slice of each story runs with the other tests; `make chaos` (STATEFUN_CHAOS=full) runs them long.
"""

import asyncio
import shutil
import time
from pathlib import Path

import pytest

from statefun_runtime.connectors.kafka.client.clients import AIOKAFKA
from statefun_runtime.connectors.kafka.egress import progress as kafka_progress
from statefun_runtime.core.checkpoints.commits import Claim
from statefun_runtime.errors import UnavailableError
from tests.chaos.rig import IS_FULL, PARTITIONS, Feed, Reader, Tell, driven, running
from tests.support.http.faulty_process import FaultyProcess
from tests.support.kafka.broker import KafkaBroker
from tests.support.processes import wait_until
from tests.support.worker import Worker

pytestmark = [pytest.mark.integration, pytest.mark.kafka]


@pytest.mark.parametrize("interval", ["50ms", "100ms"] if IS_FULL else ["100ms"])
def test_a_worker_that_is_killed_again_and_again(
    broker: KafkaBroker, tmp_path: Path, interval: str, tell: Tell
):
    with running(broker, tmp_path, seed=len(interval), interval=interval) as rig:
        rig.wait_for_more()
        for _ in range(20 if IS_FULL else 2):
            rig.pause_at_random(2.0 if IS_FULL else 0.7)
            rig.kill_and_start()
        tell(rig.check())


@pytest.mark.usefixtures("only_full")
def test_a_worker_that_is_killed_before_it_has_recovered(
    broker: KafkaBroker, tmp_path: Path, tell: Tell
):
    with running(broker, tmp_path, seed=11, interval="50ms") as rig:
        for _ in range(5):
            rig.wait_for_more()
            for _ in range(4):
                rig.kill_and_start()
                rig.pause_at_random(1.2)
        tell(rig.check())


@pytest.mark.usefixtures("only_full")
def test_at_least_once_loses_nothing(broker: KafkaBroker, tmp_path: Path, tell: Tell):
    with running(broker, tmp_path, seed=12, delivery="at-least-once") as rig:
        rig.wait_for_more()
        for _ in range(20):
            rig.pause_at_random(1.0)
            rig.kill_and_start()
        tell(rig.check(may_repeat=True))


def test_a_worker_that_is_frozen_past_its_transaction_timeout(
    broker: KafkaBroker, tmp_path: Path, tell: Tell
):
    with running(broker, tmp_path, seed=2, timeout="2s") as rig:
        for _ in range(5 if IS_FULL else 1):
            rig.wait_for_more()
            rig.pause_at_random(1.0)
            rig.worker.process.pause()
            # The broker aborts what is open after two seconds, and looks for such transactions every ten.
            time.sleep(15.0 if IS_FULL else 3.0)
            rig.worker.process.resume()
        tell(rig.check())


def test_a_zombie_beside_its_copy_publishes_nothing_and_ends(
    broker: KafkaBroker, tmp_path: Path, tell: Tell
):
    with running(broker, tmp_path, seed=3) as rig:
        zombies = []
        for life in range(3 if IS_FULL else 1):
            rig.wait_for_more()
            rig.pause_at_random(0.5)
            zombies.append(rig.worker)
            rig.worker = _frozen_and_copied(rig.worker, tmp_path / f"copy-{life}")
            try:
                wait_until(lambda: "publishes to" in rig.worker.output(), "the copy to publish")
                zombies[-1].process.resume()
                wait_until(
                    lambda: zombies[-1].process.exit_status is not None, "the end", timeout_s=60
                )
                assert zombies[-1].process.exit_status == 3, zombies[-1].output()[-2000:]
                assert "SF4002" in zombies[-1].output()
            finally:
                zombies[-1].close()
        try:
            tell(rig.check())
        finally:
            rig.worker.close()


def _frozen_and_copied(old: Worker, folder: Path) -> Worker:
    """Freeze a worker, and start another one on a copy of its folder."""
    old.process.pause()
    left_out = shutil.ignore_patterns("lock", "live", "*.sock")
    shutil.copytree(old.state_dir, folder / "state", ignore=left_out)
    return Worker(old.module_file.read_text(), folder, arguments=old.arguments).start()


def test_a_broker_that_goes_away_while_the_worker_is_killed(
    mortal: KafkaBroker, tmp_path: Path, tell: Tell
):
    with running(mortal, tmp_path, seed=5) as rig:
        for _ in range(3 if IS_FULL else 1):
            rig.wait_for_more()
            rig.pause_at_random(1.0)
            mortal.kill()
            for _ in range(4 if IS_FULL else 1):
                rig.pause_at_random(30.0 if IS_FULL else 3.0)
                rig.kill_and_start()
            mortal.start()
            rig.pause_at_random(2.0)
            rig.kill_and_start()
        tell(rig.check())


@pytest.mark.usefixtures("only_full")
def test_a_broker_that_dies_while_the_worker_recovers(
    mortal: KafkaBroker, tmp_path: Path, tell: Tell
):
    with running(mortal, tmp_path, seed=9) as rig:
        for _ in range(10):
            rig.wait_for_more()
            rig.kill_and_start()
            rig.pause_at_random(1.5)
            mortal.kill()
            rig.pause_at_random(1.0)
            mortal.start()
        tell(rig.check())


@pytest.mark.usefixtures("only_full")
def test_a_broker_that_dies_while_progress_is_read_is_waited_for(
    mortal: KafkaBroker, monkeypatch: pytest.MonkeyPatch
):
    # The client's own cancellation, if it escaped, would end the publisher without a word.
    monkeypatch.setattr(kafka_progress, "_READ_LIMIT_S", 4.0)
    topic, arguments = mortal.unique_topic("progress"), {"bootstrap_servers": mortal.bootstrap}
    missing = Claim(1, "nonce", 1)

    async def read_from_a_dying_broker() -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(asyncio.to_thread(_kill_in_a_moment, mortal))
            await kafka_progress.read_until(AIOKAFKA, topic, missing, arguments)

    try:
        with pytest.raises(ExceptionGroup) as raised:
            asyncio.run(read_from_a_dying_broker())
        assert raised.group_contains(UnavailableError, match="does not show what was written")
    finally:
        mortal.start()


def _kill_in_a_moment(broker: KafkaBroker) -> None:
    time.sleep(1.0)
    broker.kill()


@pytest.mark.usefixtures("only_full")
def test_a_broker_that_is_restarted(mortal: KafkaBroker, tmp_path: Path, tell: Tell):
    with running(mortal, tmp_path, seed=6) as rig:
        for _ in range(5):
            rig.wait_for_more()
            rig.pause_at_random(1.0)
            mortal.restart()
        tell(rig.check())


@pytest.mark.usefixtures("only_full")
def test_a_broker_that_is_frozen_for_longer_than_a_transaction_may_last(
    mortal: KafkaBroker, tmp_path: Path, tell: Tell
):
    with running(mortal, tmp_path, seed=7, timeout="2s") as rig:
        rig.wait_for_more()
        rig.pause_at_random(1.0)
        mortal.pause()
        time.sleep(65.0)
        mortal.resume()
        tell(rig.check())


TWO_CLUSTERS = """\
kind: io.statefun.endpoints.v2/http
spec:
  functions: chaos/*
  urlPathTemplate: {url}
---
kind: io.statefun.kafka.v1/ingress
spec:
  id: chaos/in
  address: {here}
  consumerGroupId: chaos
  startupPosition: {{type: earliest}}
  topics:
    - topic: {names}
      valueType: chaos/text
      targets: [chaos/both]
---
kind: io.statefun.kafka.v1/egress
spec:
  id: chaos/here
  address: {here}
  deliverySemantic: {{type: exactly-once, transactionTimeout: 10s}}
---
kind: io.statefun.kafka.v1/egress
spec:
  id: chaos/there
  address: {there}
  deliverySemantic: {{type: exactly-once, transactionTimeout: 10s}}
"""


@pytest.mark.usefixtures("only_full")
def test_two_clusters_one_of_which_goes_away(
    broker: KafkaBroker, second_broker: KafkaBroker, tmp_path: Path, tell: Tell
):
    names, here = broker.unique_topic("names", PARTITIONS), broker.unique_topic("here", PARTITIONS)
    there = second_broker.unique_topic("there", PARTITIONS)
    functions = FaultyProcess("tests.chaos.functions:handle", tmp_path)
    text = TWO_CLUSTERS.format(
        url=functions.url, here=broker.bootstrap, there=second_broker.bootstrap, names=names
    )
    worker = Worker(text, tmp_path / "worker", arguments=["--checkpoint-interval", "100ms"])
    feed = Feed(broker, names, seed=8, value=lambda n: f"{here} {there} {n}".encode())
    readers = [Reader(broker, here), Reader(second_broker, there)]
    try:
        with driven(worker, feed, readers, seed=8) as rig:
            for _ in range(3):
                rig.wait_for_more(reader=1)
                second_broker.kill()
                # What goes to the one cluster does not wait for the other.
                rig.wait_for_more()
                rig.kill_and_start()
                rig.wait_for_more(5000)
                second_broker.start()
                rig.wait_for_more(reader=1)
            tell(rig.check())
    finally:
        functions.close()
