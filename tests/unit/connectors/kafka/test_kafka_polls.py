"""Between two polls of a Kafka ingress the loop is everybody's, also where all records have been fetched already.

Where they trickle in, some more are waited for; where there are many, or none, nothing is.
"""

import asyncio
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from aiokafka import TopicPartition

from statefun_runtime.connectors.kafka.ingress.reader import KafkaIngress
from statefun_runtime.connectors.kafka.ingress.rest import rest
from statefun_runtime.connectors.kafka.settings.values import TopicRoute
from statefun_runtime.connectors.kafka.specs import KafkaIngressSpec
from statefun_runtime.core.model.address import TypeName
from statefun_runtime.core.module.specs import Earliest, EndpointSpec, FunctionPattern
from statefun_runtime.ports.module import ModuleSpec
from tests.fakes.ingress import RecordingIngressContext
from tests.fakes.virtual_time import run_virtual
from tests.support.kafka.one_topic import OneTopic

COUNT = 10_000
REST_S = 0.01


def test_others_have_the_loop_between_two_polls():
    async def main() -> list[int]:
        endpoint = EndpointSpec(FunctionPattern("shop", None), "http://shop/")
        router = RecordingIngressContext(ModuleSpec((endpoint,), (), ()))
        route = TopicRoute("orders", "shop/order", (TypeName("shop", "order"),))
        spec = KafkaIngressSpec(
            TypeName("shop", "in"), "kafka:9092", "shop", (route,), startup=Earliest()
        )
        topic: Any = OneTopic([(b"k%d" % number, b"v") for number in range(COUNT)])
        ingress = KafkaIngress(spec, router, {}, clients=topic)
        await ingress.start()
        seen = [0]
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(ingress.run())
            while seen[-1] < COUNT:
                await asyncio.sleep(0)
                seen.append(len(router.delivered))
            task.cancel()
        await ingress.close()
        return seen

    seen = asyncio.run(main())

    assert max(after - before for before, after in pairwise(seen)) <= 1000


class Consumer:
    def __init__(self) -> None:
        self.paused: list[TopicPartition] = []
        self.paused_max = 0

    def pause(self, *some: TopicPartition) -> None:
        self.paused += some
        self.paused_max = max(self.paused_max, len(self.paused))

    def resume(self, some: list[TopicPartition]) -> None:
        self.paused = [one for one in self.paused if one not in some]


def splits(count: int) -> list[TopicPartition]:
    return [TopicPartition("in", number) for number in range(count)]


def rested(records: int, *, rest_s: float = REST_S, split_count: int = 4) -> float:
    """Return for how long it rested after a poll with so many records, with everything paused."""

    async def main() -> float:
        consumer: Any = Consumer()
        context: Any = type("Context", (), {"rest_s": lambda: rest_s})
        polled: Any = {TopicPartition("in", 0): [b""] * records} if records else {}
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        await rest(context, polled, splits(split_count), consumer, consumer.resume)
        assert consumer.paused == []
        assert consumer.paused_max == (split_count if loop.time() > began_s else 0)
        return loop.time() - began_s

    return run_virtual(main)


def test_after_a_few_records_more_are_waited_for():
    assert rested(1) == pytest.approx(REST_S)
    assert rested(64) == pytest.approx(REST_S)


@pytest.mark.parametrize(
    "without",
    [
        lambda: rested(0),
        lambda: rested(65),
        lambda: rested(1, rest_s=0.0),
        lambda: rested(1, split_count=65),
    ],
    ids=[
        "after none",
        "after many",
        "where something leaves at once",
        "with many topic partitions",
    ],
)
def test_otherwise_others_have_the_loop_and_that_is_all(without: Callable[[], float]):
    assert without() == 0
