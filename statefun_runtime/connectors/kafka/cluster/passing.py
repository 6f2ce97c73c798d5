"""Things on their way through a topic that keeps them for minutes: sent in order, and read from where one began.

One that is large goes as several records; the key of each but the last ends with " +". The client sends the records of one
producer in their order, each once; whatever breaks that ends `run`.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from functools import partial

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from statefun_runtime.connectors.kafka.client.clients import KafkaClients
from statefun_runtime.connectors.kafka.client.inside import leave
from statefun_runtime.connectors.kafka.client.protocols import Consumer, Producer
from statefun_runtime.connectors.kafka.cluster.topics import Brokers, away

_POLL_MS = 1000
_FETCH_WAIT_MS = 500
_BATCH_BYTES = 512 * 1024
_PART_BYTES = 400 * 1024
_MORE = b" +"

# Is told of a thing: its key and content.
Take = Callable[[bytes, bytes], None]


class Sender:
    """Sends records; `put` never waits, and what is on its way is counted."""

    def __init__(
        self, brokers: Brokers, clients: KafkaClients, *, compression: str | None = None
    ) -> None:
        self._brokers = brokers
        self._clients = clients
        self._arguments = brokers.arguments() | {"compression_type": compression}
        self._waiting: deque[tuple[str, int, bytes, bytes]] = deque()
        self._is_wanted = asyncio.Event()
        self._failure: asyncio.Future[KafkaError] = asyncio.get_running_loop().create_future()
        self._has_sent = asyncio.Event()
        self._unsent = 0
        self.waiting_bytes = 0

    def put(self, topic: str, partition: int, key: bytes, content: bytes) -> None:
        """Have a thing sent behind all that were put before; of two with one key the first is whole before the second."""
        while len(content) > _PART_BYTES:
            self._put(topic, partition, key + _MORE, content[:_PART_BYTES])
            content = content[_PART_BYTES:]
        self._put(topic, partition, key, content)

    def _put(self, topic: str, partition: int, key: bytes, value: bytes) -> None:
        self._waiting.append((topic, partition, key, value))
        self.waiting_bytes += len(value)
        self._unsent += 1
        self._is_wanted.set()

    async def sent(self) -> None:
        """Return when the brokers have all that was put."""
        while self._unsent:
            self._has_sent.clear()
            await self._has_sent.wait()

    async def run(self) -> None:
        """Send until cancelled; raise UnavailableError if a record is lost."""
        producer = self._clients.make_producer(
            self._arguments
            | {
                "enable_idempotence": True,
                "acks": "all",
                "max_batch_size": _BATCH_BYTES,
                "max_request_size": 2 * _BATCH_BYTES,
            }
        )
        try:
            await producer.start()
            async with asyncio.TaskGroup() as tasks:
                sending = tasks.create_task(self._send(producer))
                error = await self._failure
                sending.cancel()
            raise error
        except (KafkaError, OSError) as error:
            raise await away(self._brokers, self._clients, self._arguments, error) from error
        finally:
            await leave(producer)

    async def _send(self, producer: Producer) -> None:
        while True:
            await self._is_wanted.wait()
            self._is_wanted.clear()
            while self._waiting:
                topic, partition, key, value = self._waiting.popleft()
                try:
                    sent = await producer.send(topic, value, key, partition=partition)
                except KafkaError as error:
                    self._fail(error)
                    return
                sent.add_done_callback(partial(self._sent, len(value)))

    def _sent(self, size: int, sent: "asyncio.Future[object]") -> None:
        self.waiting_bytes -= size
        self._unsent -= 1
        self._has_sent.set()
        error = None if sent.cancelled() else sent.exception()
        if isinstance(error, KafkaError):
            self._fail(error)

    def _fail(self, error: KafkaError) -> None:
        if not self._failure.done():
            self._failure.set_result(error)


class Receiver:
    """Reads one topic partition, from an offset on, or from where it ends now."""

    def __init__(self, brokers: Brokers, clients: KafkaClients, place: TopicPartition) -> None:
        self._brokers = brokers
        self._clients = clients
        self._arguments = brokers.arguments()
        self._place = place
        # What has come of things that are not whole yet, by their keys.
        self._parts: dict[bytes, list[bytes]] = {}

    async def run(self, take: Take, *, start: int | None, begun: Callable[[], None]) -> None:
        """Read until cancelled; `begun` is called when nothing that is sent from now on is missed.

        Raise UnavailableError if that cannot be gone on with.
        """
        consumer = self._clients.make_consumer(
            self._arguments
            | {
                "enable_auto_commit": False,
                "auto_offset_reset": "none",
                "fetch_max_wait_ms": _FETCH_WAIT_MS,
            }
        )
        try:
            await consumer.start()
            await self._begin(consumer, start)
            begun()
            while True:
                for record in (await consumer.getmany(timeout_ms=_POLL_MS)).get(self._place, ()):
                    self._take(take, record.key or b"", record.value or b"")
        except (KafkaError, OSError) as error:
            raise await away(self._brokers, self._clients, self._arguments, error) from error
        finally:
            await leave(consumer)

    def _take(self, take: Take, key: bytes, value: bytes) -> None:
        if key.endswith(_MORE):
            self._parts.setdefault(key.removesuffix(_MORE), []).append(value)
        elif self._parts and (parts := self._parts.pop(key, None)):
            take(key, b"".join((*parts, value)))
        else:
            take(key, value)

    async def _begin(self, consumer: Consumer, start: int | None) -> None:
        consumer.assign([self._place])
        if start is None:
            ends = await consumer.end_offsets([self._place])
            start = ends[self._place]
        consumer.seek(self._place, start)
