"""Between two polls of a Kafka ingress the loop is everybody's, also where all records have been fetched already."""

import asyncio
from itertools import pairwise
from typing import Any

from statefun_runtime.connectors.kafka.ingress.reader import KafkaIngress
from statefun_runtime.connectors.kafka.settings.values import TopicRoute
from statefun_runtime.connectors.kafka.specs import KafkaIngressSpec
from statefun_runtime.core.model.address import TypeName
from statefun_runtime.core.module.specs import Earliest, EndpointSpec, FunctionPattern
from statefun_runtime.ports.module import ModuleSpec
from tests.fakes.ingress import RecordingIngressContext
from tests.support.kafka.one_topic import OneTopic

COUNT = 10_000


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
