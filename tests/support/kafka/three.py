"""Three brokers that are one cluster, from Kafka's jars; the first is its controller, too."""

from types import TracebackType

from tests.support.kafka.client import KafkaClient
from tests.support.kafka.servers import JavaServer, new_cluster_id
from tests.support.processes import wait_until
from tests.support.sockets import free_port

_START_S = 90.0


class ThreeBrokers:
    """Brokers 1 to 3; its own topics have a replica on each, or on as many as `own_replicas` says."""

    def __init__(self, *, own_replicas: int = 3) -> None:
        self.ports = [free_port() for _ in range(3)]
        self.bootstrap = ",".join(f"127.0.0.1:{port}" for port in self.ports)
        self.client = KafkaClient(self.bootstrap)
        controller, cluster_id = free_port(), new_cluster_id()
        self._servers = [
            JavaServer(
                port, self._settings(number, port, controller, own_replicas), cluster_id=cluster_id
            )
            for number, port in enumerate(self.ports, 1)
        ]

    def _settings(
        self, number: int, port: int, controller: int, own_replicas: int
    ) -> dict[str, str]:
        own = f"PLAINTEXT://127.0.0.1:{port}"
        also = f",CONTROLLER://127.0.0.1:{controller}" if number == 1 else ""
        return {
            "process.roles": "broker,controller" if number == 1 else "broker",
            "node.id": str(number),
            "controller.quorum.voters": f"1@127.0.0.1:{controller}",
            "listeners": own + also,
            "advertised.listeners": own,
            "offsets.topic.replication.factor": str(own_replicas),
            "transaction.state.log.replication.factor": str(own_replicas),
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        }

    def __enter__(self) -> "ThreeBrokers":
        for server in self._servers:
            server.start()
        self.wait_for(3)
        return self

    def wait_for(self, count: int) -> None:
        """Return when the cluster has so many brokers."""
        wait_until(
            lambda: self.client.broker_count() == count, f"{count} brokers", timeout_s=_START_S
        )

    def stop(self, number: int) -> None:
        """Shut one down in order."""
        self._servers[number - 1].stop()

    def kill(self, number: int) -> None:
        """End one at once."""
        self._servers[number - 1].kill()

    def start(self, number: int) -> None:
        """Start one again, with the data of before."""
        self._servers[number - 1].start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for server in self._servers:
            server.discard()
