"""The IngressSource port: Kafka's, Kinesis', and the log of the tests. (The playground's has no splits: see unit/adapters.)"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass

import pytest
from statefun._wire import ToFunction

from statefun_runtime.connectors.kafka.ingress.position import KafkaPosition
from statefun_runtime.connectors.kafka.ingress.reader import KafkaIngress
from statefun_runtime.connectors.kafka.settings.values import TopicRoute
from statefun_runtime.connectors.kafka.specs import KafkaIngressSpec
from statefun_runtime.connectors.kinesis.clients import AwsClients, KinesisClients
from statefun_runtime.connectors.kinesis.reader import KinesisIngress
from statefun_runtime.connectors.kinesis.settings.aws import (
    AwsClientSettings,
    BasicCredentials,
    CustomEndpoint,
)
from statefun_runtime.connectors.kinesis.settings.values import ShardReading, StreamRoute
from statefun_runtime.connectors.kinesis.shards import as_position, number_of
from statefun_runtime.connectors.kinesis.specs import KinesisIngressSpec
from statefun_runtime.core.model.address import TypeName
from statefun_runtime.core.model.metrics import Metric
from statefun_runtime.core.model.position import Position
from statefun_runtime.core.module.specs import Earliest, EndpointSpec, FunctionPattern
from statefun_runtime.ports.ingress import IngressSource
from statefun_runtime.ports.module import ModuleSpec
from tests.fakes.ingress import FakeIngress, FakeLog, RecordingIngressContext
from tests.fakes.kinesis import FakeKinesis
from tests.support.kafka.broker import KafkaBroker
from tests.support.kinesis.server import KEY_ID, REGION, SECRET, KinesisServer

TARGET = TypeName("t", "f")
MODULE = ModuleSpec((EndpointSpec(FunctionPattern("t", None), "http://x/"),), (), ())
Record = tuple[bytes | None, bytes | None]


@dataclass
class Rig:
    """A log of two splits, and ingresses that read it from where an earlier life was."""

    router: RecordingIngressContext
    new: Callable[[Mapping[str, Position]], IngressSource]
    append: Callable[[int, Sequence[Record]], Awaitable[None]]
    # From how many records of a split were passed to its position, and back.
    position: Callable[[int, int], Position]
    passed: Callable[[IngressSource], list[int]]


@asynccontextmanager
async def fake_rig(_: None) -> AsyncIterator[Rig]:
    log, router = FakeLog(2), RecordingIngressContext(MODULE)

    async def append(split: int, records: Sequence[Record]) -> None:
        log.append(split, *records)

    yield Rig(
        router,
        lambda r: FakeIngress(log, router, TARGET, "t/value", r),
        append,
        lambda _, count: count,
        count_passed,
    )


def count_passed(ingress: IngressSource) -> list[int]:
    """Where a position is the number of records before it."""
    return sorted(ingress.positions().values())


@asynccontextmanager
async def kafka_rig(broker: KafkaBroker) -> AsyncIterator[Rig]:
    topic, router = broker.unique_topic("ingress", 2), RecordingIngressContext(MODULE)
    spec = KafkaIngressSpec(
        id=TypeName("t", "in"),
        bootstrap_servers=broker.bootstrap,
        group_id=topic,
        routes=(TopicRoute(topic, "t/value", (TARGET,)),),
        startup=Earliest(),
    )

    async def append(split: int, records: Sequence[Record]) -> None:
        await asyncio.to_thread(broker.client.produce, topic, records, partition=split)

    topic_id = await asyncio.to_thread(broker.client.topic_id, topic)

    def passed(ingress: IngressSource) -> list[int]:
        return sorted(KafkaPosition.read(one).offset for one in ingress.positions().values())

    yield Rig(
        router,
        lambda restored: KafkaIngress(spec, router, restored),
        append,
        lambda _, count: KafkaPosition(count, topic_id).stored(),
        passed,
    )


class KinesisStream:
    """A stream of two shards on a real server."""

    def __init__(self, server: KinesisServer) -> None:
        self._server = server
        self.name = server.unique_stream("ingress", 2)
        self.clients: KinesisClients = AwsClients(
            CustomEndpoint(server.url, REGION),
            BasicCredentials(KEY_ID, SECRET),
            AwsClientSettings(),
            owner="t/in",
        )

    async def put(self, split: int, records: Sequence[tuple[str, bytes]]) -> list[int]:
        """Put records; return the sequence numbers of all that the shard has."""
        await asyncio.to_thread(self._server.put, self.name, records, shard=split)
        found = await asyncio.to_thread(self._server.read_all, self.name)
        return [record.sequence for record in found if record.shard.endswith(str(split))]


class KinesisInMemory:
    """The same without a server."""

    def __init__(self) -> None:
        self._kinesis = FakeKinesis()
        self.name = "s"
        self._kinesis.create(self.name, 2)
        self.clients: KinesisClients = self._kinesis

    async def put(self, split: int, records: Sequence[tuple[str, bytes]]) -> list[int]:
        for key, value in records:
            self._kinesis.put(self.name, key, value, shard=split)
        return [record.sequence for record in self._kinesis.streams[self.name][split].records]


@asynccontextmanager
async def kinesis_rig(stream: KinesisStream | KinesisInMemory) -> AsyncIterator[Rig]:
    router = RecordingIngressContext(MODULE)
    spec = KinesisIngressSpec(
        id=TypeName("t", "in"),
        routes=(StreamRoute(stream.name, "t/value", (TARGET,)),),
        startup=Earliest(),
        reading=ShardReading(interval_s=0.02),
    )
    sequences: list[list[int]] = [[], []]

    async def append(split: int, records: Sequence[Record]) -> None:
        put = [((key or b"").decode(), value or b"") for key, value in records]
        sequences[split] = await stream.put(split, put)

    def position(split: int, count: int) -> Position:
        return as_position(sequences[split][count - 1] if count else 0)

    def passed(ingress: IngressSource) -> list[int]:
        positions = ingress.positions()
        return sorted(
            sequences[split].index(at) + 1 if at else 0
            for split in (0, 1)
            for at in (number_of(positions[f"{stream.name}/shardId-00000000000{split}"]),)
        )

    def new(restored: dict[str, int]) -> IngressSource:
        return KinesisIngress(spec, router, restored, clients=stream.clients)

    yield Rig(router, new, append, position, passed)


RigFactory = Callable[[], AbstractAsyncContextManager[Rig]]


_KAFKA = pytest.param("kafka", marks=pytest.mark.kafka)


def factory(request: pytest.FixtureRequest) -> RigFactory:
    if request.param == "kafka":
        broker = request.getfixturevalue("broker")
        return lambda: kafka_rig(broker)
    if request.param == "kinesis":
        server = request.getfixturevalue("kinesis")
        return lambda: kinesis_rig(KinesisStream(server))
    if request.param == "kinesis-in-memory":
        return lambda: kinesis_rig(KinesisInMemory())
    return lambda: fake_rig(None)


@pytest.fixture(params=["fake", _KAFKA, "kinesis", "kinesis-in-memory"])
def rig(request: pytest.FixtureRequest) -> RigFactory:
    return factory(request)


@pytest.fixture(params=["fake", _KAFKA])
def rig_of_bytes(request: pytest.FixtureRequest) -> RigFactory:
    """One whose keys and values may be anything, also missing; Kinesis has text and bytes, always."""
    return factory(request)


@asynccontextmanager
async def reading(ingress: IngressSource) -> AsyncIterator[IngressSource]:
    async with asyncio.timeout(60):
        await ingress.start()
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(ingress.run())
            yield ingress
            task.cancel()
        await ingress.close()


def records(split: int, count: int, *, first: int = 0) -> list[Record]:
    return [(b"id-%d-%d" % (split, n % 3), b"%d" % n) for n in range(first, first + count)]


def values(router: RecordingIngressContext, function_id: str) -> list[bytes]:
    """Return the values that one address got, in order."""
    got = [invocation for _, found, invocation in router.delivered if found == function_id]
    batch = ToFunction.InvocationBatchRequest.FromString(b"".join(got))
    return [invocation.argument.value for invocation in batch.invocations]


def counted(ingress: IngressSource, name: str) -> float:
    found: list[Metric] = [s for s in ingress.metrics() if s.name == name]
    return sum(s.value for s in found if isinstance(s.value, float | int))


def test_records_are_routed_in_order_per_split_with_key_and_type(rig: RigFactory):
    async def main() -> None:
        async with rig() as made:
            await made.append(0, records(0, 30))
            await made.append(1, records(1, 30))
            async with reading(made.new({})) as ingress:
                await made.router.arrived(60)

                for split in (0, 1):
                    for rest in range(3):
                        expected = [b"%d" % n for n in range(30) if n % 3 == rest]
                        assert values(made.router, f"id-{split}-{rest}") == expected
                assert {name for name, _, _ in made.router.delivered} == {"t/f"}
                assert made.passed(ingress) == [30, 30]

    asyncio.run(main())


def test_records_that_come_later_are_read_too(rig: RigFactory):
    async def main() -> None:
        async with rig() as made, reading(made.new({})):
            await made.append(0, records(0, 5))
            await made.router.arrived(5)
            await made.append(0, records(0, 5, first=5))
            await made.router.arrived(10)

    asyncio.run(main())


def test_after_a_restore_it_goes_on_behind_the_position_and_skips_nothing(rig: RigFactory):
    async def main() -> None:
        async with rig() as made:
            await made.append(0, records(0, 10))
            await made.append(1, records(1, 7))
            async with reading(made.new({})) as ingress:
                await made.router.arrived(17)
                positions = ingress.positions()
            made.router.delivered.clear()
            await made.append(0, records(0, 3, first=10))
            split_1 = next(name for name, at in positions.items() if at == made.position(1, 7))
            positions[split_1] = made.position(1, 5)

            async with reading(made.new(positions)):
                await made.router.arrived(5)
                assert values(made.router, "id-0-1") == [b"10"]
                assert values(made.router, "id-1-2") == [b"5"]
                assert values(made.router, "id-1-0") == [b"6"]
                assert len(made.router.delivered) == 5

    asyncio.run(main())


def test_a_record_without_key_or_value_is_skipped_and_counted(rig_of_bytes: RigFactory):
    async def main() -> None:
        async with rig_of_bytes() as made, reading(made.new({})) as ingress:
            await made.append(0, [(b"a", b"1"), (None, b"x"), (b"a", None), (b"a", b"2")])
            await made.router.arrived(2)

            assert values(made.router, "a") == [b"1", b"2"]
            assert counted(ingress, "statefun_ingress_skipped") == 2
            assert made.passed(ingress) == [0, 4]

    asyncio.run(main())


def test_a_key_that_is_not_text_becomes_text(rig_of_bytes: RigFactory):
    async def main() -> None:
        async with rig_of_bytes() as made, reading(made.new({})):
            await made.append(0, [(b"a\xff", b"1"), (b"", b"2")])
            await made.router.arrived(2)

            assert [function_id for _, function_id, _ in made.router.delivered] == ["a\ufffd", ""]

    asyncio.run(main())


def test_a_closed_gate_holds_it_back_and_nothing_is_lost(rig: RigFactory):
    async def main() -> None:
        async with rig() as made:
            made.router.close_gate()
            await made.append(0, records(0, 5))
            async with reading(made.new({})) as ingress:
                for _ in range(10):
                    await asyncio.sleep(0)
                assert made.router.delivered == []
                assert made.passed(ingress) == [0, 0]

                made.router.open_gate()
                await made.router.arrived(5)

    asyncio.run(main())


def test_nothing_is_routed_after_it_was_cancelled(rig: RigFactory):
    async def main() -> None:
        async with rig() as made:
            await made.append(0, records(0, 5))
            async with reading(made.new({})) as ingress:
                await made.router.arrived(5)
            positions = ingress.positions()
            await made.append(0, records(0, 5, first=5))
            for _ in range(10):
                await asyncio.sleep(0)

            assert len(made.router.delivered) == 5
            assert ingress.positions() == positions

    asyncio.run(main())


@pytest.mark.kafka
def test_kafka_goes_on_at_positions_from_before_topics_had_ids(broker: KafkaBroker):
    async def main() -> None:
        async with kafka_rig(broker) as made:
            await made.append(0, records(0, 10))
            (topic,) = {name.rpartition("/")[0] for name in await first_positions(made)}
            made.router.delivered.clear()

            async with reading(made.new({f"{topic}/0": 8, f"{topic}/1": 0})) as ingress:
                await made.router.arrived(2)
                assert values(made.router, "id-0-2") == [b"8"]
                assert ingress.positions()[f"{topic}/0"] == made.position(0, 10)

    asyncio.run(main())


async def first_positions(made: Rig) -> Mapping[str, Position]:
    async with reading(made.new({})) as ingress:
        return ingress.positions()
