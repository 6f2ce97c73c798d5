"""A topic that cannot be looked at waits alone, and its first position is in a checkpoint before it is read."""

import asyncio
from types import SimpleNamespace
from typing import Any

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError, TopicAuthorizationFailedError

from statefun_runtime.connectors.kafka.client.protocols import Topic
from statefun_runtime.connectors.kafka.ingress.reader import KafkaIngress
from statefun_runtime.connectors.kafka.settings.values import TopicRoute
from statefun_runtime.connectors.kafka.specs import KafkaIngressSpec
from statefun_runtime.core.model.address import TypeName
from statefun_runtime.core.module.specs import EndpointSpec, FunctionPattern, Latest
from statefun_runtime.ports.module import ModuleSpec
from tests.fakes.ingress import RecordingIngressContext
from tests.fakes.virtual_time import run_virtual
from tests.support.kafka.one_topic import OneTopic

TARGET = TypeName("shop", "order")


class TwoTopics(OneTopic):
    """Beside topic orders there is one that is hidden at first; each has one topic partition, with ten records."""

    def __init__(self) -> None:
        super().__init__([])
        self.is_hidden = True
        self.splits = [TopicPartition("orders", 0), TopicPartition("hidden", 0)]
        self.at: dict[TopicPartition, int] = {}
        self.asleep: set[TopicPartition] = set()
        self.logs = dict.fromkeys(self.splits, 10)

    async def find_topics(self, *_: Any, **__: Any) -> dict[str, Topic | KafkaError]:  # type: ignore[override]
        hidden = TopicAuthorizationFailedError("hidden") if self.is_hidden else Topic(1)
        return {"orders": Topic(1), "hidden": hidden}

    async def beginning_offsets(self, splits: Any) -> dict[TopicPartition, int]:
        return dict.fromkeys(splits, 0)

    async def end_offsets(self, splits: Any) -> dict[TopicPartition, int]:
        return {split: self.logs[split] for split in splits}

    def assign(self, splits: Any) -> None:
        self.at, self.asleep = {}, set()

    def seek(self, split: TopicPartition, offset: int) -> None:  # type: ignore[override]
        self.at[split] = offset

    def pause(self, *splits: TopicPartition) -> None:  # type: ignore[override]
        self.asleep |= set(splits)

    def resume(self, *splits: TopicPartition) -> None:
        self.asleep -= set(splits)

    async def commit(self, offsets: Any) -> None: ...

    async def getmany(self, **_: Any) -> dict[TopicPartition, list[Any]]:
        await asyncio.sleep(0.1)
        found = {}
        for split in sorted(self.at.keys() - self.asleep):
            offsets = range(self.at[split], self.logs[split])
            self.at[split] = self.logs[split]
            record = {"topic": split.topic, "partition": 0, "key": split.topic.encode()}
            if offsets:
                found[split] = [
                    SimpleNamespace(**record, offset=offset, value=b"v") for offset in offsets
                ]
        return found


def test_it_is_begun_as_declared_when_it_can_be_seen_and_read_when_that_is_in_a_checkpoint():
    async def main() -> None:
        endpoint = EndpointSpec(FunctionPattern("shop", None), "http://shop/")
        router = RecordingIngressContext(ModuleSpec((endpoint,), (), ()))
        routes = tuple(TopicRoute(t, "shop/order", (TARGET,)) for t in ("orders", "hidden"))
        spec = KafkaIngressSpec(
            TypeName("shop", "in"), "kafka:9092", "shop", routes, startup=Latest()
        )
        kafka: Any = TwoTopics()
        ingress = KafkaIngress(spec, router, {}, clients=kafka)
        await ingress.start()
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(ingress.run())
            orders, hidden = kafka.splits
            kafka.logs[orders] += 1
            await asyncio.sleep(10)
            assert [key for _, key, _ in router.delivered] == ["orders"]
            assert ingress.waits() == [
                "leaves topic 'hidden' alone: broker kafka:9092: not authorised for topic hidden (SF3019)"
            ]

            kafka.is_hidden = False
            await asyncio.sleep(10)
            assert ingress.waits() == []
            kafka.logs[hidden] += 1
            # Of the checkpoints of before none says where it begins.
            ingress.completed({"orders/0": 11})
            await asyncio.sleep(10)
            assert len(router.delivered) == 1
            assert ingress.positions()["hidden/0"] == 10
            ingress.completed({"orders/0": 11, "hidden/0": 10})
            await asyncio.sleep(10)
            assert [key for _, key, _ in router.delivered] == ["orders", "hidden"]

            # What is hidden again is not gone.
            kafka.is_hidden = True
            kafka.logs[hidden] += 1
            await asyncio.sleep(10)
            assert len(router.delivered) == 3
            task.cancel()
        await ingress.close()

    run_virtual(main)
