"""A broker from before Kafka 3.0, which needs a ZooKeeper beside it: what a cluster that is never touched runs."""

import tempfile
from pathlib import Path

from tests.support.kafka.client import KafkaClient
from tests.support.kafka.install import java_command
from tests.support.processes import Process, wait_until
from tests.support.sockets import free_port

VERSION = "2.8.2"
_QUIET = ("-Xmx256m", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn")


class OldBroker:
    """ZooKeeper and one broker on free ports; their data are gone when they are closed."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="kafka-old-")
        home = Path(self._folder.name)
        keeper, port = free_port(), free_port()
        self.bootstrap = f"127.0.0.1:{port}"
        self.client = KafkaClient(self.bootstrap)
        _write(
            home / "keeper.properties",
            {
                "dataDir": str(home / "keeper"),
                "clientPort": str(keeper),
                "clientPortAddress": "127.0.0.1",
                "admin.enableServer": "false",
            },
        )
        _write(
            home / "server.properties",
            {
                "broker.id": "1",
                "zookeeper.connect": f"127.0.0.1:{keeper}",
                "listeners": f"PLAINTEXT://{self.bootstrap}",
                "log.dirs": str(home / "data"),
                "offsets.topic.replication.factor": "1",
                "transaction.state.log.replication.factor": "1",
                "transaction.state.log.min.isr": "1",
                "transaction.state.log.num.partitions": "4",
            },
        )
        programs = {
            "keeper": "org.apache.zookeeper.server.quorum.QuorumPeerMain",
            "server": "kafka.Kafka",
        }
        self._processes = []
        for name, program in programs.items():
            command = java_command(
                program, home / f"{name}.properties", options=_QUIET, version=VERSION
            )
            self._processes.append(Process(command, log=home / f"{name}.log", cwd=home))
            if name == "keeper":
                self._processes[0].wait_for_port(keeper)
        wait_until(self.client.is_ready, f"Kafka {VERSION} at {self.bootstrap}", timeout_s=60)

    def unique_topic(self, stem: str) -> str:
        return self.client.unique_topic(stem)

    def close(self) -> None:
        for process in reversed(self._processes):
            process.kill9()
        self._folder.cleanup()


def _write(path: Path, settings: dict[str, str]) -> None:
    path.write_text("".join(f"{name}={text}\n" for name, text in settings.items()))
