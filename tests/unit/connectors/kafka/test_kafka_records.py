"""Leaving a Kafka client that is not well."""

import asyncio

import pytest

from statefun_runtime.connectors.kafka.client.inside import leave


class Connections:
    def __init__(self) -> None:
        self.is_closed = False

    async def close(self) -> None:
        self.is_closed = True


class Consumer:
    """Its `stop` does what aiokafka's does while a fetch waits for a broker that is away."""

    def __init__(self) -> None:
        self._client = Connections()
        self.is_stopping = asyncio.Event()

    async def stop(self) -> None:
        raise asyncio.CancelledError


class SlowConsumer(Consumer):
    async def stop(self) -> None:
        self.is_stopping.set()
        await asyncio.get_running_loop().create_future()


def test_a_cancellation_that_nobody_asked_for_does_not_end_the_task_that_leaves():
    async def main() -> None:
        consumer = Consumer()
        try:
            raise ValueError("what went wrong before")
        except ValueError:
            await leave(consumer)
        assert consumer._client.is_closed

    asyncio.run(main())


def test_a_cancellation_that_was_asked_for_ends_it():
    async def main() -> None:
        consumer = SlowConsumer()
        task = asyncio.get_running_loop().create_task(leave(consumer))
        await consumer.is_stopping.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
