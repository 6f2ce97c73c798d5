"""`io.statefun.playground.v1/ingress`: PUT /namespace/name/id brings one message to one address.

The answer 200 means that the message is taken into memory. The header `Status` repeats the status code, as
StateFun's playground says it there only.
"""

import asyncio
import logging
from collections.abc import Iterator

from statefun_runtime.adapters.http_server import HttpRequest, HttpResponse, HttpServer
from statefun_runtime.core.address import TypeName
from statefun_runtime.core.messages import IngressEncoder, field
from statefun_runtime.core.samples import Kind, Sample
from statefun_runtime.core.specs import PlaygroundIngressSpec
from statefun_runtime.ports.ingress import Router

log = logging.getLogger("statefun.ingress")

_VND = "application/vnd."
_STRING = "io.statefun.types/string"
_TYPES_MAX = 1024


class PlaygroundIngress:
    """The HTTP ingress, an IngressSource without splits."""

    def __init__(
        self, spec: PlaygroundIngressSpec, router: Router, *, host: str, body_bytes_max: int
    ) -> None:
        self._router = router
        self._encoders: dict[str, IngressEncoder] = {}
        self._server = HttpServer(
            self._take, host=host, port=spec.port, body_bytes_max=body_bytes_max
        )
        self._is_taking = False
        self._received = 0
        self._refused: dict[str, int] = {}

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self._server.port

    async def start(self) -> None:
        """Listen; requests are answered with 503 until `run`."""
        await self._server.start(what="the playground ingress")

    async def run(self) -> None:
        """Take messages until cancelled."""
        self._is_taking = True
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            self._is_taking = False

    def positions(self) -> dict[str, int]:
        """There is nothing to read again: a message is in memory, or was not taken."""
        return {}

    def samples(self) -> Iterator[Sample]:
        """Return what was taken and what was refused."""
        yield Sample("statefun_ingress_records", Kind.COUNTER, "records routed", self._received)
        for reason, count in self._refused.items():
            yield Sample(
                "statefun_ingress_skipped",
                Kind.COUNTER,
                "records refused or skipped",
                count,
                {"reason": reason},
            )

    def completed(self, positions: dict[str, int]) -> None:
        """There is nobody to tell."""

    async def close(self) -> None:
        """Stop listening."""
        await self._server.close()

    def _take(self, request: HttpRequest) -> HttpResponse:
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
        function = self._router.resolve(TypeName(namespace, name))
        if function is None:
            text = f"no endpoint of the module serves function type '{namespace}/{name}'"
            return self._refuse(404, "unknown-function", text)
        if (
            not self._is_taking
            or not self._router.is_open()
            or self._router.holds_back(function, function_id)
        ):
            return self._refuse(503, "busy", "the worker has too much to do", ("Retry-After", "1"))
        try:
            invocation = self._encode(request)
        except UnicodeDecodeError:
            return self._refuse(400, "bad-text", "a body without a type is text, and must be UTF-8")
        self._router.deliver(function, function_id, invocation)
        self._received += 1
        return _respond(200, b"")

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
        self._refused[reason] = self._refused.get(reason, 0) + 1
        return _respond(status, f"{text}\n".encode(), *headers)


def _respond(status: int, body: bytes, *headers: tuple[str, str]) -> HttpResponse:
    return HttpResponse(status, body, headers=(("Status", str(status)), *headers))
