"""The IngressSource port: Kafka's, and the log of the tests. (The playground's has no splits: see unit/adapters.)"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass

import pytest
from statefun._wire import ToFunction

from statefun_runtime.adapters.kafka_ingress import KafkaIngress
from statefun_runtime.core.address import TypeName
from statefun_runtime.core.samples import Sample
from statefun_runtime.core.specs import (
    Earliest,
    EndpointSpec,
    FunctionPattern,
    KafkaIngressSpec,
    ModuleSpec,
    TopicRoute,
)
from statefun_runtime.ports.ingress import IngressSource
from tests.fakes.ingress import FakeIngress, FakeLog, RecordingRouter
from tests.support.kafka_broker import KafkaBroker

TARGET = TypeName("t", "f")
MODULE = ModuleSpec((EndpointSpec(FunctionPattern("t", None), "http://x/"),), (), ())
Record = tuple[bytes | None, bytes | None]


@dataclass
class Rig:
    """A log of two splits, and ingresses that read it from where an earlier life was."""

    router: RecordingRouter
    new: Callable[[dict[str, int]], IngressSource]
    append: Callable[[int, Sequence[Record]], Awaitable[None]]


@asynccontextmanager
async def fake_rig(_: None) -> AsyncIterator[Rig]:
    log, router = FakeLog(2), RecordingRouter(MODULE)

    async def append(split: int, records: Sequence[Record]) -> None:
        log.append(split, *records)

    yield Rig(router, lambda r: FakeIngress(log, router, TARGET, "t/value", r), append)


@asynccontextmanager
async def kafka_rig(broker: KafkaBroker) -> AsyncIterator[Rig]:
    topic, router = broker.unique_topic("ingress", 2), RecordingRouter(MODULE)
    spec = KafkaIngressSpec(
        id=TypeName("t", "in"),
        bootstrap_servers=broker.bootstrap,
        group_id=topic,
        routes=(TopicRoute(topic, "t/value", (TARGET,)),),
        startup=Earliest(),
    )

    async def append(split: int, records: Sequence[Record]) -> None:
        await asyncio.to_thread(broker.client.produce, topic, records, partition=split)

    yield Rig(router, lambda restored: KafkaIngress(spec, router, restored), append)


RigFactory = Callable[[], AbstractAsyncContextManager[Rig]]


@pytest.fixture(params=["fake", pytest.param("kafka", marks=pytest.mark.kafka)])
def rig(request: pytest.FixtureRequest) -> RigFactory:
    if request.param == "kafka":
        broker = request.getfixturevalue("broker")
        return lambda: kafka_rig(broker)
    return lambda: fake_rig(None)


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


def values(router: RecordingRouter, function_id: str) -> list[bytes]:
    """Return the values that one address got, in order."""
    got = [invocation for _, found, invocation in router.delivered if found == function_id]
    batch = ToFunction.InvocationBatchRequest.FromString(b"".join(got))
    return [invocation.argument.value for invocation in batch.invocations]


def counted(ingress: IngressSource, name: str) -> float:
    found: list[Sample] = [s for s in ingress.samples() if s.name == name]
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
                assert sorted(ingress.positions().values()) == [30, 30]

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
            split_1 = next(name for name, position in positions.items() if position == 7)
            positions[split_1] = 5

            async with reading(made.new(positions)):
                await made.router.arrived(5)
                assert values(made.router, "id-0-1") == [b"10"]
                assert values(made.router, "id-1-2") == [b"5"]
                assert values(made.router, "id-1-0") == [b"6"]
                assert len(made.router.delivered) == 5

    asyncio.run(main())


def test_a_record_without_key_or_value_is_skipped_and_counted(rig: RigFactory):
    async def main() -> None:
        async with rig() as made, reading(made.new({})) as ingress:
            await made.append(0, [(b"a", b"1"), (None, b"x"), (b"a", None), (b"a", b"2")])
            await made.router.arrived(2)

            assert values(made.router, "a") == [b"1", b"2"]
            assert counted(ingress, "statefun_ingress_skipped") == 2
            assert sorted(ingress.positions().values()) == [0, 4]

    asyncio.run(main())


def test_a_key_that_is_not_text_becomes_text(rig: RigFactory):
    async def main() -> None:
        async with rig() as made, reading(made.new({})):
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
                assert sorted(ingress.positions().values()) == [0, 0]

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
