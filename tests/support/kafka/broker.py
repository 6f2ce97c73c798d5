"""A real Kafka broker for tests and demos.

The order is: the broker that KAFKA_BOOTSTRAP_SERVERS names; Kafka's jars with
Java and Maven; Docker; else `Unavailable` says what is missing.

    python -m tests.support.kafka.broker run [--port N]     until Ctrl-C
    python -m tests.support.kafka.broker prepare            fetch the jars
"""

import argparse
import os
import signal
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import FrameType, TracebackType

from tests.support.kafka import install as kafka_install
from tests.support.kafka.client import KafkaClient, Record
from tests.support.kafka.servers import Server, new_server
from tests.support.processes import wait_until
from tests.support.provisions import Unavailable, run_or_unavailable
from tests.support.sockets import free_port

START_S = 60.0
# A broker that the environment names should be there already.
NAMED_START_S = 15.0


class KafkaBroker:
    """One broker: its life, and its topics.

    As a context manager it is started, and its data are gone afterwards. A broker
    that the environment names is used as it is: its life is not ours to control.
    """

    def __init__(
        self,
        port: int | None = None,
        *,
        settings: Mapping[str, str] | None = None,
        cpus: frozenset[int] | None = None,
    ) -> None:
        named = os.environ.get("KAFKA_BOOTSTRAP_SERVERS")
        self._server: Server | None = None
        if named:
            self.bootstrap = named
        else:
            port = port or free_port()
            self._server = new_server(port, settings or {}, cpus=cpus)
            self.bootstrap = f"127.0.0.1:{port}"
        self.client = KafkaClient(self.bootstrap)

    @property
    def is_ours(self) -> bool:
        """False for a broker that the environment names: it can be used, not stopped."""
        return self._server is not None

    @property
    def pid(self) -> int:
        return self._ours().pid

    def start(self) -> "KafkaBroker":
        """Return when the broker answers, on the same port and with the same data as before."""
        if self._server is not None:
            self._server.start()
        timeout_s = START_S if self.is_ours else NAMED_START_S
        wait_until(self._is_ready, f"Kafka at {self.bootstrap}", timeout_s=timeout_s)
        return self

    def stop(self) -> None:
        """Shut down in order; the data stay for the next `start`."""
        if self._server is not None:
            self._server.stop()

    def kill(self) -> None:
        self._ours().kill()

    def restart(self) -> None:
        self._ours().stop()
        self.start()

    def pause(self) -> None:
        """Freeze the broker: connections stay open and nothing is answered."""
        self._ours().pause()

    def resume(self) -> None:
        self._ours().resume()

    def close(self) -> None:
        """End the broker in whatever state it is, and remove its data."""
        if self._server is not None:
            self._server.discard()

    def log(self) -> str:
        return self._ours().log()

    def create_topic(self, name: str, partitions: int = 1, **config: str) -> str:
        return self.client.create_topic(name, partitions, **config)

    def unique_topic(self, stem: str, partitions: int = 1, **config: str) -> str:
        """Create a topic that no other test has."""
        return self.client.unique_topic(stem, partitions, **config)

    def produce(
        self, topic: str, records: Iterable[tuple[bytes | str | None, bytes | str | None]]
    ) -> None:
        self.client.produce(topic, records)

    def consume(self, topic: str, count: int, *, timeout_s: float = 30.0) -> list[Record]:
        return self.client.consume(topic, count, timeout_s=timeout_s)

    def end_offsets(self, topic: str) -> dict[int, int]:
        return self.client.end_offsets(topic)

    def delete_records(self, topic: str, *, before: dict[int, int]) -> None:
        self.client.delete_records(topic, before=before)

    def limit_produce_rate(self, client_id: str, *, bytes_a_second: int) -> None:
        """Have the broker slow down what a client of this name sends."""
        command = kafka_install.java_command(
            "kafka.admin.ConfigCommand",
            *("--bootstrap-server", self.bootstrap, "--alter"),
            *("--entity-type", "clients", "--entity-name", client_id),
            *("--add-config", f"producer_byte_rate={bytes_a_second}"),
        )
        run_or_unavailable(command, cwd=Path.cwd(), timeout_s=60)

    def __enter__(self) -> "KafkaBroker":
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _is_ready(self) -> bool:
        if self._server is not None and not self._server.is_running():
            raise Unavailable(f"Kafka ended while starting:\n{self._server.log()[-2000:]}")
        return self.client.is_ready()

    def _ours(self) -> Server:
        if self._server is None:
            raise Unavailable(f"the broker at {self.bootstrap} is not ours to stop or freeze")
        return self._server


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="kafka_broker", description="A Kafka broker for tests.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("prepare", help="fetch Kafka's jars into .cache")
    run = commands.add_parser("run", help="run a broker until Ctrl-C")
    run.add_argument("--port", type=int, help="default: a free one")
    options = parser.parse_args(arguments)
    # SIGTERM ends it as Ctrl-C does, with the broker stopped and its data removed. A shell
    # starts what it puts into the background with SIGINT ignored: hence both.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    try:
        _announce_download()
        if options.command == "prepare":
            kafka_install.prepare()
        else:
            _run(options.port)
    except Unavailable as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0
    return 0


def _run(port: int | None) -> None:
    with KafkaBroker(port) as broker:
        print(f"bootstrap {broker.bootstrap}", flush=True)
        while True:
            signal.pause()


def _announce_download() -> None:
    if not os.environ.get("KAFKA_BOOTSTRAP_SERVERS") and not kafka_install.is_prepared():
        print(f"fetching Apache Kafka {kafka_install.KAFKA_VERSION} (43 MB, once) …", flush=True)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
