"""Whatever dies and whenever: nothing lost, nothing doubled, nothing out of order.

A slice of each story runs with the other tests; `make chaos` (STATEFUN_CHAOS=full) runs them long.
"""

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.rig import running
from tests.support.kafka_broker import KafkaBroker
from tests.support.processes import wait_until
from tests.support.worker import Worker

pytestmark = [pytest.mark.integration, pytest.mark.kafka]
IS_FULL = os.environ.get("STATEFUN_CHAOS") == "full"


@pytest.fixture
def own_broker() -> Iterator[KafkaBroker]:
    """A broker of the test's own, for those that stop it."""
    with KafkaBroker() as broker:
        if not broker.is_ours:
            pytest.skip("the broker that KAFKA_BOOTSTRAP_SERVERS names is not ours to stop")
        yield broker


@pytest.mark.parametrize("seed", range(3) if IS_FULL else [1])
def test_a_worker_that_is_killed_again_and_again(broker: KafkaBroker, tmp_path: Path, seed: int):
    with running(broker, tmp_path, seed=seed, interval="50ms") as rig:
        for _ in range(20 if IS_FULL else 5):
            rig.pause_at_random(1.5)
            rig.kill_and_start()
        assert rig.check() > 0


def test_a_worker_that_is_frozen_past_its_transaction_timeout(broker: KafkaBroker, tmp_path: Path):
    with running(broker, tmp_path, seed=2, timeout="2s") as rig:
        for _ in range(4 if IS_FULL else 1):
            rig.pause_at_random(1.0)
            rig.worker.process.pause()
            # The broker aborts what is open after two seconds, and looks for such transactions every ten.
            time.sleep(15.0 if IS_FULL else 4.0)
            rig.worker.process.resume()
        rig.check()


def test_a_zombie_beside_its_copy_publishes_nothing_and_ends(broker: KafkaBroker, tmp_path: Path):
    with running(broker, tmp_path, seed=3) as rig:
        rig.pause_at_random(1.0)
        old = rig.worker
        old.process.pause()
        left_out = shutil.ignore_patterns("lock", "live", "*.sock")
        shutil.copytree(old.state_dir, tmp_path / "copy" / "state", ignore=left_out)
        new = Worker(old.module_file.read_text(), tmp_path / "copy", arguments=old.arguments)
        try:
            new.start()
            wait_until(lambda: "publishes to" in new.output(), "the copy to publish")
            old.process.resume()
            wait_until(
                lambda: old.process.exit_status is not None, "the zombie's end", timeout_s=60
            )
            assert old.process.exit_status == 1
            assert "SF4002" in old.output()
            rig.check()
        finally:
            new.close()


def test_a_broker_that_goes_away_while_the_worker_is_killed(
    own_broker: KafkaBroker, tmp_path: Path
):
    with running(own_broker, tmp_path, seed=4) as rig:
        for _ in range(3 if IS_FULL else 1):
            rig.pause_at_random(1.0)
            own_broker.kill()
            rig.pause_at_random(60.0 if IS_FULL else 2.0)
            rig.kill_and_start()
            rig.pause_at_random(2.0)
            own_broker.start()
            rig.pause_at_random(2.0)
            rig.kill_and_start()
        rig.check()


def test_a_broker_that_is_frozen_for_longer_than_a_transaction_may_last(
    own_broker: KafkaBroker, tmp_path: Path
):
    with running(own_broker, tmp_path, seed=5, timeout="2s") as rig:
        rig.pause_at_random(1.0)
        own_broker.pause()
        time.sleep(65.0 if IS_FULL else 4.0)
        own_broker.resume()
        rig.check()
