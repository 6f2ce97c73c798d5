"""Several workers on one machine, of which any may die or freeze at any time, and whose number changes."""

import contextlib
import os
import random
import signal
from pathlib import Path

import pytest

from statefun_runtime.adapters.admin.admin_socket import admin_socket, ask_worker
from statefun_runtime.errors import UnavailableError
from tests.chaos.rig import IS_FULL, Rig, Tell, running
from tests.support.kafka.broker import KafkaBroker
from tests.support.processes import wait_until

pytestmark = [pytest.mark.integration, pytest.mark.kafka]


def _team(rig: Rig) -> list[int]:
    """Return the processes of the workers that run now, in the order of their key groups."""
    found: list[int] = []

    def is_there() -> bool:
        with contextlib.suppress(UnavailableError):
            status = ask_worker(admin_socket(rig.worker.state_dir), "status", {"limit": 1})
            found[:] = [worker["pid"] for worker in status["workers"]]
        return bool(found)

    wait_until(is_there, f"workers:\n{rig.worker.output()[-3000:]}", timeout_s=60)
    return found


def _signal_one(rig: Rig, chance: random.Random, number: int) -> None:
    os.kill(chance.choice(_team(rig)), number)
    rig.kills += number == signal.SIGKILL


def test_workers_are_killed_one_after_the_other(broker: KafkaBroker, tmp_path: Path, tell: Tell):
    chance = random.Random(7)
    with running(broker, tmp_path, seed=7, arguments=["--workers", "3"]) as rig:
        rig.wait_for_more()
        for _ in range(20 if IS_FULL else 2):
            rig.pause_at_random(2.0 if IS_FULL else 0.7)
            _signal_one(rig, chance, signal.SIGKILL)
            rig.wait_for_more()
        tell(rig.check())


def test_a_worker_that_is_frozen_is_replaced_and_all_go_on(
    broker: KafkaBroker, tmp_path: Path, tell: Tell
):
    chance = random.Random(8)
    with running(broker, tmp_path, seed=8, arguments=["--workers", "2"]) as rig:
        for _ in range(5 if IS_FULL else 1):
            rig.wait_for_more()
            _signal_one(rig, chance, signal.SIGSTOP)
            wait_until(lambda: "said nothing" in rig.worker.output(), "the silence to be heard")
            rig.wait_for_more()
        tell(rig.check())


def test_the_number_of_workers_is_another_after_every_kill(
    broker: KafkaBroker, tmp_path: Path, tell: Tell
):
    with running(broker, tmp_path, seed=9, arguments=["--workers", "1"]) as rig:
        for count in (3, 2, 1, 4, 1) if IS_FULL else (3, 1, 2):
            rig.wait_for_more()
            rig.pause_at_random(0.5)
            rig.worker.arguments[-1] = str(count)
            rig.kill_and_start()
        tell(rig.check())
