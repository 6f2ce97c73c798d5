"""What brokers answer: which errors lose a record, and what is told of those that are tried again and again."""

import asyncio
import logging
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import (
    ConcurrentTransactions,
    KafkaError,
    NotEnoughReplicasError,
    ProducerFenced,
    UnknownError,
    for_code,
)
from aiokafka.producer.sender import AddPartitionsToTxnHandler

from statefun_runtime.connectors.complaint import Complaint
from statefun_runtime.connectors.kafka.client import inside
from statefun_runtime.connectors.kafka.client.codes import REFUSED
from statefun_runtime.connectors.kafka.client.protocols import Topic
from statefun_runtime.connectors.kafka.egress.limits import PortionSize
from statefun_runtime.connectors.kafka.egress.partitioner import Partitioner
from statefun_runtime.connectors.kafka.egress.progress import replicas_lacking
from statefun_runtime.connectors.kafka.egress.records import Record
from statefun_runtime.connectors.kafka.egress.sending import HeldUp, RecordRefused, Sending
from statefun_runtime.errors import UnavailableError
from tests.fakes.virtual_time import run_virtual

ARGUMENTS = {"bootstrap_servers": "k:9092"}
PLACE = TopicPartition("out", 0)


@pytest.mark.parametrize("code", [10, 17, 18, 32, 43, 44, 87])
def test_what_a_broker_refuses_of_a_record_is_given_up(code: int):
    assert issubclass(for_code(code), REFUSED)


@pytest.mark.parametrize(
    ("code", "name", "is_retried"),
    [
        (74, "FENCED_LEADER_EPOCH", True),
        (89, "THROTTLING_QUOTA_EXCEEDED", True),
        (76, "UNSUPPORTED_COMPRESSION_TYPE", False),
        (120, "TRANSACTION_ABORTABLE", False),
        (999, "ERROR_999", False),
    ],
)
def test_a_code_that_the_client_does_not_know_has_a_name_and_loses_no_record(
    code: int, name: str, is_retried: bool
):
    error = for_code(code)

    assert error is not UnknownError
    assert error is for_code(code)
    assert str(error()) == f"[Error {code}] {name}"
    assert bool(error.retriable) is is_retried
    assert not issubclass(error, REFUSED)


def test_a_producer_that_is_fenced_says_so_under_either_code():
    assert for_code(90) is ProducerFenced


NOTE = ("progress", b"marker", b"7")


class Producer:
    """One whose batches the test decides on; what it asks of the client's inside is as the client has it."""

    def __init__(self) -> None:
        self._sender = SimpleNamespace(_txn_manager=None)
        self.batches: list[asyncio.Future[object]] = []
        self.notes: list[tuple[str, bytes, bytes]] = []
        self.takes_notes = True

    def create_batch(self) -> Any:
        return SimpleNamespace(append=lambda **_: object(), close=lambda: None)

    async def send_batch(self, batch: object, topic: str, *, partition: int) -> Any:
        self.batches.append(asyncio.get_running_loop().create_future())
        return self.batches[-1]

    async def send(self, topic: str, value: bytes, key: bytes, *, partition: int) -> Any:
        if not self.takes_notes:
            await asyncio.sleep(3600)
        self.notes.append((topic, key, value))
        return asyncio.get_running_loop().create_future()

    def answer(self, code: int, said: str | None, records: Any = None) -> None:
        """As a broker answers for the only topic partition."""
        response = SimpleNamespace(topics=[("out", [(0, code, -1, -1, -1, records, said)])])
        inside._note(SimpleNamespace(_sender=self._sender, _batches={}), response)


def record(key: bytes | None = b"k") -> Record:
    return Record("out", key, b"value", b"", None)


class Rig:
    def __init__(self, limit_s: float = 45.0) -> None:
        self.partitioner = Partitioner()
        self.partitioner.learn("out", 1)
        self.producer: Any = Producer()
        self.size = PortionSize(8_000_000)
        topics: Any = SimpleNamespace(refresh=self._refresh)
        complaint = Complaint(logging.getLogger("test"), "egress t/out")
        self._sending = Sending(
            topics, self.partitioner, complaint, ARGUMENTS, self.size, limit_s=limit_s
        )
        self.is_topic_gone = False

    async def _refresh(self, _: object) -> None:
        if self.is_topic_gone:
            self.partitioner.forget("out")

    async def send(self, *keys: bytes | None) -> None:
        records = {("out", 0): [record(key) for key in keys]}
        await self._sending.send(self.producer, records, NOTE)


def test_what_a_broker_answers_again_and_again_is_told_once_with_topic_record_and_reason(
    caplog: pytest.LogCaptureFixture,
):
    async def main() -> None:
        rig = Rig()
        async with asyncio.TaskGroup() as tasks:
            sending = tasks.create_task(rig.send(b"a\x00", b"b"))
            await asyncio.sleep(0.1)
            rig.producer.answer(NotEnoughReplicasError.errno, None)
            await asyncio.sleep(20)
            assert not sending.done()
            rig.producer.batches[0].set_result(None)

    run_virtual(main)
    assert [one.message for one in caplog.records] == [
        "egress t/out keeps trying topic out, partition 0; the first that does not leave has key 'a\\x00' and 5 bytes: "
        "broker k:9092: [Error 19] NotEnoughReplicasError"
    ]


def test_a_note_leaves_with_the_records_and_not_when_they_are_taken():
    async def main() -> None:
        rig = Rig()
        async with asyncio.TaskGroup() as tasks:
            sending = tasks.create_task(rig.send(b"a"))
            await asyncio.sleep(1)
            assert rig.producer.notes == [NOTE]
            assert not sending.done()
            rig.producer.batches[0].set_result(None)

    run_virtual(main)


def test_a_progress_topic_that_takes_nothing_is_told():
    async def main() -> None:
        rig = Rig()
        rig.producer.takes_notes = False
        with pytest.raises(UnavailableError) as refusal:
            await rig.send(b"a")
        assert refusal.value.message == "the progress topic progress does not take a record"
        assert refusal.value.code == "SF3024"

    run_virtual(main)


def test_a_transaction_that_the_broker_gives_a_reason_for_is_not_made_smaller():
    async def main() -> None:
        rig = Rig()
        async with asyncio.TaskGroup() as tasks:
            sending = tasks.create_task(_raised(rig.send(None)))
            await asyncio.sleep(0.1)
            rig.producer.answer(19, "one of two is in sync")
        error = sending.result()
        assert isinstance(error, UnavailableError)
        assert error.message == (
            "a transaction did not end within 45 s; topic out, partition 0; the first that does not leave has no key "
            "and 5 bytes: one of two is in sync"
        )
        assert rig.size.bytes == 8_000_000

    run_virtual(main)


def test_a_transaction_that_nobody_gives_a_reason_for_is_made_smaller():
    async def main() -> None:
        rig = Rig()
        error = await _raised(rig.send(b"k"))
        assert isinstance(error, UnavailableError)
        assert error.message == (
            "a transaction did not end within 45 s; the next ones have at most 16384 bytes"
        )

    run_virtual(main)


def test_records_on_their_way_to_a_topic_partition_that_is_gone_are_placed_anew_within_seconds():
    async def main() -> None:
        rig = Rig()
        rig.is_topic_gone = True
        began_s = asyncio.get_running_loop().time()
        error = await _raised(rig.send(b"k"))
        assert isinstance(error, UnavailableError)
        assert (error.code, error.message) == (
            "SF3025",
            "topic 'out' has no partition 0 any more: its records are placed anew",
        )
        assert asyncio.get_running_loop().time() - began_s <= 5.0
        assert rig.size.bytes == 8_000_000

    run_virtual(main)


def test_a_record_that_is_refused_is_told_in_the_words_of_the_broker():
    async def main() -> None:
        rig = Rig()
        async with asyncio.TaskGroup() as tasks:
            sending = tasks.create_task(_raised(rig.send(b"k")))
            await asyncio.sleep(0.1)
            rig.producer.answer(87, "some are invalid", [(0, None), (3, "it has no key")])
            rig.producer.batches[0].set_exception(for_code(87)())
        assert isinstance(sending.result(), RecordRefused)
        assert str(sending.result()) == "it has no key"

    run_virtual(main)


def test_an_error_that_nobody_knows_is_told_with_what_it_holds_up_and_gives_nothing_up():
    async def main() -> None:
        rig = Rig()
        async with asyncio.TaskGroup() as tasks:
            sending = tasks.create_task(_raised(rig.send(b"k")))
            await asyncio.sleep(0.1)
            rig.producer.batches[0].set_exception(for_code(999)())
        error = sending.result()
        assert isinstance(error, HeldUp)
        assert str(error.error) == "[Error 999] ERROR_999"
        assert error.what == (
            "topic out, partition 0; the first that does not leave has key 'k' and 5 bytes"
        )

    run_virtual(main)


async def _raised(work: Any) -> BaseException | None:
    try:
        await work
    except (KafkaError, RecordRefused, UnavailableError) as error:
        return error
    return None


@pytest.mark.parametrize(("sequence", "expected"), [(12, 9), (-(2**31) + 1, 2**31 - 2)])
def test_the_records_of_a_batch_that_was_refused_are_not_counted(sequence: int, expected: int):
    """A broker takes no batch that does not follow the last one that it took."""
    manager = SimpleNamespace(
        _sequence_numbers={PLACE: sequence}, sequence_number=lambda place: sequence
    )
    handler = SimpleNamespace(
        _sender=SimpleNamespace(_txn_manager=manager),
        _batches={PLACE: SimpleNamespace(record_count=3)},
    )
    for code, number in ((19, sequence), (87, expected)):
        inside._note(handler, SimpleNamespace(topics=[("out", [(0, code, -1)])]))
        assert manager._sequence_numbers[PLACE] == number


def test_a_transaction_right_behind_another_waits_a_few_milliseconds_and_no_more():
    """The broker still writes the marks of the one before, which is a matter of a millisecond or two."""
    manager = SimpleNamespace(txn_partitions=set())
    sender: Any = SimpleNamespace(_txn_manager=manager, _retry_backoff=0.1)
    handler = AddPartitionsToTxnHandler(sender, [PLACE])
    answer = SimpleNamespace(errors=[("out", [(0, ConcurrentTransactions.errno)])])
    assert 0 < handler.handle_response(answer) <= 0.005


@pytest.mark.parametrize(
    ("replicas", "in_sync", "said"),
    [
        (3, 3, None),
        (
            2,
            2,
            "has a progress topic with a replication factor of 2, and the cluster's own topics have 3: give p more "
            "with kafka-reassign-partitions",
        ),
        (3, 1, "has a progress topic of which 1 of 3 replicas are in sync: p"),
    ],
)
def test_replicas_that_a_progress_topic_lacks_are_told(replicas: int, in_sync: int, said: str):
    assert replicas_lacking("p", Topic(1, "id", replicas, in_sync), 3) == said
