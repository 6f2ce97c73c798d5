"""The EgressSink port: the playground's egress, Kafka's, Kinesis', and the one of the tests."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
from statefun._wire import KafkaProducerRecord, KinesisEgressRecord

from statefun_runtime.connectors.kafka.egress.records import RECORD_TYPENAME as KAFKA_RECORD
from statefun_runtime.connectors.kafka.egress.writer import KafkaEgress
from statefun_runtime.connectors.kafka.settings.values import DeliverySemantic
from statefun_runtime.connectors.kafka.specs import KafkaEgressSpec
from statefun_runtime.connectors.kinesis.clients import AwsClients, KinesisClients
from statefun_runtime.connectors.kinesis.records import RECORD_TYPENAME as KINESIS_RECORD
from statefun_runtime.connectors.kinesis.settings.aws import (
    AwsClientSettings,
    BasicCredentials,
    CustomEndpoint,
)
from statefun_runtime.connectors.kinesis.specs import KinesisEgressSpec
from statefun_runtime.connectors.kinesis.writer import KinesisEgress
from statefun_runtime.connectors.playground.specs import PlaygroundEgressSpec
from statefun_runtime.connectors.playground.writer import RECORD_TYPENAME as PLAYGROUND_RECORD
from statefun_runtime.connectors.playground.writer import PlaygroundEgress
from statefun_runtime.core.checkpoints.manifest import ObjectId, Outbox, StoredObject
from statefun_runtime.core.model.address import TypeName
from statefun_runtime.core.model.metrics import Metric
from statefun_runtime.engine.egress import Egress
from statefun_runtime.ports.egress import EgressSink, RecordRefused
from tests.fakes.egress import RecordingEgress
from tests.fakes.kinesis import FakeKinesis
from tests.fakes.rows import DictRows
from tests.support.kafka.broker import KafkaBroker
from tests.support.kinesis.server import KEY_ID, REGION, SECRET, KinesisServer


@dataclass
class Rig:
    """`new` makes a sink as at a start of the worker, `encode` a record for it; `left` waits for what came out."""

    new: Callable[[], EgressSink[Any]]
    typename: str
    encode: Callable[[bytes], bytes]
    left: Callable[[EgressSink[Any], int], Awaitable[list[bytes]]]


@asynccontextmanager
async def fake_rig(_: None) -> AsyncIterator[Rig]:
    async def left(sink: EgressSink[Any], count: int) -> list[bytes]:
        assert isinstance(sink, RecordingEgress)
        return sink.left

    yield Rig(RecordingEgress, "t/record", lambda value: value, left)


async def _at_once() -> None:
    pass


async def _kept(records: list[bytes]) -> list[bytes]:
    return records


@asynccontextmanager
async def playground_rig(_: None) -> AsyncIterator[Rig]:
    def encode(value: bytes) -> bytes:
        return json.dumps({"topic": "out", "payload": value.decode()}).encode()

    async def left(sink: EgressSink[Any], count: int) -> list[bytes]:
        assert isinstance(sink, PlaygroundEgress)
        reader, writer = await asyncio.open_connection("127.0.0.1", sink.port)
        payloads = []
        for _ in range(count):
            writer.write(b"GET /out HTTP/1.1\r\nHost: x\r\n\r\n")
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            size = int(head.partition("content-length: ")[2].splitlines()[0])
            payloads.append(await reader.readexactly(size))
        writer.close()
        return payloads

    spec = PlaygroundEgressSpec(0, ("out", "other"))
    rows = DictRows()

    def new() -> PlaygroundEgress:
        return PlaygroundEgress(
            spec,
            rows,
            host="127.0.0.1",
            origin="a-b",
            complete_epoch=0,
            saved=_at_once,
        )

    yield Rig(new, PLAYGROUND_RECORD, encode, left)


@asynccontextmanager
async def kafka_rig(broker: KafkaBroker) -> AsyncIterator[Rig]:
    topic = broker.unique_topic("egress", 3)

    def encode(value: bytes) -> bytes:
        record = KafkaProducerRecord(topic=topic, key="key", value_bytes=value)
        return record.SerializeToString()

    async def left(_: EgressSink[Any], count: int) -> list[bytes]:
        records = await asyncio.to_thread(broker.consume, topic, count)
        return [record.value or b"" for record in records]

    spec = KafkaEgressSpec(TypeName("t", "out"), broker.bootstrap, DeliverySemantic.AT_LEAST_ONCE)
    yield Rig(lambda: KafkaEgress(spec), KAFKA_RECORD, encode, left)


Values = Callable[[int], Awaitable[list[bytes]]]


def kinesis_stream(server: KinesisServer) -> tuple[str, KinesisClients, Values]:
    """Return a stream on a real server, clients for it, and what waits for its values."""
    stream = server.unique_stream("egress", 2)
    region, credentials = CustomEndpoint(server.url, REGION), BasicCredentials(KEY_ID, SECRET)

    async def values(count: int) -> list[bytes]:
        return [record.value for record in await asyncio.to_thread(server.consume, stream, count)]

    return stream, AwsClients(region, credentials, AwsClientSettings(), owner="t/out"), values


def kinesis_in_memory() -> tuple[str, KinesisClients, Values]:
    """The same without a server."""
    kinesis = FakeKinesis()
    kinesis.create("s", 2)

    async def values(_: int) -> list[bytes]:
        return kinesis.values("s", "key")

    return "s", kinesis, values


@asynccontextmanager
async def kinesis_rig(place: tuple[str, KinesisClients, Values]) -> AsyncIterator[Rig]:
    stream, clients, values = place
    spec = KinesisEgressSpec(TypeName("t", "out"))

    def encode(value: bytes) -> bytes:
        record = KinesisEgressRecord(stream=stream, partition_key="key", value_bytes=value)
        return record.SerializeToString()

    async def left(_: EgressSink[Any], count: int) -> list[bytes]:
        return await values(count)

    def new() -> KinesisEgress:
        return KinesisEgress(spec, clients=clients, past_epoch=0)

    yield Rig(new, KINESIS_RECORD, encode, left)


RigFactory = Callable[[], AbstractAsyncContextManager[Rig]]


_KAFKA = pytest.param("kafka", marks=pytest.mark.kafka)


@pytest.fixture(params=["fake", "playground", _KAFKA, "kinesis", "kinesis-in-memory"])
def rig(request: pytest.FixtureRequest) -> RigFactory:
    if request.param == "kinesis":
        server = request.getfixturevalue("kinesis")
        return lambda: kinesis_rig(kinesis_stream(server))
    if request.param == "kinesis-in-memory":
        return lambda: kinesis_rig(kinesis_in_memory())
    if request.param == "kafka":
        broker = request.getfixturevalue("broker")
        return lambda: kafka_rig(broker)
    make = fake_rig if request.param == "fake" else playground_rig
    return lambda: make(None)


def started(rig: Rig) -> Egress[Any]:
    """Return the engine's side of a new sink."""
    return Egress(TypeName("t", "out"), rig.new())


@asynccontextmanager
async def running(egress: Egress[Any]) -> AsyncIterator[Egress[Any]]:
    await egress.start()
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(egress.run())
        yield egress
        task.cancel()
    await egress.close()


def put(rig: Rig, egress: Egress[Any], *values: bytes) -> None:
    for value in values:
        egress.emit(egress.prepare(rig.typename, rig.encode(value)))


async def let_leave(egress: Egress[Any]) -> None:
    """End the epoch, and wait until its records have left; there are sinks that do not wait for that."""
    egress.cut(1)
    egress.completed(1)
    await egress.flush(20)


def taken_away(egress: Egress[Any]) -> Egress[Any]:
    """The real ones carry nothing out before `run`; the fake has to be told."""
    if isinstance(egress.sink, RecordingEgress):
        egress.sink.is_away = True
    return egress


def brought_back(egress: Egress[Any]) -> Egress[Any]:
    if isinstance(egress.sink, RecordingEgress):
        egress.sink.is_away = False
    return egress


def cut(egress: Egress[Any]) -> list[bytes]:
    """What a checkpoint holds of it; the playground's records are rows of the state instead."""
    return egress.encode(egress.cut(1) or ())


def published(egress: Egress[Any]) -> float:
    metrics: list[Metric] = [s for s in egress.metrics() if s.name == "statefun_egress_records"]
    assert isinstance(metrics[0].value, float | int)
    return metrics[0].value


def test_records_leave_in_the_order_in_which_they_were_taken(rig: RigFactory):
    async def main() -> None:
        async with rig() as made, running(started(made)) as egress:
            values = [b"%d" % number for number in range(50)]
            put(made, egress, *values)
            await let_leave(egress)

            assert await made.left(egress.sink, 50) == values
            assert published(egress) == 50
            assert cut(egress) == []
            assert egress.backlog_bytes() == 0

    asyncio.run(main())


def test_a_record_of_another_type_is_refused(rig: RigFactory):
    async def main() -> None:
        async with rig() as made:
            with pytest.raises(RecordRefused) as refused:
                made.new().prepare("t/other", made.encode(b"v"))

            assert str(refused.value) == (
                f"a record must be of type '{made.typename}', found 't/other'"
            )

    asyncio.run(main())


def test_a_record_that_was_prepared_and_not_emitted_does_not_leave(rig: RigFactory):
    async def main() -> None:
        async with rig() as made, running(started(made)) as egress:
            egress.prepare(made.typename, made.encode(b"never"))
            put(made, egress, b"only")
            await let_leave(egress)

            assert await made.left(egress.sink, 1) == [b"only"]
            assert cut(egress) == []

    asyncio.run(main())


def test_what_has_not_left_is_handed_to_the_next_life(rig: RigFactory):
    async def main() -> None:
        async with rig() as made:
            # It does not run: nothing can leave.
            egress = taken_away(started(made))
            put(made, egress, b"1", b"2", b"3")
            kept = cut(egress)

            again = taken_away(started(made))
            outbox = Outbox("t/out", 1, len(kept), StoredObject(ObjectId("0"), 0), False)
            await again.restore(outbox, partial(_kept, kept))
            async with running(brought_back(again)):
                await again.flush(20)
                assert await made.left(again.sink, 3) == [b"1", b"2", b"3"]

    asyncio.run(main())


def test_flushing_nothing_returns_at_once(rig: RigFactory):
    async def main() -> None:
        async with rig() as made, running(started(made)) as egress:
            await egress.flush(20)

    asyncio.run(main())
