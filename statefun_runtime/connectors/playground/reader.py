"""`io.statefun.playground.v1/ingress`: PUT /namespace/name/id brings one message to one address, durably.

    PUT ─▶ checked ─▶ waits ─▶ log, synced (many at once) ─▶ routed ─▶ 200

200 means that the record is on disk and will take effect once, whatever dies. The log is read again from the position
of the checkpoint. With an `Idempotency-Key` a repeated request takes effect once, too. The header `Status` repeats
the status code, as StateFun's playground says it there only.
"""

import asyncio
import hashlib
import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from statefun_runtime.adapters.http.server import (
    Deferred,
    HttpRequest,
    HttpResponse,
    HttpServer,
    ServerFactory,
)
from statefun_runtime.connectors.playground.ingress_log import LOG_SPLIT, IngressLog
from statefun_runtime.connectors.playground.settings import PlaygroundIngressSettings
from statefun_runtime.core.model.address import TypeName
from statefun_runtime.core.model.idempotency import Repeat
from statefun_runtime.core.model.messages import IngressEncoder, field, join_parts, split_parts
from statefun_runtime.core.model.metrics import Metric, MetricKind
from statefun_runtime.core.model.position import Position, whole_numbers
from statefun_runtime.core.partition.backlog import Function
from statefun_runtime.errors import UnavailableError
from statefun_runtime.ports.ingress import IngressContext
from statefun_runtime.ports.off_loop import OffLoop

log = logging.getLogger("statefun.ingress")

_VND = "application/vnd."
_STRING = "io.statefun.types/string"
_TYPES_MAX = 1024
_KEY_LENGTH_MAX = 255
_DIGEST_BYTES = 16
_LOOK_AGAIN_S = 0.1


class PlaygroundIngress:
    """The HTTP ingress: an IngressSource with one split, its log."""

    def __init__(
        self,
        spec: PlaygroundIngressSettings,
        context: IngressContext,
        ingress_log: IngressLog,
        off_loop: OffLoop,
        restored: Mapping[str, Position],
        *,
        host: str,
        body_bytes_max: int,
        make_server: ServerFactory = HttpServer,
    ) -> None:
        self._context = context
        self._log = ingress_log
        self._off_loop = off_loop
        self._position = whole_numbers(restored).get(LOG_SPLIT, ingress_log.begin)
        # All is kept until it is known which checkpoints can be begun at.
        self._needed_from = 0
        self._encoders: dict[str, IngressEncoder] = {}
        self._server = make_server(
            self._take, host=host, port=spec.port, body_bytes_max=body_bytes_max
        )
        self._is_listening = False
        self._waiting: list[tuple[bytes, Deferred]] = []
        self._has_waiting = asyncio.Event()
        self._is_taking = False
        self._received = 0
        self._refused: dict[str, int] = {}

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self._server.port

    async def listen(self) -> None:
        """Take the port, once; requests wait for `run`, each on its connection."""
        if not self._is_listening:
            # What the checkpoint needs of the log is known to be there before this life is written down.
            self._log.check(self._position)
            await self._server.start(what="the playground ingress")
            self._is_listening = self._is_taking = True

    async def start(self) -> None:
        """Listen, if that was not asked for before."""
        await self.listen()

    async def run(self) -> None:
        """Route what the log holds behind the position, then take records, until cancelled."""
        for record in self._log.read(self._position):
            await self._routed(record)
        try:
            while True:
                await self._has_waiting.wait()
                self._has_waiting.clear()
                waiting, self._waiting = self._waiting, []
                await self._append(waiting)
                self._log.drop_before(self._needed_from)
        finally:
            self._is_taking = False
            for _, answer in self._waiting:
                answer.resolve(
                    self._refuse(503, "stopping", "the worker stops", ("Retry-After", "1"))
                )

    async def _append(self, waiting: list[tuple[bytes, Deferred]]) -> None:
        """Sync records, then route them and answer; a failed sync takes none of them."""
        try:
            await asyncio.shield(
                self._off_loop(lambda: self._log.append([record for record, _ in waiting]))
            )
        except UnavailableError as error:
            log.error("records cannot be taken: %s", error.line)
            for _, answer in waiting:
                answer.resolve(self._refuse(503, "disk", error.message, ("Retry-After", "5")))
            return
        for record, answer in waiting:
            answer.resolve(self._answer(await self._routed(record)))

    async def _routed(self, record: bytes) -> Repeat:
        """Route a synced record, and those behind it after it, however long its key cannot be looked up."""
        while True:
            try:
                return self._route(record)
            except UnavailableError:
                await asyncio.sleep(_LOOK_AGAIN_S)

    def _route(self, record: bytes) -> Repeat:
        """Bring a synced record to its address, unless its key says that it was there before.

        Raise UnavailableError, with nothing done, if that cannot be known.
        """
        target, key, digest, invocation = _decode(record)
        function = self._context.resolve(target[0])
        repeat = Repeat.NEW
        if function is not None and key:
            repeat = self._context.look(function, target[1], key, digest)
        self._position += 1
        if function is None:
            self._count("unknown-function")
            return Repeat.NEW
        if repeat is not Repeat.NEW:
            return repeat
        if key:
            self._context.deliver_keyed(function, target[1], invocation, key, digest)
        else:
            self._context.deliver(function, target[1], invocation)
        self._received += 1
        return Repeat.NEW

    def _answer(self, repeat: Repeat) -> HttpResponse:
        match repeat:
            case Repeat.NEW:
                return _respond(200, b"")
            case Repeat.SAME:
                self._count("repeated")
                return _respond(200, b"", ("Idempotent-Replay", "true"))
            case Repeat.CONFLICT:
                text = "this Idempotency-Key was used for another body"
                return self._refuse(422, "key-conflict", text)

    def positions(self) -> dict[str, int]:
        """Return the index of the next record of the log to be routed."""
        return {LOG_SPLIT: self._position}

    def completed(self, positions: Mapping[str, Position]) -> None:
        """Nobody outside is told."""

    def needed(self, positions: Sequence[Mapping[str, Position]]) -> None:
        """Records before all these positions are not needed any more."""
        self._needed_from = min(whole_numbers(one).get(LOG_SPLIT, 0) for one in positions)

    def metrics(self) -> Iterator[Metric]:
        """Return what was taken and what was refused."""
        yield Metric(
            "statefun_ingress_records", MetricKind.COUNTER, "records routed", self._received
        )
        refused = Counter(self._refused) + Counter(self._server.refused)
        for reason, count in refused.items():
            yield Metric(
                "statefun_ingress_skipped",
                MetricKind.COUNTER,
                "records refused or skipped",
                count,
                {"reason": reason},
            )

    async def close(self) -> None:
        """Stop listening."""
        await self._server.close()

    # ── requests ──

    def _take(self, request: HttpRequest) -> HttpResponse | Deferred:
        segments = request.segments()
        if len(segments) != 3 or not all(segments[:2]):
            return self._refuse(
                400, "bad-path", f"the path must be /namespace/name/id, found {request.path!r}"
            )
        if request.method in ("GET", "HEAD", "OPTIONS"):
            return self._refuse(405, "bad-method", f"a message is PUT, found {request.method}")
        namespace, name, function_id = segments
        if not function_id:
            return self._refuse(400, "empty-id", "the id in /namespace/name/id is empty")
        function_type = TypeName(namespace, name)
        function = self._context.resolve(function_type)
        if function is None:
            text = f"no endpoint of the module serves function type '{namespace}/{name}'"
            return self._refuse(404, "unknown-function", text)
        if (
            not self._is_taking
            or not self._context.is_open()
            or self._context.holds_back(function, function_id)
        ):
            return self._refuse(503, "busy", "the worker has too much to do", ("Retry-After", "1"))
        return self._keep(request, function_type, function, function_id)

    def _keep(
        self, request: HttpRequest, function_type: TypeName, function: Function, function_id: str
    ) -> HttpResponse | Deferred:
        try:
            invocation = self._encode(request)
        except UnicodeDecodeError:
            return self._refuse(400, "bad-text", "a body without a type is text, and must be UTF-8")
        key = request.headers.get("idempotency-key", "")
        if len(key) > _KEY_LENGTH_MAX:
            return self._refuse(
                400, "bad-key", f"an Idempotency-Key has at most {_KEY_LENGTH_MAX} characters"
            )
        digest = hashlib.blake2b(invocation, digest_size=_DIGEST_BYTES).digest() if key else b""
        if key:
            # Answers early; what decides is the look when the record is routed.
            try:
                repeat = self._context.look(function, function_id, key, digest)
            except UnavailableError as error:
                return self._refuse(503, "disk", error.message, ("Retry-After", "1"))
            if repeat is not Repeat.NEW:
                return self._answer(repeat)
        answer = Deferred()
        self._waiting.append((_encode(function_type, function_id, key, digest, invocation), answer))
        self._has_waiting.set()
        return answer

    def _encode(self, request: HttpRequest) -> bytes:
        content_type = request.headers.get("content-type", "")
        if content_type.startswith(_VND):
            value_type = content_type.removeprefix(_VND).partition(";")[0].strip()
            return self._encoder(value_type).encode(request.body)
        # What is not said to be something else is text, and wrapped as SDKs expect it.
        request.body.decode()
        return self._encoder(_STRING).encode(field(b"\x0a", request.body) if request.body else b"")

    def _encoder(self, value_type: str) -> IngressEncoder:
        encoder = self._encoders.get(value_type)
        if encoder is None:
            encoder = IngressEncoder(value_type)
            if len(self._encoders) < _TYPES_MAX:
                self._encoders[value_type] = encoder
        return encoder

    def _refuse(
        self, status: int, reason: str, text: str, *headers: tuple[str, str]
    ) -> HttpResponse:
        self._count(reason)
        return _respond(status, f"{text}\n".encode(), *headers)

    def _count(self, reason: str) -> None:
        self._refused[reason] = self._refused.get(reason, 0) + 1


def _respond(status: int, body: bytes, *headers: tuple[str, str]) -> HttpResponse:
    return HttpResponse(status, body, headers=(("Status", str(status)), *headers))


def _encode(
    function_type: TypeName, function_id: str, key: str, digest: bytes, invocation: bytes
) -> bytes:
    texts = (function_type.namespace, function_type.name, function_id, key)
    return join_parts((*map(str.encode, texts), digest), invocation)


def _decode(record: bytes) -> tuple[tuple[TypeName, str], str, bytes, bytes]:
    (*texts, digest), invocation = split_parts(record, 5)
    namespace, name, function_id, key = map(bytes.decode, texts)
    return (TypeName(namespace, name), function_id), key, digest, invocation
