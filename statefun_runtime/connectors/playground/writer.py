"""`io.statefun.playground.v1/egress`: results are read over HTTP, each topic in one of two ways.

destructive   GET /topic takes the oldest payload away. It can be read at once, also before its checkpoint; what a
              reader lost on its way is lost, and after a crash a payload may be read again. Beyond 2^20 the oldest
              are dropped.
cursor        GET /topic?after=CURSOR returns records and the next cursor; DELETE /topic?upto=CURSOR acknowledges
              what was read. Only records of complete checkpoints are shown, and an acknowledgement is answered when
              it is in one: who keeps the cursor with what was made of the records has read each exactly once.

Records are rows of the application's state, in the order of their keys. A cursor names application, lineage, epoch
and index; one of another application or lineage is answered with 410.
"""

import asyncio
import json
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from urllib.parse import parse_qs

from statefun_runtime.adapters.http.server import (
    Deferred,
    HttpRequest,
    HttpResponse,
    HttpServer,
    ServerFactory,
)
from statefun_runtime.connectors.playground.answers import no_such_topic, respond, unavailable
from statefun_runtime.connectors.playground.settings import PlaygroundEgressSettings
from statefun_runtime.core.model.dead_letter import PLAYGROUND_RECORD
from statefun_runtime.core.model.keys import egress_prefix
from statefun_runtime.core.model.metrics import Metric, MetricKind
from statefun_runtime.core.outboxes.row_outbox import Place, RowOutbox, Topic, TopicRecord
from statefun_runtime.errors import UnavailableError
from statefun_runtime.ports.egress import RecordRefused
from statefun_runtime.ports.rows import Rows

RECORD_TYPENAME = PLAYGROUND_RECORD
_QUEUE_MAX = 1 << 20
_RECORDS_PER_READ = 1000
_READ_BYTES_MAX = 4 * 1024 * 1024


class PlaygroundEgress:
    """The HTTP egress, an EgressSink; `origin` names application and lineage in cursors.

    `saved` returns when all that is so now is in a complete checkpoint. A read by cursor ends at `read_bytes_max`, with at
    least one record.
    """

    def __init__(
        self,
        spec: PlaygroundEgressSettings,
        rows: Rows,
        *,
        host: str,
        origin: str,
        complete_epoch: int,
        saved: Callable[[], Awaitable[None]],
        make_server: ServerFactory = HttpServer,
        read_bytes_max: int = _READ_BYTES_MAX,
    ) -> None:
        self._read_bytes_max = read_bytes_max
        self._by_cursor = spec.cursor_topics
        self._topics = {
            name: Topic(
                name,
                egress_prefix(name),
                None if name in spec.cursor_topics else _QUEUE_MAX,
            )
            for name in spec.topics
        }
        self._rows = rows
        self.outbox = RowOutbox(self._topics, rows.read, rows.write, complete_epoch=complete_epoch)
        self._saved = saved
        self._origin = origin
        self._server = make_server(
            self.serve, host=host, port=spec.port, body_bytes_max=1024 * 1024
        )
        self._unanswered: deque[Deferred] = deque()
        self._has_unanswered = asyncio.Event()
        self._published = 0

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self._server.port

    async def listen(self) -> None:
        """Find what is there, and take the port."""
        for topic in self._topics.values():
            self.outbox.find(topic, (key for key, _ in self._rows.scan_sizes(topic.prefix)))
        await self._server.start(what="the playground egress")

    async def run(self) -> None:
        """Answer acknowledgements when they are safe, until cancelled."""
        while True:
            await self._has_unanswered.wait()
            self._has_unanswered.clear()
            waiting, self._unanswered = self._unanswered, deque()
            await self._saved()
            for answer in waiting:
                answer.resolve(respond(200, b""))

    # ── what functions send ──

    def prepare(self, typename: str, value: bytes) -> TopicRecord:
        """Check an EgressRecord; raise RecordRefused."""
        if typename != RECORD_TYPENAME:
            raise RecordRefused(f"a record must be of type '{RECORD_TYPENAME}', found '{typename}'")
        try:
            content = json.loads(value)
        except (ValueError, RecursionError) as error:
            raise RecordRefused(f"a record must be JSON: {error}") from error
        if not isinstance(content, dict) or set(content) - {"topic", "payload"}:
            raise RecordRefused("a record must be a JSON object with 'topic' and 'payload' only")
        topic, payload = content.get("topic"), content.get("payload")
        if not isinstance(topic, str) or not isinstance(payload, str):
            raise RecordRefused("'topic' and 'payload' of a record must be text")
        if topic not in self._topics:
            known = ", ".join(self._topics)
            raise RecordRefused(f"topic '{topic}' is not declared (declared: {known})")
        return topic, payload.encode(errors="replace")

    def metrics(self) -> Iterator[Metric]:
        """Return what was read, what was dropped, and what waits for readers."""
        yield Metric(
            "statefun_egress_records", MetricKind.COUNTER, "records that left", self._published
        )
        yield Metric(
            "statefun_egress_dropped", MetricKind.COUNTER, "records dropped", self.outbox.dropped
        )
        waiting = self.outbox.count
        yield Metric(
            "statefun_egress_waiting", MetricKind.GAUGE, "records that have not left", waiting
        )

    async def close(self) -> None:
        """Stop listening."""
        await self._server.close()

    # ── what readers ask ──

    def serve(self, request: HttpRequest) -> HttpResponse | Deferred:
        """Answer a reader."""
        unknown = no_such_topic(request, self._topics)
        if unknown is not None:
            return unknown
        try:
            return self._ask(self._topics[request.segments()[0]], request)
        except UnavailableError as error:
            return unavailable(error.message)

    def _ask(self, topic: Topic, request: HttpRequest) -> HttpResponse | Deferred:
        if topic.name not in self._by_cursor:
            return self._pop(topic)
        asked = parse_qs(request.query, keep_blank_values=True)
        if request.method == "DELETE" and "upto" in asked:
            return self._acknowledge(topic, asked["upto"][0])
        if request.method == "GET" and "after" in asked:
            return self._read(topic, asked["after"][0])
        text = f"topic '{topic.name}' is read with GET ?after=CURSOR (empty at first), acknowledged with DELETE ?upto=CURSOR\n"
        return respond(400, text.encode())

    def _pop(self, topic: Topic) -> HttpResponse:
        if not topic.places:
            return respond(404, b"")
        payload = self.outbox.payload(topic, topic.places[0])
        self.outbox.remove_first(topic)
        self._published += 1
        return respond(200, payload)

    def _read(self, topic: Topic, cursor: str) -> HttpResponse:
        after = self._place(cursor)
        if after is None:
            return _foreign(cursor)
        records: list[str] = []
        size, last = 0, after
        for place in topic.places:
            if place <= after:
                continue
            if (
                place[0] > self.outbox.complete_epoch
                or len(records) >= _RECORDS_PER_READ
                or size >= self._read_bytes_max
            ):
                break
            payload = self.outbox.payload(topic, place)
            records.append(payload.decode())
            size += len(payload)
            last = place
        content = {"records": records, "next": self._cursor(last) if last != (0, 0) else ""}
        return HttpResponse(
            200, json.dumps(content).encode(), "application/json", (("Status", "200"),)
        )

    def _acknowledge(self, topic: Topic, cursor: str) -> HttpResponse | Deferred:
        upto = self._place(cursor)
        if upto is None:
            return _foreign(cursor)
        while (
            topic.places
            and topic.places[0] <= upto
            and topic.places[0][0] <= self.outbox.complete_epoch
        ):
            self.outbox.remove_first(topic)
            self._published += 1
        answer = Deferred()
        self._unanswered.append(answer)
        self._has_unanswered.set()
        return answer

    def _cursor(self, place: Place) -> str:
        return f"{self._origin}-{place[0]}-{place[1]}"

    def _place(self, cursor: str) -> Place | None:
        """Return what a cursor says, or None if it is not one of ours; an empty one is before everything."""
        if not cursor:
            return 0, 0
        origin, _, rest = cursor.rpartition("-")
        origin, _, epoch = origin.rpartition("-")
        if origin != self._origin or not (epoch.isdecimal() and rest.isdecimal()):
            return None
        return int(epoch), int(rest)


def _foreign(cursor: str) -> HttpResponse:
    text = f"cursor '{cursor}' is of another application or lineage; begin anew with an empty one\n"
    return respond(410, text.encode())
