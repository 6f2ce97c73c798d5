"""Every codec, on a real broker: an egress writes it, and an ingress reads it."""

import asyncio

import pytest
from statefun._wire import KafkaProducerRecord

from statefun_runtime.connectors.kafka.egress.records import RECORD_TYPENAME
from statefun_runtime.connectors.kafka.egress.writer import KafkaEgress
from statefun_runtime.connectors.kafka.ingress.reader import KafkaIngress
from statefun_runtime.connectors.kafka.settings.values import TopicRoute
from statefun_runtime.connectors.kafka.specs import KafkaEgressSpec, KafkaIngressSpec
from statefun_runtime.core.model.address import TypeName
from statefun_runtime.core.module.specs import Earliest, EndpointSpec, FunctionPattern
from statefun_runtime.engine.egress import Egress
from statefun_runtime.ports.module import ModuleSpec
from tests.fakes.ingress import RecordingIngressContext
from tests.support.kafka.broker import KafkaBroker

pytestmark = [pytest.mark.integration, pytest.mark.kafka]

TARGET = TypeName("t", "f")
MODULE = ModuleSpec((EndpointSpec(FunctionPattern("t", None), "http://x/"),), (), ())
VALUE = b"the same again and again, " * 100


async def written(broker: KafkaBroker, topic: str, codec: str) -> None:
    properties = (("compression.type", codec),)
    spec = KafkaEgressSpec(TypeName("t", "out"), broker.bootstrap, properties=properties)
    egress = Egress(spec.id, KafkaEgress(spec))
    record = KafkaProducerRecord(topic=topic, key="k", value_bytes=VALUE).SerializeToString()
    for _ in range(50):
        egress.emit(egress.prepare(RECORD_TYPENAME, record))
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(egress.run())
        await egress.flush(20)
        task.cancel()


async def read(broker: KafkaBroker, topic: str, count: int) -> list[bytes]:
    router = RecordingIngressContext(MODULE)
    routes = (TopicRoute(topic, "t/value", (TARGET,)),)
    spec = KafkaIngressSpec(
        TypeName("t", "in"), broker.bootstrap, topic, routes, startup=Earliest()
    )
    ingress = KafkaIngress(spec, router, {})
    await ingress.start()
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(ingress.run())
        await router.arrived(count)
        task.cancel()
    await ingress.close()
    return [invocation for _, _, invocation in router.delivered]


@pytest.mark.parametrize("codec", ["none", "gzip", "snappy", "lz4", "zstd"])
def test_what_a_codec_writes_it_reads(broker: KafkaBroker, codec: str) -> None:
    topic = broker.unique_topic("codec")

    async def main() -> list[bytes]:
        async with asyncio.timeout(30):
            await written(broker, topic, codec)
            return await read(broker, topic, 50)

    assert all(VALUE in invocation for invocation in asyncio.run(main()))
