"""The door of the HTTP ingress: what a request must be, and what is answered."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator

from statefun_runtime.adapters.http.server import (
    Deferred,
    HttpRequest,
    HttpResponse,
    HttpServer,
    ServerFactory,
)
from statefun_runtime.connectors.playground.answers import respond
from statefun_runtime.core.model.address import TypeName
from statefun_runtime.core.model.idempotency import Repeat
from statefun_runtime.core.model.messages import IngressEncoder, field, join_parts, split_parts
from statefun_runtime.core.model.metrics import Metric, MetricKind
from statefun_runtime.core.partition.backlog import Function
from statefun_runtime.errors import UnavailableError
from statefun_runtime.ports.ingress import IngressContext

_VND = "application/vnd."
_STRING = "io.statefun.types/string"
_TYPES_MAX = 1024
_KEY_LENGTH_MAX = 255
_DIGEST_BYTES = 16

# Takes a record for an id that is to be kept, and is to answer when it is.
Keep = Callable[[str, bytes, Deferred], None]


class HttpFront:
    """Checks requests, and has records of them kept; `is_taking` says whether anything is taken now."""

    def __init__(
        self,
        context: IngressContext,
        keep: Keep,
        *,
        host: str,
        port: int,
        body_bytes_max: int,
        make_server: ServerFactory = HttpServer,
    ) -> None:
        self._context = context
        self._keep_record = keep
        self._encoders: dict[str, IngressEncoder] = {}
        self._server = make_server(self._take, host=host, port=port, body_bytes_max=body_bytes_max)
        self._refused: dict[str, int] = {}
        self.is_taking = False

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self._server.port

    async def listen(self, what: str) -> None:
        """Take the port."""
        await self._server.start(what=what)

    async def close(self) -> None:
        """Stop listening."""
        await self._server.close()

    def answer(self, repeat: Repeat) -> HttpResponse:
        """Return what a record is answered with that was kept."""
        match repeat:
            case Repeat.NEW:
                return respond(200, b"")
            case Repeat.SAME:
                self.count("repeated")
                return respond(200, b"", ("Idempotent-Replay", "true"))
            case Repeat.CONFLICT:
                text = "this Idempotency-Key was used for another body"
                return self.refuse(422, "key-conflict", text)

    def refuse(
        self, status: int, reason: str, text: str, *headers: tuple[str, str]
    ) -> HttpResponse:
        """Return the answer to what is not taken, and count it."""
        self.count(reason)
        return respond(status, f"{text}\n".encode(), *headers)

    def stopping(self) -> HttpResponse:
        """Return the answer to what came too late."""
        return self.refuse(503, "stopping", "the worker stops", ("Retry-After", "1"))

    def count(self, reason: str) -> None:
        """Count what was not taken, or done already."""
        self._refused[reason] = self._refused.get(reason, 0) + 1

    def metrics(self) -> Iterator[Metric]:
        """Return what was refused."""
        for reason, count in (Counter(self._refused) + Counter(self._server.refused)).items():
            yield Metric(
                "statefun_ingress_skipped",
                MetricKind.COUNTER,
                "records refused or skipped",
                count,
                {"reason": reason},
            )

    # ── requests ──

    def _take(self, request: HttpRequest) -> HttpResponse | Deferred:
        segments = request.segments()
        if len(segments) != 3 or not all(segments[:2]):
            return self.refuse(
                400, "bad-path", f"the path must be /namespace/name/id, found {request.path!r}"
            )
        if request.method in ("GET", "HEAD", "OPTIONS"):
            return self.refuse(405, "bad-method", f"a message is PUT, found {request.method}")
        namespace, name, function_id = segments
        if not function_id:
            return self.refuse(400, "empty-id", "the id in /namespace/name/id is empty")
        function_type = TypeName(namespace, name)
        function = self._context.resolve(function_type)
        if function is None:
            text = f"no endpoint of the module serves function type '{namespace}/{name}'"
            return self.refuse(404, "unknown-function", text)
        if (
            not self.is_taking
            or not self._context.is_open()
            or self._context.holds_back(function, function_id)
        ):
            return self.refuse(503, "busy", "the worker has too much to do", ("Retry-After", "1"))
        return self._keep(request, function_type, function, function_id)

    def _keep(
        self, request: HttpRequest, function_type: TypeName, function: Function, function_id: str
    ) -> HttpResponse | Deferred:
        try:
            invocation = self._encode(request)
        except UnicodeDecodeError:
            return self.refuse(400, "bad-text", "a body without a type is text, and must be UTF-8")
        key = request.headers.get("idempotency-key", "")
        if len(key) > _KEY_LENGTH_MAX:
            return self.refuse(
                400, "bad-key", f"an Idempotency-Key has at most {_KEY_LENGTH_MAX} characters"
            )
        digest = hashlib.blake2b(invocation, digest_size=_DIGEST_BYTES).digest() if key else b""
        if key:
            # Answers early; what decides is the look when the record is routed.
            try:
                repeat = self._context.look(function, function_id, key, digest)
            except UnavailableError as error:
                return self.refuse(503, "disk", error.message, ("Retry-After", "1"))
            if repeat is not Repeat.NEW:
                return self.answer(repeat)
        answer = Deferred()
        record = encode_record(function_type, function_id, key, digest, invocation)
        self._keep_record(function_id, record, answer)
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


def route_record(context: IngressContext, record: bytes) -> Repeat | None:
    """Bring a kept record to its address, unless its key says that it was there before; None: nobody serves it any more.

    Raise UnavailableError, with nothing done, if the key cannot be looked up.
    """
    target, key, digest, invocation = decode_record(record)
    function = context.resolve(target[0])
    if function is None:
        return None
    if not key:
        context.deliver(function, target[1], invocation)
        return Repeat.NEW
    repeat = context.look(function, target[1], key, digest)
    if repeat is Repeat.NEW:
        context.deliver_keyed(function, target[1], invocation, key, digest)
    return repeat


def encode_record(
    function_type: TypeName, function_id: str, key: str, digest: bytes, invocation: bytes
) -> bytes:
    """Return a record as it is kept."""
    texts = (function_type.namespace, function_type.name, function_id, key)
    return join_parts((*map(str.encode, texts), digest), invocation)


def decode_record(record: bytes) -> tuple[tuple[TypeName, str], str, bytes, bytes]:
    """Return target, key, digest and invocation of a kept record."""
    (*texts, digest), invocation = split_parts(record, 5)
    namespace, name, function_id, key = map(bytes.decode, texts)
    return (TypeName(namespace, name), function_id), key, digest, invocation
