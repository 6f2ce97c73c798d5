"""What a job of Flink has left in Kafka: transactions that a savepoint names, and nobody has ended."""

import asyncio
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from struct import pack

from aiokafka.admin import AIOKafkaAdminClient
from confluent_kafka import Producer

from statefun_runtime.connectors.kafka.client.transactions import Described, describe
from tests.support.flink.savepoints import FOLDER, expected_rows, unpacked
from tests.support.kafka.broker import KafkaBroker
from tests.support.kafka.old import OldBroker

NAME = "Y1"


class Flink:
    """Producers as the job of a savepoint left them, and the savepoint that names them."""

    def __init__(
        self,
        broker: KafkaBroker | OldBroker,
        folder: Path,
        *,
        address: str = "",
        properties: Mapping[str, str] | None = None,
    ) -> None:
        self._broker = broker
        self._folder = folder
        self.topic = broker.unique_topic("acks")
        self.savepoint = unpacked(NAME, folder)
        self.state = folder / "state"
        module = (FOLDER / "A-module.yaml").read_text()
        self.module = folder / "module.yaml"
        module = module.replace("127.0.0.1:23092", address or broker.bootstrap)
        self.module.write_text(_with_properties(module, properties or {}))
        rows = {row["state"][:4]: row for row in expected_rows(NAME) if row["kind"] == "kafka_txn"}
        self.is_old = isinstance(broker, OldBroker)
        self.prepared_id = rows["prep"]["transactional_id"]
        (pool,) = (row for row in expected_rows(NAME) if row["kind"] == "kafka_txn_pool")
        named = {row["transactional_id"] for row in rows.values()}
        self.pooled_id = next(each for each in pool["ids"] if each not in named)
        self.open_id = rows["open"]["transactional_id"]
        self._producers = [self._send(rows["prep"], "prepared"), self._send(rows["open"], "open")]
        self._producers.append(self._begin(self.pooled_id, "pooled"))

    def _begin(self, transactional_id: str, value: str) -> Producer:
        settings = {
            "bootstrap.servers": self._broker.bootstrap,
            "transactional.id": transactional_id,
        }
        producer = Producer({**settings, "transaction.timeout.ms": 840_000, "log_level": 0})
        producer.init_transactions(30)
        producer.begin_transaction()
        for _ in range(3):
            producer.produce(self.topic, value)
        producer.flush(30)
        return producer

    def _send(self, row: dict[str, object], value: str) -> Producer | None:
        """Have the savepoint name the producer that holds this transaction now."""
        transactional_id = str(row["transactional_id"])
        producer = None
        if self.is_old:
            now = send_and_die(self._broker.bootstrap, transactional_id, self.topic, value)
        else:
            producer = self._begin(transactional_id, value)
            described = self.described(transactional_id)
            now = described.producer_id, described.epoch
        path = self.savepoint / "_metadata"
        content = path.read_bytes()
        old = pack(">qh", row["producer_id"], row["epoch"])
        name = str(row["transactional_id"]).encode()
        assert content.count(name + old) == 1
        path.write_bytes(content.replace(name + old, name + pack(">qh", *now)))
        return producer

    def described(self, transactional_id: str) -> Described:
        async def ask() -> Described:
            admin = AIOKafkaAdminClient(bootstrap_servers=self._broker.bootstrap)
            await admin.start()
            found = await describe(admin, transactional_id)
            await admin.close()
            assert found is not None
            return found

        return asyncio.run(ask())

    def imported(self, *more: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "statefun_runtime.cli", "savepoint", "import"]
        where = ["--module", self.module, "--state-dir", self.state]
        return subprocess.run(
            [*map(str, (*command, self.savepoint, *where)), *more],
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )

    def read(self) -> list[bytes | None]:
        """Return what readers of committed records see; it ends where nothing is undecided any more."""
        return [record.value for record in self._broker.client.read_all(self.topic)]

    def goes_on(self) -> None:
        """The old job does not stop: it ends its next transaction."""
        self._begin(self.prepared_id, "later").commit_transaction(30)


_SEND = """
import asyncio, os, sys
from aiokafka import AIOKafkaProducer

async def main(servers, transactional_id, topic, value):
    producer = AIOKafkaProducer(
        bootstrap_servers=servers, transactional_id=transactional_id, transaction_timeout_ms=840_000
    )
    await producer.start()
    await producer.begin_transaction()
    for _ in range(3):
        await producer.send_and_wait(topic, value.encode())
    manager = producer._txn_manager
    print(manager.producer_id, manager.producer_epoch, flush=True)
    os._exit(0)

asyncio.run(main(*sys.argv[1:]))
"""


def send_and_die(servers: str, transactional_id: str, topic: str, value: str) -> tuple[int, int]:
    """Leave an open transaction behind; return producer id and epoch, which a broker before 3.0 tells nobody else."""
    command = [sys.executable, "-c", _SEND, servers, transactional_id, topic, value]
    told = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    producer_id, epoch = map(int, told.split())
    return producer_id, epoch


def _with_properties(module: str, properties: Mapping[str, str]) -> str:
    """Give the egress of a module properties; its ingress is not asked for anything."""
    if not properties:
        return module
    documents = module.split("---")
    lines = "".join(
        "    - {}: '{}'\n".format(name, text.replace("'", "''"))
        for name, text in properties.items()
    )
    return "---".join(
        each.rstrip("\n") + f"\n  properties:\n{lines}" if "/egress" in each else each
        for each in documents
    )
