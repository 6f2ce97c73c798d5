"""What a Kafka egress refuses, and how it keeps what has not left; the broker's part is in contracts."""

import asyncio
from collections.abc import Callable

import pytest
from statefun import kafka_egress_message
from statefun._wire import KafkaProducerRecord

from statefun_runtime.adapters.wire import RecordOptions
from statefun_runtime.connectors.kafka.egress.records import RECORD_TYPENAME, read_record
from statefun_runtime.connectors.kafka.egress.writer import KafkaEgress
from statefun_runtime.connectors.kafka.specs import KafkaEgressSpec
from statefun_runtime.core.checkpoints.manifest import ObjectId, Outbox, StoredObject
from statefun_runtime.core.model.address import TypeName
from statefun_runtime.engine.egress import Egress
from statefun_runtime.ports.egress import RecordRefused
from tests.fakes.off_loop import result_of


def spec(*properties: tuple[str, str], **more: object) -> KafkaEgressSpec:
    return KafkaEgressSpec(TypeName("t", "out"), "nowhere:1", properties=properties, **more)  # type: ignore[arg-type]


def with_egress(body: Callable[[KafkaEgress], None], *properties: tuple[str, str]) -> None:
    async def main() -> None:
        body(KafkaEgress(spec(*properties)))

    asyncio.run(main())


def record(topic: str = "topic", key: str = "k", value: bytes = b"v") -> bytes:
    return KafkaProducerRecord(topic=topic, key=key, value_bytes=value).SerializeToString()


def test_a_record_is_taken_apart():
    def body(sink: KafkaEgress) -> None:
        assert sink.prepare(RECORD_TYPENAME, record())[:3] == ("topic", b"k", b"v")
        assert sink.prepare(RECORD_TYPENAME, record(key=""))[:3] == ("topic", None, b"v")
        assert sink.prepare(RECORD_TYPENAME, record(value=b""))[:3] == ("topic", b"k", b"")

    with_egress(body)


@pytest.mark.parametrize("topic", ["", ".", "..", "a b", "a/b", "é", "x" * 250, "a\n"])
def test_what_cannot_be_a_topic_is_refused_before_it_waits_for_ever(topic: str):
    def body(sink: KafkaEgress) -> None:
        with pytest.raises(RecordRefused) as refused:
            sink.prepare(RECORD_TYPENAME, record(topic=topic))
        assert str(refused.value) == f"{topic!r} is not the name of a topic"

    with_egress(body)


@pytest.mark.parametrize("topic", ["a", "a.b_c-D9", "x" * 249, "..."])
def test_what_can_be_a_topic_is_taken(topic: str):
    with_egress(lambda sink: sink.prepare(RECORD_TYPENAME, record(topic=topic)) and None)


def test_a_record_that_the_broker_would_refuse_is_refused():
    def body(sink: KafkaEgress) -> None:
        sink.prepare(RECORD_TYPENAME, record(value=b"x" * (1000 - 70 - 1)))
        with pytest.raises(RecordRefused) as refused:
            sink.prepare(RECORD_TYPENAME, record(value=b"x" * (1000 - 70)))
        assert str(refused.value) == (
            "a record of 931 bytes for topic 'topic' is larger than max.request.size allows (930)"
        )

    with_egress(body, ("max.request.size", "1000"))


def test_what_is_no_record_is_refused():
    def body(sink: KafkaEgress) -> None:
        with pytest.raises(RecordRefused, match="not a KafkaProducerRecord message"):
            sink.prepare(RECORD_TYPENAME, b"\xff")
        with pytest.raises(RecordRefused) as refused:
            sink.prepare("t/other", record())
        assert str(refused.value) == (
            "a record must be of type 'type.googleapis.com/io.statefun.sdk.egress.KafkaProducerRecord', "
            "found 't/other'"
        )

    with_egress(body)


@pytest.mark.parametrize("key", ["", "key", "\u00e9"])
@pytest.mark.parametrize("value", [b"", b"value", b"\x00" * 300])
def test_what_has_not_left_is_kept_as_it_was(key: str, value: bytes):
    def body(sink: KafkaEgress) -> None:
        egress = Egress(TypeName("t", "out"), sink)
        egress.emit(egress.prepare(RECORD_TYPENAME, record("topic", key, value)))
        kept = egress.cut(1)
        assert kept
        again = Egress(TypeName("t", "out"), KafkaEgress(spec()))
        outbox = Outbox("t/out", 1, len(kept), StoredObject(ObjectId("0"), 0), False)

        async def read() -> list[bytes]:
            return egress.encode(kept)

        result_of(again.restore(outbox, read))
        assert again.cut(2) == kept
        assert again.backlog_bytes() == egress.backlog_bytes() > len(value)

    with_egress(body)


def optioned(**options: object) -> bytes:
    message = kafka_egress_message("t/out", "topic", b"v", key="k", **options)  # type: ignore[arg-type]
    return message.raw_value() or b""


def refusal(sink: KafkaEgress, value: bytes) -> str:
    with pytest.raises(RecordRefused) as refused:
        sink.prepare(RECORD_TYPENAME, value)
    return str(refused.value)


def test_a_partition_that_a_known_topic_does_not_have_is_refused():
    def body(sink: KafkaEgress) -> None:
        # Nobody knows yet: it goes where its key says, if there is no such partition.
        sink.prepare(RECORD_TYPENAME, optioned(partition=2))
        sink._partitioner.learn("topic", 2)

        sink.prepare(RECORD_TYPENAME, optioned(partition=1))
        assert refusal(sink, optioned(partition=2)) == (
            "a record is for partition 2 of topic 'topic', which has 2"
        )

    with_egress(body)


def test_headers_count_for_the_size_of_a_record():
    def body(sink: KafkaEgress) -> None:
        assert refusal(sink, optioned(headers={"h": b"x" * 1024})) == (
            "a record of 1031 bytes for topic 'topic' is larger than max.request.size allows (954)"
        )

    with_egress(body, ("max.request.size", "1024"))


def test_options_are_kept_with_what_has_not_left():
    def body(sink: KafkaEgress) -> None:
        record = sink.prepare(
            RECORD_TYPENAME, optioned(headers=[("h", None)], timestamp_ms=7, partition=1)
        )
        assert read_record(record[3]) == record
        assert record[4] == RecordOptions((("h", None),), 7, 1)

    with_egress(body)
