"""Fixtures of the integration tests: function servers and applications, ended after their test or module."""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.applications import HttpApplication
from tests.support.http.faulty_process import FaultyProcess
from tests.support.kafka.broker import KafkaBroker
from tests.support.processes import Process
from tests.support.provisions import ROOT

SCRIPT = "tests.integration.scripted:script"
KAFKA = "tests.integration.scripted:kafka"
KINESIS = "tests.integration.scripted:kinesis"


@pytest.fixture(autouse=True)
def _marked(request: pytest.FixtureRequest) -> None:
    """Every test here is one with real processes; the file's `pytestmark` says so too."""
    assert request.node.get_closest_marker("integration"), (
        "mark the file with pytest.mark.integration"
    )


@pytest.fixture
def application(tmp_path: Path) -> Iterator[Callable[..., HttpApplication]]:
    """Return a factory: `application(endpoints, topic=…, arguments=…)`."""
    made: list[HttpApplication] = []

    def make(*endpoints: str, **settings: object) -> HttpApplication:
        folder = tmp_path / f"application-{len(made)}"
        made.append(HttpApplication(endpoints, folder, **settings))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def functions(tmp_path: Path) -> Iterator[Callable[..., FaultyProcess]]:
    """Return a factory of function servers: `functions("module:handler", plan=…)`."""
    made: list[FaultyProcess] = []

    def make(handler: str, *, plan: str = "") -> FaultyProcess:
        made.append(FaultyProcess(handler, tmp_path, plan=plan))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[[int], Process]]:
    """Return a function that serves `t/*` on a port of one's choice: for servers that come and go."""
    made: list[Process] = []

    def start(port: int) -> Process:
        env = {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "sdk" / "python")])}
        arguments = ["-m", "tests.support.http.faulty_process", str(port), SCRIPT, ""]
        log = tmp_path / f"served-{len(made)}.log"
        made.append(Process([sys.executable, *arguments], log=log, env=env))
        made[-1].wait_for_port(port)
        return made[-1]

    yield start
    for each in made:
        each.stop()


@pytest.fixture(scope="session")
def kafka_functions(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultyProcess]:
    """One function server for all Kafka tests: any type in `t`, see `scripted.kafka`."""
    served = FaultyProcess(KAFKA, tmp_path_factory.mktemp("kafka-functions"))
    yield served
    served.close()


@pytest.fixture(scope="session")
def kinesis_functions(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultyProcess]:
    """One function server for all Kinesis tests: any type in `t`, see `scripted.kinesis`."""
    served = FaultyProcess(KINESIS, tmp_path_factory.mktemp("kinesis-functions"))
    yield served
    served.close()


@pytest.fixture
def serve_command(tmp_path: Path) -> Iterator[Callable[[list[str], int], Process]]:
    """Return a function that runs the command of a function server, and waits for its port."""
    made: list[Process] = []

    def start(command: list[str], port: int) -> Process:
        made.append(Process(command, log=tmp_path / f"command-{len(made)}.log"))
        made[-1].wait_for_port(port)
        return made[-1]

    yield start
    for each in made:
        each.stop()


@pytest.fixture
def ours(broker: KafkaBroker) -> Iterator[KafkaBroker]:
    """The shared broker, if it may be stopped; it runs again afterwards."""
    if not broker.is_ours:
        pytest.skip("the broker that KAFKA_BOOTSTRAP_SERVERS names is not ours to stop")
    yield broker
    if not broker.client.is_ready():
        broker.restart()
