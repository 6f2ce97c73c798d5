"""What an exactly-once egress of Flink left in Kafka is committed and aborted, once and for all."""

import asyncio
import subprocess
import sys
from pathlib import Path
from struct import pack

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from confluent_kafka import Producer

from statefun_runtime.connectors.kafka.client.transactions import Described, describe
from tests.support.flink.savepoints import FOLDER, expected_rows, unpacked
from tests.support.kafka.broker import KafkaBroker

pytestmark = [pytest.mark.integration, pytest.mark.kafka]

NAME = "Y1"


class Flink:
    """Producers as the job of a savepoint left them, and the savepoint that names them."""

    def __init__(self, broker: KafkaBroker, folder: Path) -> None:
        self._broker = broker
        self._folder = folder
        self.topic = broker.unique_topic("acks")
        self.savepoint = unpacked(NAME, folder)
        self.state = folder / "state"
        module = (FOLDER / "A-module.yaml").read_text()
        self.module = folder / "module.yaml"
        self.module.write_text(module.replace("127.0.0.1:23092", broker.bootstrap))
        rows = {row["state"][:4]: row for row in expected_rows(NAME) if row["kind"] == "kafka_txn"}
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

    def _send(self, row: dict[str, object], value: str) -> Producer:
        """Have the savepoint name the producer that holds this transaction now."""
        producer = self._begin(str(row["transactional_id"]), value)
        now = self.described(str(row["transactional_id"]))
        path = self.savepoint / "_metadata"
        content = path.read_bytes()
        old = pack(">qh", row["producer_id"], row["epoch"])
        name = str(row["transactional_id"]).encode()
        assert content.count(name + old) == 1
        path.write_bytes(
            content.replace(name + old, name + pack(">qh", now.producer_id, now.epoch))
        )
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


@pytest.fixture
def flink(broker: KafkaBroker, tmp_path: Path) -> Flink:
    return Flink(broker, tmp_path)


def test_what_is_prepared_is_committed_and_what_is_open_aborted(flink: Flink):
    tried = flink.imported("--dry-run", "--egress", "commit")
    assert tried.returncode == 0, tried.stderr
    assert "in Kafka: open, to be committed\n" in tried.stdout
    assert "in Kafka: open, to be aborted\n" in tried.stdout
    assert not flink.state.exists()

    asked = flink.imported()
    assert asked.returncode == 2
    assert asked.stderr.startswith("SF1130: ")

    done = flink.imported("--egress", "commit")
    assert done.returncode == 0, done.stderr
    assert flink.read() == [b"prepared"] * 3
    ends = [flink.described(each).state for each in (flink.prepared_id, flink.open_id)]
    assert ends == ["CompleteCommit", "CompleteAbort"]
    assert flink.described(flink.pooled_id).state in ("CompleteAbort", "Empty")

    again = flink.imported("--egress-only")
    assert again.returncode == 0, again.stderr
    assert "in Kafka: committed already\n" in again.stdout
    assert flink.read() == [b"prepared"] * 3


def test_a_savepoint_after_which_the_job_went_on_is_refused(flink: Flink):
    flink.goes_on()
    refused = flink.imported("--egress", "commit")
    assert refused.returncode == 2
    assert refused.stderr.startswith("SF1131: not all output of the savepoint can be committed:\n")
    assert "ended by the old job, which has gone on after this savepoint\n" in refused.stderr
    assert sorted(path.name for path in flink.state.iterdir()) == ["lock"]
    assert flink.imported("--egress", "leave").returncode == 0
