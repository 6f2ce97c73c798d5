"""What an ingress does with a record that it cannot route: skip it, forward it as a dead letter, or fail."""

import asyncio
import logging
from collections.abc import Iterator, Sequence

from statefun_runtime.core.model.address import Address, TypeName
from statefun_runtime.core.model.dead_letter import Origin
from statefun_runtime.core.model.line_limit import LineLimit
from statefun_runtime.core.model.metrics import Metric, MetricKind
from statefun_runtime.core.module.specs import InvalidRecords, OnInvalidRecord
from statefun_runtime.core.printable import printable
from statefun_runtime.errors import FunctionError
from statefun_runtime.ports.ingress import IngressContext

log = logging.getLogger("statefun.ingress")


class InvalidRecordDesk:
    """Handles the invalid records of one ingress, and counts them by reason."""

    def __init__(
        self, ingress_id: TypeName, policy: InvalidRecords, context: IngressContext
    ) -> None:
        self._ingress_id = ingress_id
        self._policy = policy
        self._context = context
        self._counts: dict[tuple[str, str], int] = {}
        self._limit = LineLimit()

    def unroutable(self, origin: Origin, where: str, *, reason: str, defect: str) -> None:
        """A record has no key, no value, or something else that no function could be called with."""
        self._handle(origin, where, reason, defect, None, None)

    def unknown_targets(
        self, origin: Origin, where: str, targets: Sequence[TypeName], invocation: bytes | None
    ) -> None:
        """A record is for function types that no endpoint serves: a letter for each can be sent again later."""
        assert origin.key is not None
        function_id = origin.key.decode("utf-8", "replace")
        for target in targets:
            self.unknown_target(origin, where, Address(target, function_id), invocation)

    def unknown_target(
        self, origin: Origin, where: str, target: Address, invocation: bytes | None
    ) -> None:
        """A record is for an address whose function type no endpoint serves."""
        defect = f"no endpoint serves its function type {target.type}"
        self._handle(origin, where, "unknown-function", defect, target, invocation)

    def _handle(
        self,
        origin: Origin,
        where: str,
        reason: str,
        defect: str,
        target: Address | None,
        invocation: bytes | None,
    ) -> None:
        defect = printable(defect)
        outcome = self._policy.outcome
        if outcome is OnInvalidRecord.FAIL:
            raise FunctionError(
                f"ingress '{self._ingress_id}' cannot route a record, and says "
                f"'invalidRecordHandling: fail': {where}: {defect}",
                code="SF2002",
                hint="nothing is lost: the next start begins at this record; "
                "choose 'invalidRecordHandling: skip' or 'forward' to go past it",
            )
        if outcome is OnInvalidRecord.FORWARD:
            route = self._policy.dead_letters
            assert route is not None
            refused = self._context.forward(
                route, origin, reason=reason, error=defect, target=target, invocation=invocation
            )
            if refused is None:
                self._count("forwarded", reason)
                self._say("forwarded", where, defect)
                return
            defect = f"{defect}; it cannot be forwarded: {refused}"
        self._count("skipped", reason)
        self._say("skipped", where, defect)

    def _count(self, what: str, reason: str) -> None:
        self._counts[what, reason] = self._counts.get((what, reason), 0) + 1

    def _say(self, what: str, where: str, defect: str) -> None:
        if self._limit.take(asyncio.get_running_loop().time()) is not None:
            log.warning("ingress %s %s a record: %s: %s", self._ingress_id, what, where, defect)

    def metrics(self) -> Iterator[Metric]:
        """Return what was skipped and forwarded, by reason."""
        docs = {
            "skipped": "records refused or skipped",
            "forwarded": "records sent as dead letters",
        }
        for (what, reason), count in self._counts.items():
            name = f"statefun_ingress_{what}"
            yield Metric(name, MetricKind.COUNTER, docs[what], count, {"reason": reason})
