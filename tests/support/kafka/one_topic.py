"""Kafka clients in memory, for what an ingress does with the records of one topic."""

import asyncio
from types import SimpleNamespace
from typing import Any

from aiokafka import TopicPartition

from statefun_runtime.connectors.kafka.client.protocols import Topic


class OneTopic:
    """Kafka clients whose consumers read the records of topic orders, one topic partition of them."""

    def __init__(self, records: list[tuple[bytes | None, bytes | None]]) -> None:
        self._split = TopicPartition("orders", 0)
        self._records = [
            SimpleNamespace(topic="orders", partition=0, offset=n, key=key, value=value)
            for n, (key, value) in enumerate(records)
        ]
        self.paused: list[TopicPartition] = []

    def make_consumer(self, arguments: Any) -> "OneTopic":
        return self

    async def silent_brokers(self, *_: Any) -> list[str]:
        return []

    def positions(self, *_: Any) -> dict[TopicPartition, int]:
        return {}

    async def watch(self, *_: Any) -> None: ...

    async def find_topics(self, *_: Any, **__: Any) -> dict[str, Topic]:
        return {"orders": Topic(1)}

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    async def beginning_offsets(self, splits: Any) -> dict[TopicPartition, int]:
        return {self._split: 0}

    async def end_offsets(self, splits: Any) -> dict[TopicPartition, int]:
        return {self._split: len(self._records)}

    def assign(self, splits: Any) -> None: ...

    def seek(self, split: TopicPartition, offset: int) -> None: ...

    def pause(self, split: TopicPartition) -> None:
        self.paused.append(split)

    def highwater(self, split: TopicPartition) -> int:
        return len(self._records)

    async def getmany(self, **arguments: Any) -> dict[TopicPartition, list[Any]]:
        """What has been fetched is there at once, as with the real ones."""
        count = arguments["max_records"]
        records, self._records = self._records[:count], self._records[count:]
        if not records:
            await asyncio.Event().wait()
        return {self._split: records}
