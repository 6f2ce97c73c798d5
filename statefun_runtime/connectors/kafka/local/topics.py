"""Topics in memory, in the place of a broker while somebody develops: nothing of them outlives the process.

PUT /TOPIC/KEY     appends a record with that key, PUT /TOPIC one without
GET /TOPIC         takes the oldest record that nobody has taken so; 404 if there is none
GET /              the topics, and how many records each has

Ingresses read all records of their topics, taken or not, as consumers of Kafka do. Each topic has one topic partition.
"""

import asyncio
import json
import logging
import time
from collections.abc import Sequence
from typing import NamedTuple

from statefun_runtime.adapters.http.server import HttpRequest, HttpResponse, HttpServer
from statefun_runtime.connectors.kafka.settings.names import why_no_topic

log = logging.getLogger("statefun.worker")

_BODY_BYTES_MAX = 1024 * 1024
# The oldest go first: whoever develops for days has no more of them than that.
_RECORDS_MAX = 100_000
_CONNECTIONS_MAX = 256


Headers = Sequence[tuple[str, bytes | None]]


class LocalRecord(NamedTuple):
    """A record of a topic."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Headers


class LocalTopic:
    """Its records; `begin` is the offset of the first one that is kept."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._records: list[LocalRecord] = []
        self.begin = self._taken = 0

    @property
    def end(self) -> int:
        """The offset of the next record."""
        return self.begin + len(self._records)

    def append(
        self,
        key: bytes | None,
        value: bytes | None,
        headers: Headers = (),
        timestamp_ms: int | None = None,
    ) -> LocalRecord:
        """Add a record; past the maximum the oldest ones are dropped."""
        when_ms = round(time.time() * 1000) if timestamp_ms is None else timestamp_ms
        record = LocalRecord(self._name, 0, self.end, when_ms, key, value, headers)
        self._records.append(record)
        if len(self._records) > _RECORDS_MAX:
            dropped = len(self._records) // 2
            del self._records[:dropped]
            self.begin += dropped
            text = "topic %s of the Kafka in memory: its %d oldest records are dropped"
            log.warning(text, self._name, dropped)
        return record

    def read(self, offset: int, count_max: int) -> list[LocalRecord]:
        """Return records from an offset on, or from the first that is kept."""
        start = max(offset - self.begin, 0)
        return self._records[start : start + count_max]

    def take(self) -> LocalRecord | None:
        """Return the oldest record that was not taken, and take it."""
        records = self.read(self._taken, 1)
        if not records:
            return None
        self._taken = records[0].offset + 1
        return records[0]


class LocalKafka:
    """All topics, which are made when they are first named, and the port at which they are written and read."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._topics: dict[str, LocalTopic] = {}
        self._moved: list[asyncio.Event] = []
        self._server: HttpServer | None = None
        self._users = 0

    def topic(self, name: str) -> LocalTopic:
        """Return a topic."""
        return self._topics.setdefault(name, LocalTopic(name))

    def append(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        headers: Headers = (),
        timestamp_ms: int | None = None,
    ) -> LocalRecord:
        """Add a record to a topic, and wake who waits for some."""
        record = self.topic(topic).append(key, value, headers, timestamp_ms)
        for event in self._moved:
            event.set()
        return record

    def watch(self, event: asyncio.Event) -> None:
        """Have an event set when records come."""
        self._moved.append(event)

    async def listen(self, host: str) -> None:
        """Take the port, for the first of several users; raise UnavailableError if it cannot be had."""
        self._users += 1
        if self._server is None:
            self._server = HttpServer(
                self._answer,
                host=host,
                port=self.port,
                body_bytes_max=_BODY_BYTES_MAX,
                connections_max=_CONNECTIONS_MAX,
            )
            await self._server.start(what="the Kafka in memory")

    async def close(self) -> None:
        """Leave the port with the last user."""
        self._users -= 1
        if self._users == 0 and self._server is not None:
            await self._server.close()

    def _answer(self, request: HttpRequest) -> HttpResponse:
        topic, *key = request.segments()
        if request.method == "GET" and not topic:
            counts = {name: each.end for name, each in self._topics.items()}
            return HttpResponse(200, json.dumps(counts).encode() + b"\n", "application/json")
        defect = why_no_topic(topic)
        if defect is not None or len(key) > 1:
            text = defect or "write it like /TOPIC/KEY, with %2F for a slash in the key"
            return HttpResponse(400, f"{text}\n".encode())
        if request.method == "PUT":
            name = key[0].encode() if key else None
            self.append(topic, name, request.body)
            return HttpResponse(200)
        if request.method == "GET" and not key:
            return _taken(self.topic(topic).take())
        return HttpResponse(405, b"records are put with PUT /TOPIC/KEY and taken with GET /TOPIC\n")


def _taken(record: LocalRecord | None) -> HttpResponse:
    if record is None:
        return HttpResponse(404, b"no record is there that was not taken\n")
    key = record.key or b""
    headers = (
        ("kafka-key", key.decode("latin-1") if key.isascii() else repr(key)[2:-1]),
        ("kafka-offset", str(record.offset)),
    )
    return HttpResponse(200, record.value or b"", "application/octet-stream", headers)
