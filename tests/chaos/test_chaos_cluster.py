"""Processes of a cluster on one broker, of which any may die or freeze, while others come and leave."""

import os
import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.bench.rig import FNSERVER, function_server
from tests.chaos.rig import IS_FULL, PARTITIONS, Brokers, Feed, Reader, Rig, Tell, module
from tests.support.kafka.broker import KafkaBroker
from tests.support.kafka.cluster import Processes, leave
from tests.support.kafka.three import ThreeBrokers
from tests.support.worker import Worker

# For how long all of it happens by chance, and which chances these are.
STORY_S = float(os.environ.get("STATEFUN_STORY_S", 1800 if IS_FULL else 10))
STORY_SEED = int(os.environ.get("STATEFUN_STORY_SEED", 26))

pytestmark = [pytest.mark.integration, pytest.mark.kafka]


@contextmanager
def cluster(broker: Brokers, folder: Path, *, seed: int, count: int) -> Iterator[Rig]:
    """Run functions in C, the processes of a cluster, feed and reader."""
    names, out = (broker.client.unique_topic(name, PARTITIONS) for name in ("names", "out"))
    with function_server(FNSERVER, out, folder) as (_, port):
        processes = Processes(broker, module(broker, port, names), folder / "cluster")
        feed = Feed(broker, names, seed=seed, value=lambda n: b"%d" % n)
        reader = Reader(broker, out)
        try:
            processes.start(count)
            feed.start()
            yield Rig(processes, feed, [reader], seed)  # type: ignore[arg-type]
        finally:
            processes.close()
            reader.close()


def _of(rig: Rig) -> Processes:
    processes: Any = rig.worker
    assert isinstance(processes, Processes)
    return processes


def test_processes_of_a_cluster_die_and_others_go_on(
    broker: KafkaBroker, tmp_path: Path, tell: Tell
):
    chance = random.Random(21)
    with cluster(broker, tmp_path, seed=21, count=3) as rig:
        processes = _of(rig)
        rig.wait_for_more()
        for _ in range(20 if IS_FULL else 1):
            rig.pause_at_random(2.0)
            processes.kill_one(chance)
            rig.kills += 1
            rig.wait_for_more()
            processes.add(is_ready_awaited=False)
            processes.wait_for_seats(3)
            rig.wait_for_more()
        tell(rig.check())


def test_a_worker_that_dies_is_started_again_and_counted_where_its_leader_is(
    broker: KafkaBroker, tmp_path: Path, tell: Tell
):
    with cluster(broker, tmp_path, seed=27, count=2) as rig:
        processes = _of(rig)
        rig.wait_for_more()
        os.kill(processes.wait_for_seats(2)["workers"][1]["pid"], signal.SIGKILL)
        rig.kills += 1
        rig.wait_for_more()
        assert processes.wait_for_seats(2)["restarts"] == 1
        counts = [w.metrics().total("statefun_worker_restarts_total") for w in _alive(processes)]
        assert sorted(counts) == [0, 1]
        tell(rig.check())


def test_processes_come_and_leave_and_nothing_is_taken_back(
    broker: KafkaBroker, tmp_path: Path, tell: Tell
):
    with cluster(broker, tmp_path, seed=22, count=1) as rig:
        processes = _of(rig)
        rig.wait_for_more()
        processes.add(is_ready_awaited=False)
        processes.wait_for_seats(2)
        rig.wait_for_more()
        processes.running[0].stop_cleanly()
        rig.wait_for_more()
        processes.add(is_ready_awaited=False)
        status = processes.wait_for_seats(2)
        rig.wait_for_more()
        drained = next(one["process"] for one in status["processes"] if not one["leads"])
        processes.ask("drain", drained)
        processes.wait_for_seats(1)
        rig.wait_for_more()
        assert "go back to the last complete checkpoint" not in processes.output()
        tell(rig.check())


def test_a_process_that_is_frozen_is_replaced_and_finds_itself_fenced_when_it_wakes(
    broker: KafkaBroker, tmp_path: Path, tell: Tell
):
    with cluster(broker, tmp_path, seed=23, count=2) as rig:
        processes = _of(rig)
        for _ in range(5 if IS_FULL else 1):
            rig.wait_for_more()
            status = processes.wait_for_seats(2)
            leader = next(one for one in status["processes"] if one["leads"])
            _signal_all(leader["pid"], signal.SIGSTOP)
            rig.wait_for_more(300)
            _signal_all(leader["pid"], signal.SIGCONT)
            processes.wait_for_seats(2)
        tell(rig.check())


@pytest.mark.skipif(not IS_FULL, reason="the slice has them die by chance")
def test_brokers_die_one_after_the_other_and_are_there_again(tmp_path: Path, tell: Tell):
    with ThreeBrokers() as brokers:
        brokers.client.replication = 3
        with cluster(brokers, tmp_path, seed=24, count=2) as rig:
            for number in (2, 3) * 4 if IS_FULL else (2,):
                rig.wait_for_more()
                brokers.kill(number)
                # The first is the controller of all, which says when a silent one is gone: nine seconds.
                rig.wait_for_more(300, timeout_s=120)
                brokers.start(number)
                brokers.wait_for(3)
            tell(rig.check())


def _alive(processes: Processes) -> list[Worker]:
    return [worker for worker in processes.running if worker.process.exit_status is None]


def _signal_all(pid: int, number: int) -> None:
    """Signal a process and all below it."""
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        _signal_all(int(child), number)
    os.kill(pid, number)


class Story:
    """All that can happen to a cluster of three brokers and some processes, one after the other, by chance."""

    def __init__(self, rig: Rig, brokers: ThreeBrokers, shared: Path, *, seed: int) -> None:
        self._rig = rig
        self._processes = _of(rig)
        self._brokers = brokers
        self._shared = shared
        self._chance = random.Random(seed)
        self.told: Counter[str] = Counter()

    def go_on(self) -> None:
        """Have something happen, and return when results come again."""
        ways = [self.kill, self.kill, self.freeze, self.broker_dies, self.join, self.leave]
        happens = self._chance.choice([*ways, self.drain, self.store_is_away, self.kill_and_kill])
        self.told[happens.__name__] += 1
        happens()
        self._rig.wait_for_more(timeout_s=120)

    def kill(self) -> None:
        self._processes.kill_one(self._chance)
        self._rig.kills += 1
        self._processes.add(is_ready_awaited=False)

    def kill_and_kill(self) -> None:
        """Another one dies while the first is being replaced."""
        self.kill()
        self._rig.pause_at_random(3.0)
        self.kill()

    def freeze(self) -> None:
        alive = _alive(self._processes)
        pid = self._chance.choice(alive).pid
        _signal_all(pid, signal.SIGSTOP)
        self._rig.pause_at_random(4.0)
        _signal_all(pid, signal.SIGCONT)

    def broker_dies(self) -> None:
        """The first is the controller of all."""
        number = self._chance.choice((2, 3))
        self._brokers.kill(number)
        self._rig.wait_for_more(timeout_s=120)
        self._brokers.start(number)
        self._brokers.wait_for(3)

    def join(self) -> None:
        if self._count() < 4:
            self._processes.add(is_ready_awaited=False)

    def leave(self) -> None:
        alive = _alive(self._processes)
        if len(alive) > 2:
            leave(self._chance.choice(alive), timeout_s=60)

    def drain(self) -> None:
        if self._count() > 2:
            with suppress(subprocess.CalledProcessError):
                names = [one["process"] for one in self._processes.ask("status")["processes"]]
                self._processes.ask("drain", self._chance.choice(names))

    def store_is_away(self) -> None:
        away = self._shared.with_name("away")
        self._shared.rename(away)
        self._rig.pause_at_random(3.0)
        away.rename(self._shared)

    def _count(self) -> int:
        return len(_alive(self._processes))


def test_all_of_it_happens_by_chance(tmp_path: Path, tell: Tell):
    with ThreeBrokers() as brokers:
        brokers.client.replication = 3
        with cluster(brokers, tmp_path, seed=26, count=3) as rig:
            rig.wait_for_more()
            story = Story(
                rig, brokers, tmp_path / "cluster" / "shared" / "objects", seed=STORY_SEED
            )
            ends_s = time.monotonic() + STORY_S
            while time.monotonic() < ends_s:
                story.go_on()
            told = ", ".join(f"{name} {count}" for name, count in sorted(story.told.items()))
            tell(f"{rig.check()}; {told}")
