"""An application that ran on Flink goes on here: with its state, its messages, its delayed messages, at its positions."""

import json
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.flink.savepoints import FOLDER, expected_rows, unpacked
from tests.support.kafka.broker import KafkaBroker
from tests.support.processes import Process, wait_until
from tests.support.sockets import free_port
from tests.support.stock_sdk import FUNCTIONS
from tests.support.worker import Worker

pytestmark = [pytest.mark.integration, pytest.mark.kafka, pytest.mark.stock_sdk]

ASK = json.dumps({"n": "ask"})
PARTITIONS = 3
Row = dict[str, Any]
Address = tuple[str, str]


class Moved:
    """The job of savepoint A1, with the topics as they were when it was taken."""

    def __init__(self, folder: Path, broker: KafkaBroker, server: list[str], port: int) -> None:
        self.rows: dict[str, list[Row]] = defaultdict(list)
        for row in expected_rows("A1"):
            self.rows[row["kind"]].append(row)
        self._broker = broker
        self.journal = folder / "journal.jsonl"
        self._server = Process(server, log=folder / "functions.log")
        self._server.wait_for_port(port)
        module = (FOLDER / "A-module.yaml").read_text()
        module = module.replace("127.0.0.1:23080", f"127.0.0.1:{port}")
        module = module.replace("127.0.0.1:23092", broker.bootstrap)
        module = module.replace(
            "startupPosition:\n      type: earliest", "startupPosition: {type: latest}"
        )
        self.worker = Worker(module, folder, arguments=["--checkpoint-interval", "200ms"])
        self.savepoint = unpacked("A1", folder)
        self._fill_topics()

    def _fill_topics(self) -> None:
        """Records in front of a position are of another time: none of them may be read."""
        by_topic: dict[str, list[Row]] = defaultdict(list)
        for row in self.rows["kafka_offset"]:
            by_topic[row["topic"]].append(row)
        self._broker.create_topic("acks")
        for topic, rows in by_topic.items():
            self._broker.create_topic(topic, PARTITIONS)
            for row in rows:
                old = [("old", '{"n": "old"}')] * row["next"]
                self._broker.client.produce(topic, old, partition=row["partition"])

    def imported(self) -> str:
        command = [sys.executable, "-m", "statefun_runtime.cli", "savepoint", "import"]
        where = ["--module", self.worker.module_file, "--state-dir", self.worker.state_dir]
        where += ["--egress", "leave"]
        done = subprocess.run(
            [*command, self.savepoint, *where],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def ask_everybody(self) -> list[Address]:
        """Send a record to every address that has anything; one topic is read for each function type."""
        addresses = {(row["type"], row["id"]): None for row in self.rows["state"]}
        for row in (*self.rows["message"], *self.rows["delayed"]):
            addresses[tuple(row["to"])] = None
        asked: dict[str, list[tuple[str, str]]] = defaultdict(list)
        for type_, id_ in addresses:
            asked[f"{type_.rpartition('/')[2]}-A"].append((id_, ASK))
        for topic, records in asked.items():
            self._broker.produce(topic, records)
        return list(addresses)

    def said(self) -> list[Row]:
        return [json.loads(record.value or b"") for record in self._broker.client.read_all("acks")]

    def requests(self) -> list[Row]:
        return [json.loads(line) for line in self.journal.read_text().splitlines()]

    def close(self) -> None:
        self.worker.close()
        self._server.stop()


@pytest.fixture
def moved(
    tmp_path: Path, broker: KafkaBroker, stock_python: Callable[..., list[str]]
) -> Iterator[Moved]:
    port = free_port()
    server = stock_python(FUNCTIONS / "moving_stock.py", port, tmp_path / "journal.jsonl")
    made = Moved(tmp_path, broker, server, port)
    yield made
    made.close()


def message(row: Row) -> Row:
    return {"sender": row["sender"], "typename": row["typename"], "value": row["value"]}


def by_address(rows: list[Row]) -> dict[Address, list[Row]]:
    sorted_: dict[Address, list[Row]] = defaultdict(list)
    for row in rows:
        sorted_[tuple(row["to"])].append(message(row))
    return sorted_


def counted(rows: list[Row]) -> Counter[str]:
    return Counter(json.dumps([row["to"], message(row)], sort_keys=True) for row in rows)


def test_every_address_has_its_state_and_every_message_takes_effect_once(moved: Moved):
    assert "com.acme.shop/cart" in moved.imported()
    moved.worker.start()
    wait_until(lambda: len(moved.said()) > 100, "what was in flight")
    moved.worker.kill9()
    moved.worker.start()
    addresses = moved.ask_everybody()
    # The last ones are due days after the savepoint was taken: they wait on, until they are.
    now_ms = time.time() * 1000
    due = [row for row in moved.rows["delayed"] if row["due"] <= now_ms]
    before = [*moved.rows["message"], *due]
    wait_until(
        lambda: len(moved.said()) >= len(before) + len(addresses), "the answers", timeout_s=60
    )
    waiting = moved.worker.metrics().total("statefun_delayed_messages")
    assert waiting == len(moved.rows["delayed"]) - len(due)
    moved.worker.stop_cleanly()

    asks = [
        {"to": list(one), "sender": None, "typename": "acme.types/Cmd", "value": ASK.encode().hex()}
        for one in addresses
    ]
    said = moved.said()
    assert counted(said) == counted([*before, *asks])
    _check_order(by_address(said), by_address(moved.rows["message"]))
    _check_state(moved)


def _check_order(said: dict[Address, list[Row]], messages: dict[Address, list[Row]]) -> None:
    """In flight, then the queue, then the loop; a delayed message has no order, and the question comes last."""
    for target, expected in messages.items():
        assert [one for one in said[target] if one in expected] == expected, target


def _check_state(moved: Moved) -> None:
    """Each request carried the values of the savepoint; what expires has expired since."""
    expected: dict[Address, dict[str, list[Any]]] = defaultdict(dict)
    for row in moved.rows["state"]:
        if "last_access" not in row:
            place = expected[row["type"], row["id"]]
            place[row["state"]] = [row["typename"], True, row["value"]]
    sent = {}
    for request in moved.requests():
        if request["state"] or request["to"][0] == "demo/late":
            values = {name: value for name, value in request["state"].items() if value is not None}
            assert values == expected.get(tuple(request["to"]), {}), request["to"]
            sent[tuple(request["to"])] = values
    assert set(expected) <= set(sent)
