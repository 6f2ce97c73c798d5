"""`io.statefun.playground.v1/egress`: GET /topic takes one payload away.

A read is destructive, and what is read may be lost on its way: at most once. Per topic the oldest payloads are
dropped beyond 2^20.
"""

import asyncio
import json
from collections import deque
from collections.abc import Iterator, Sequence

from statefun_runtime.adapters.http_server import HttpRequest, HttpResponse, HttpServer
from statefun_runtime.core.samples import Kind, Sample
from statefun_runtime.core.specs import PlaygroundEgressSpec
from statefun_runtime.ports.egress import RecordRefused

RECORD_TYPENAME = "io.statefun.playground/EgressRecord"
_QUEUE_MAX = 1 << 20

Record = tuple[str, bytes]


class PlaygroundEgress:
    """The HTTP egress, an EgressSink whose records wait in memory until somebody asks for them."""

    def __init__(self, spec: PlaygroundEgressSpec, *, host: str) -> None:
        self._queues: dict[str, deque[bytes]] = {topic: deque() for topic in spec.topics}
        self._server = HttpServer(self._give, host=host, port=spec.port, body_bytes_max=1024 * 1024)
        self._published = 0
        self._dropped = 0
        self._is_changed = False

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self._server.port

    async def start(self) -> None:
        """Listen."""
        await self._server.start(what="the playground egress")

    async def run(self) -> None:
        """Answer until cancelled."""
        await asyncio.get_running_loop().create_future()

    def prepare(self, typename: str, value: bytes) -> Record:
        """Check an EgressRecord; raise RecordRefused."""
        if typename != RECORD_TYPENAME:
            raise RecordRefused(f"a record must be of type '{RECORD_TYPENAME}', found '{typename}'")
        try:
            content = json.loads(value)
        except ValueError as error:
            raise RecordRefused(f"a record must be JSON: {error}") from error
        if not isinstance(content, dict) or set(content) - {"topic", "payload"}:
            raise RecordRefused("a record must be a JSON object with 'topic' and 'payload' only")
        topic, payload = content.get("topic"), content.get("payload")
        if not isinstance(topic, str) or not isinstance(payload, str):
            raise RecordRefused("'topic' and 'payload' of a record must be text")
        if topic not in self._queues:
            known = ", ".join(self._queues)
            raise RecordRefused(f"topic '{topic}' is not declared (declared: {known})")
        return topic, payload.encode(errors="replace")

    def emit(self, record: Record) -> None:
        """Keep a payload until it is read."""
        topic, payload = record
        queue = self._queues[topic]
        if len(queue) >= _QUEUE_MAX:
            queue.popleft()
            self._dropped += 1
        queue.append(payload)
        self._is_changed = True

    def backlog_bytes(self) -> int:
        """Nothing is held back for readers: what is too much is dropped."""
        return 0

    async def flush(self, timeout_s: float) -> None:
        """Nobody can be made to read."""

    @property
    def is_transactional(self) -> bool:
        """A record can be read as soon as it is there."""
        return False

    @property
    def is_changed(self) -> bool:
        """Whether a payload came or went since the last cut."""
        return self._is_changed

    def cut(self, epoch: int) -> Sequence[Record] | None:
        """Return what nobody has read."""
        if not self._is_changed:
            return None
        self._is_changed = False
        return [(topic, payload) for topic, queue in self._queues.items() for payload in queue]

    def encode(self, records: Sequence[Record]) -> list[bytes]:
        """Return payloads with their topics."""
        return [json.dumps([topic, payload.decode()]).encode() for topic, payload in records]

    def completed(self, epoch: int) -> None:
        """Nothing waits for a checkpoint."""

    def failed(self, epoch: int) -> None:
        """The next cut has it all again."""
        self._is_changed = True

    def confirmed_epoch(self) -> int:
        """Nothing is published by epoch."""
        return 0

    def restore(self, epoch: int, records: list[bytes]) -> None:
        """Take back what nobody had read; topics that are no longer declared are left behind."""
        for record in records:
            topic, payload = json.loads(record)
            if topic in self._queues:
                self.emit((topic, payload.encode()))

    def samples(self) -> Iterator[Sample]:
        """Return what was read, what was dropped, and what waits for readers."""
        yield Sample("statefun_egress_records", Kind.COUNTER, "records that left", self._published)
        yield Sample("statefun_egress_dropped", Kind.COUNTER, "records dropped", self._dropped)
        waiting = sum(map(len, self._queues.values()))
        yield Sample("statefun_egress_waiting", Kind.GAUGE, "records that have not left", waiting)

    async def close(self) -> None:
        """Stop listening."""
        await self._server.close()

    def _give(self, request: HttpRequest) -> HttpResponse:
        segments = request.segments()
        queue = self._queues.get(segments[0]) if len(segments) == 1 else None
        if queue is None:
            known = ", ".join(f"/{topic}" for topic in self._queues)
            return _respond(
                404, f"no such topic: {request.path} (there are: {known})\n".encode(), said=405
            )
        if not queue:
            return _respond(404, b"", said=404)
        self._published += 1
        self._is_changed = True
        return _respond(200, queue.popleft(), said=200)


def _respond(status: int, body: bytes, *, said: int) -> HttpResponse:
    """The header `Status` says what StateFun's playground says there."""
    return HttpResponse(status, body, headers=(("Status", str(said)),))
