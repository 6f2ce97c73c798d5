"""What a Kafka egress refuses, and how it keeps what has not left; the broker's part is in contracts."""

import asyncio
from collections.abc import Callable

import pytest
from statefun._wire import KafkaProducerRecord

from statefun_runtime.adapters.kafka_egress import KafkaEgress
from statefun_runtime.adapters.kafka_records import RECORD_TYPENAME
from statefun_runtime.core.address import TypeName
from statefun_runtime.core.checkpoint import ObjectId, Outbox, StoredObject
from statefun_runtime.core.specs import KafkaEgressSpec
from statefun_runtime.ports.egress import RecordRefused


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
        sink.emit(sink.prepare(RECORD_TYPENAME, record("topic", key, value)))
        kept = sink.cut(1)
        assert kept
        again = KafkaEgress(spec())
        outbox = Outbox("t/out", 1, len(kept), StoredObject(ObjectId("0"), 0), False)
        again.restore(outbox, lambda: sink.encode(kept))
        assert again.cut(2) == kept
        assert again.backlog_bytes() == sink.backlog_bytes() > len(value)

    with_egress(body)
