"""The ways to run Apache Kafka: from its jars, or in a container."""

import base64
import tempfile
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from tests.support.kafka.install import ARCHIVE, KAFKA_VERSION, archive_name, java_command
from tests.support.processes import Process, wait_until
from tests.support.provisions import (
    Unavailable,
    command_path,
    made_once,
    run_or_unavailable,
)
from tests.support.sockets import free_port, is_listening

IMAGE = f"apache/kafka:{KAFKA_VERSION}"
STOP_S = 20.0


class Server(Protocol):
    """A broker on fixed ports, whose data outlive `stop` and `kill` until `discard`."""

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def kill(self) -> None: ...

    def pause(self) -> None: ...

    def resume(self) -> None: ...

    def discard(self) -> None: ...

    def is_running(self) -> bool: ...

    def log(self) -> str: ...

    @property
    def pid(self) -> int: ...


def properties(
    port: int, controller_port: int, data: str, host: str = "127.0.0.1"
) -> dict[str, str]:
    """Return the settings of one KRaft broker, with transactions and quick consumer groups."""
    return {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@127.0.0.1:{controller_port}",
        "listeners": f"PLAINTEXT://{host}:{port},CONTROLLER://127.0.0.1:{controller_port}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port}",
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "PLAINTEXT",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "log.dirs": data,
        "num.partitions": "1",
        "offsets.topic.replication.factor": "1",
        "offsets.topic.num.partitions": "4",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "transaction.state.log.num.partitions": "4",
        "group.initial.rebalance.delay.ms": "0",
        # How long a killed broker's own registration keeps it from coming back.
        "broker.session.timeout.ms": "3000",
        "broker.heartbeat.interval.ms": "500",
    }


def new_cluster_id() -> str:
    """Return the id of a cluster that there is not yet."""
    made = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    return made.replace("-", "A", 1)


class JavaServer:
    """Kafka from its jars, in a child process with a temporary data folder."""

    def __init__(
        self,
        port: int,
        settings: Mapping[str, str],
        *,
        cpus: frozenset[int] | None = None,
        cluster_id: str | None = None,
    ) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="kafka-broker-")
        self._home = Path(self._folder.name)
        self._config = self._home / "server.properties"
        # A folder for each topic partition.
        self.data = self._home / "data"
        lines = properties(port, free_port(), str(self.data)) | dict(settings)
        self._config.write_text("".join(f"{k}={v}\n" for k, v in lines.items()))
        self._cpus = cpus
        self._process: Process | None = None
        # One broker is alone in its cluster, if it is not said which that is.
        format_ = ("format", "-t", cluster_id or new_cluster_id(), "-c", self._config)
        command = java_command("kafka.tools.StorageTool", *format_)
        run_or_unavailable(command, cwd=self._home, timeout_s=60)

    def start(self, *options: str) -> None:
        assert not self.is_running(), "the broker runs already"
        options += ("-Xmx512m", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn")
        self._process = Process(
            java_command("kafka.Kafka", self._config, options=options),
            log=self._home / "broker.log",
            cwd=self._home,
            cpus=self._cpus,
        )

    def stop(self, *, timeout_s: float = STOP_S) -> None:
        if self._process is not None:
            self._process.stop(timeout_s=timeout_s)

    def kill(self) -> None:
        self._running().kill9()

    def pause(self) -> None:
        self._running().pause()

    def resume(self) -> None:
        self._running().resume()

    def discard(self) -> None:
        if self._process is not None and self.is_running():
            # The data go next: there is nothing to shut down in order for.
            self._process.kill9()
        self._folder.cleanup()

    def is_running(self) -> bool:
        return self._process is not None and self._process.exit_status is None

    def log(self) -> str:
        return "" if self._process is None else self._process.output()

    @property
    def pid(self) -> int:
        return self._running().pid

    def _running(self) -> Process:
        assert self._process is not None, "the broker was not started"
        return self._process


def archive_classes() -> Path:
    """Have Java read and check the classes of a broker once, and not at each of its starts, which cost half without that."""
    return made_once(archive_name(), _archive_classes)


def _archive_classes(directory: Path) -> None:
    port = free_port()
    server = JavaServer(port, {})
    try:
        server.start(f"-XX:ArchiveClassesAtExit={directory / ARCHIVE}")
        wait_until(lambda: is_listening(port), "a broker", timeout_s=60)
        server.stop(timeout_s=120)
    finally:
        server.discard()
    if not (directory / ARCHIVE).exists():
        raise Unavailable(f"Java made no archive of its classes:\n{server.log()[-1000:]}")


class DockerServer:
    """Kafka's own image; the container keeps the data until it is removed."""

    def __init__(self, port: int, settings: Mapping[str, str]) -> None:
        self._docker = command_path("docker")
        # Answers only when there is a daemon.
        self._run("version", "--format", "{{.Server.Version}}", timeout_s=10)
        self._name = f"statefun-tests-{uuid.uuid4().hex[:10]}"
        lines = properties(port, 9093, "/tmp/kraft-data", host="0.0.0.0") | dict(settings)
        named = {f"KAFKA_{k.upper().replace('.', '_')}": v for k, v in lines.items()}
        env = [part for k, v in named.items() for part in ("-e", f"{k}={v}")]
        publish = f"127.0.0.1:{port}:{port}"
        self._run("create", "--name", self._name, "-p", publish, *env, IMAGE, timeout_s=600)

    def start(self) -> None:
        self._run("start", self._name)

    def stop(self) -> None:
        self._run("stop", "-t", f"{STOP_S:.0f}", self._name)

    def kill(self) -> None:
        self._run("kill", self._name)

    def pause(self) -> None:
        self._run("pause", self._name)

    def resume(self) -> None:
        self._run("unpause", self._name)

    def discard(self) -> None:
        self._run("rm", "-f", "-v", self._name)

    def is_running(self) -> bool:
        return self._run("inspect", "-f", "{{.State.Running}}", self._name).strip() == "true"

    def log(self) -> str:
        return self._run("logs", "--tail", "40", self._name)

    @property
    def pid(self) -> int:
        return int(self._run("inspect", "-f", "{{.State.Pid}}", self._name))

    def _run(self, *arguments: str, timeout_s: float = 60) -> str:
        return run_or_unavailable([self._docker, *arguments], cwd=Path.cwd(), timeout_s=timeout_s)


def new_server(
    port: int, settings: Mapping[str, str], *, cpus: frozenset[int] | None = None
) -> Server:
    """Return a broker that is not started yet: Java and Maven first, then Docker."""
    try:
        return JavaServer(port, settings, cpus=cpus)
    except Unavailable as error:
        java_problem = str(error)
    try:
        return DockerServer(port, settings)
    except Unavailable as error:
        raise Unavailable(
            f"no Kafka broker: KAFKA_BOOTSTRAP_SERVERS is not set; Java: {java_problem}; "
            f"Docker: {error}"
        ) from error
