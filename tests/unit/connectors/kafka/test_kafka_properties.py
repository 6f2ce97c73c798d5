"""Kafka properties as arguments of the client; the page about them is what the table says."""

import asyncio

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, codec

from statefun_runtime.connectors.kafka.client import arguments as kafka_properties
from statefun_runtime.connectors.kafka.client.arguments import (
    consumer_arguments,
    discovery_s,
    producer_arguments,
)
from statefun_runtime.connectors.kafka.settings.properties import (
    CONSUMER,
    PRODUCER,
    SECURITY,
    Outcome,
    Table,
)
from statefun_runtime.connectors.kafka.settings.values import DeliverySemantic
from statefun_runtime.connectors.kafka.specs import KafkaEgressSpec, KafkaIngressSpec
from statefun_runtime.core.model.address import TypeName
from statefun_runtime.errors import ConfigError
from tests.support.pages.kafka_properties_page import PAGE, page

NONE, AT_LEAST = DeliverySemantic.NONE, DeliverySemantic.AT_LEAST_ONCE
AUTO = {"flink.partition-discovery.interval-millis", "acks", "enable.idempotence"}


def egress(delivery: DeliverySemantic = AT_LEAST, **properties: str) -> KafkaEgressSpec:
    pairs = tuple((name.replace("_", "."), text) for name, text in properties.items())
    return KafkaEgressSpec(TypeName("t", "out"), "k:1", delivery, None, pairs)


def ingress(*properties: tuple[str, str]) -> KafkaIngressSpec:
    return KafkaIngressSpec(TypeName("t", "in"), "k:1", "group", (), properties=properties)


@pytest.mark.parametrize(
    ("table", "names"),
    [(CONSUMER, kafka_properties._CONSUMER), (PRODUCER, kafka_properties._PRODUCER)],
    ids=["consumer", "producer"],
)
def test_every_property_that_is_used_has_an_argument(table: Table, names: dict[str, object]):
    security = {each.name for each in SECURITY}
    used = {name for name, each in table.items() if each.outcome is Outcome.USED}
    assert used - security - AUTO == set(names)


def test_properties_become_arguments_that_the_client_takes():
    async def main() -> None:
        given = producer_arguments(
            egress(linger_ms="7", compression_type="none", batch_size="1000", client_id="me")
        )
        assert (given["linger_ms"], given["max_batch_size"]) == (7, 1000)
        assert given["compression_type"] is None
        await AIOKafkaProducer(**given).stop()
        numbers = [n for n in kafka_properties._CONSUMER if n.endswith((".ms", "bytes", "records"))]
        consumer = consumer_arguments(
            ingress(("isolation.level", "read_committed"), *((name, "5") for name in numbers))
        )
        assert consumer["isolation_level"] == "read_committed"
        assert consumer["auto_offset_reset"] == "none"
        await AIOKafkaConsumer(**consumer).stop()

    asyncio.run(main())


def test_what_an_egress_promises_decides_acks_and_idempotence():
    def promise(spec: KafkaEgressSpec) -> tuple[object, object]:
        given = producer_arguments(spec)
        return given["acks"], given["enable_idempotence"]

    assert promise(egress()) == ("all", True)
    assert promise(egress(acks="0")) == ("all", True)
    assert promise(egress(NONE)) == (0, False)
    assert promise(egress(NONE, acks="1")) == (1, False)
    assert promise(egress(NONE, acks="-1")) == ("all", False)
    assert promise(egress(NONE, enable_idempotence="true")) == ("all", True)


def test_new_topic_partitions_are_looked_for_as_often_as_is_said():
    age = ("metadata.max.age.ms", "60000")
    assert discovery_s(ingress()) == 300
    assert discovery_s(ingress(age)) == 60
    assert discovery_s(ingress(age, ("flink.partition-discovery.interval-millis", "1500"))) == 1.5


@pytest.mark.parametrize("compression", ["snappy", "lz4", "zstd"])
def test_a_codec_that_is_not_installed_is_an_error_before_anything_starts(
    compression: str, monkeypatch: pytest.MonkeyPatch
):
    assert producer_arguments(egress(compression_type=compression))
    monkeypatch.setattr(codec, "cramjam", None)

    with pytest.raises(ConfigError) as refused:
        producer_arguments(egress(compression_type=compression))

    assert str(refused.value) == (
        f"SF1035: egress 't/out': compression.type '{compression}' needs a library that is not installed\n"
        "hint: pip install 'statefun-runtime[kafka-compression]', or use gzip"
    )


def test_the_page_about_properties_is_what_the_table_says():
    assert PAGE.read_text() == page(), "run `make docs`"
