"""A cluster under test: its topics on a broker, and its processes."""

import asyncio
import json
import random
import subprocess
import sys
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from statefun_runtime.app.cluster.asking import ask_cluster
from statefun_runtime.config.cluster import ClusterSettings
from statefun_runtime.connectors.kafka.cluster.topics import Brokers, make_topics
from statefun_runtime.errors import StatefunError
from tests.support.kafka.broker import KafkaBroker
from tests.support.kafka.three import ThreeBrokers
from tests.support.processes import wait_until
from tests.support.worker import Worker


def cluster_topics(broker: KafkaBroker) -> Brokers:
    """Make the topics of a cluster that nobody else has."""
    brokers = Brokers(f"c{uuid.uuid4().hex[:8]}", broker.bootstrap)
    asyncio.run(make_topics(brokers))
    return brokers


def leave(worker: Worker, *, timeout_s: float = 30.0) -> None:
    """Have a process leave once it is there: an interpreter that only begins would end at once.

    One that was drained may have left by itself meanwhile.
    """
    process = worker.process
    wait_until(
        lambda: process.exit_status is not None or " stands by; " in worker.output(),
        f"word that a process is there:\n{worker.output()}",
    )
    status = process.sigterm(timeout_s=timeout_s)
    assert status == 0, f"a process left with status {status}:\n{worker.output()}"


class Processes:
    """The processes of one cluster, which share a folder for checkpoints; it stands for a worker in a rig.

    Each of those that run has one of `hosts` for itself, as if on a machine of its own, if there are any.
    """

    def __init__(
        self,
        broker: KafkaBroker | ThreeBrokers,
        text: str,
        folder: Path,
        *,
        hosts: Sequence[str] = (),
    ) -> None:
        self._hosts = hosts
        self.host_of: dict[Worker, str] = {}
        self._broker = broker
        self._text = text
        self._folder = folder
        self._count = 0
        self.name = f"c{uuid.uuid4().hex[:8]}"
        self.running: list[Worker] = []

    def add(self, *more: str, is_ready_awaited: bool = True) -> Worker:
        """Start one more, with these arguments behind those of all."""
        self._count += 1
        arguments = ["--cluster", self.name, "--kafka", self._broker.bootstrap]
        arguments += ["--checkpoints", (self._folder / "shared").as_uri()]
        arguments += ["--checkpoint-interval", "100ms", *more]
        host = self._free_host()
        arguments += ["--host", host] if host else []
        worker = Worker(self._text, self._folder / f"p{self._count}", arguments=arguments)
        self.host_of[worker] = host
        self.running.append(worker)
        return worker.start(is_ready_awaited=is_ready_awaited)

    def _free_host(self) -> str:
        taken = [self.host_of[one] for one in self.running if one.process.exit_status is None]
        return next((host for host in self._hosts if host not in taken), "")

    def start(self, count: int = 2) -> None:
        """Start some, and return when each has a worker."""
        for _ in range(count):
            self.add(is_ready_awaited=False)
        self.wait_for_seats(count)

    def kill_one(self, chance: random.Random) -> None:
        """Kill one of those that run."""
        chance.choice([w for w in self.running if w.process.exit_status is None]).kill9()

    def ask(self, *what: str) -> dict[str, Any]:
        command = [sys.executable, "-m", "statefun_runtime.cli", "cluster", *what]
        command += ["--cluster", self.name, "--kafka", self._broker.bootstrap, "--format", "json"]
        answer = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
        found: dict[str, Any] = json.loads(answer.stdout)
        return found

    def wait_for_seats(self, count: int) -> dict[str, Any]:
        """Return the cluster's status when so many processes have a worker."""
        found: list[dict[str, Any]] = []
        settings = ClusterSettings(self.name, self._broker.bootstrap)

        def is_so() -> bool:
            # As the command does: a process for each question would cost more than the cluster.
            try:
                found[:] = [ask_cluster(settings, "cluster-status", {})]
            except StatefunError:
                return False
            seated = [one for one in found[0]["processes"] if one["slots"]]
            return len(seated) == count == len(found[0]["workers"])

        try:
            wait_until(is_so, f"{count} workers", timeout_s=60)
        except TimeoutError as error:
            raise AssertionError(f"{error}\n{found}\n{self.output()}") from None
        return found[0]

    def output(self) -> str:
        return "\n".join(f"== {w.directory.name}\n{w.output()}" for w in self.running)

    def stop_cleanly(self) -> None:
        """Stop all, one after the other: the last one takes the last checkpoint."""
        for worker in self.running:
            if worker.process.exit_status is None:
                leave(worker)

    def close(self) -> None:
        for worker in self.running:
            worker.close()
