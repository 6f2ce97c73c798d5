"""`io.statefun.playground.v1/ingress`: PUT /namespace/name/id brings one message to one address, durably.

    PUT ─▶ checked ─▶ waits ─▶ log, synced (many at once) ─▶ routed ─▶ 200

200 means that the record is on disk and will take effect once, whatever dies. The log is read again from the position
of the checkpoint. With an `Idempotency-Key` a repeated request takes effect once, too. The header `Status` repeats
the status code, as StateFun's playground says it there only.
"""

import asyncio
import logging
from collections.abc import Iterator, Mapping, Sequence

from statefun_runtime.adapters.http.server import Deferred, HttpServer, ServerFactory
from statefun_runtime.connectors.playground.front import HttpFront, route_record
from statefun_runtime.connectors.playground.ingress_log import LOG_SPLIT, IngressLog
from statefun_runtime.connectors.playground.settings import PlaygroundIngressSettings
from statefun_runtime.core.model.idempotency import Repeat
from statefun_runtime.core.model.metrics import Metric, MetricKind
from statefun_runtime.core.model.position import Position, whole_numbers
from statefun_runtime.errors import UnavailableError
from statefun_runtime.ports.ingress import IngressContext
from statefun_runtime.ports.off_loop import OffLoop

log = logging.getLogger("statefun.ingress")

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
        self._front = HttpFront(
            context,
            self._keep,
            host=host,
            port=spec.port,
            body_bytes_max=body_bytes_max,
            make_server=make_server,
        )
        self._is_listening = False
        self._waiting: list[tuple[bytes, Deferred]] = []
        self._has_waiting = asyncio.Event()
        self._received = 0

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self._front.port

    async def listen(self) -> None:
        """Take the port, once; requests wait for `run`, each on its connection."""
        if not self._is_listening:
            # What the checkpoint needs of the log is known to be there before this life is written down.
            self._log.check(self._position)
            await self._front.listen("the playground ingress")
            self._is_listening = self._front.is_taking = True

    async def start(self) -> None:
        """Listen, if that was not asked for before."""
        await self.listen()

    def _keep(self, function_id: str, record: bytes, answer: Deferred) -> None:
        self._waiting.append((record, answer))
        self._has_waiting.set()

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
            self._front.is_taking = False
            for _, answer in self._waiting:
                answer.resolve(self._front.stopping())

    async def _append(self, waiting: list[tuple[bytes, Deferred]]) -> None:
        """Sync records, then route them and answer; a failed sync takes none of them."""
        try:
            await asyncio.shield(
                self._off_loop(lambda: self._log.append([record for record, _ in waiting]))
            )
        except UnavailableError as error:
            log.error("records cannot be taken: %s", error.line)
            for _, answer in waiting:
                refused = self._front.refuse(503, "disk", error.message, ("Retry-After", "5"))
                answer.resolve(refused)
            return
        for record, answer in waiting:
            answer.resolve(self._front.answer(await self._routed(record)))

    async def _routed(self, record: bytes) -> Repeat:
        """Route a synced record, and those behind it after it, however long its key cannot be looked up."""
        while True:
            try:
                return self._route(record)
            except UnavailableError:
                await asyncio.sleep(_LOOK_AGAIN_S)

    def _route(self, record: bytes) -> Repeat:
        repeat = route_record(self._context, record)
        self._position += 1
        if repeat is None:
            self._front.count("unknown-function")
            return Repeat.NEW
        self._received += repeat is Repeat.NEW
        return repeat

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
        yield from self._front.metrics()

    async def close(self) -> None:
        """Stop listening."""
        await self._front.close()
