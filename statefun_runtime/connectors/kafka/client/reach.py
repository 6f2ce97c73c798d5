"""Whether the brokers of an ingress or egress answer: looked at all the time, told when that changes."""

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta

from statefun_runtime.connectors.kafka.client.clients import KafkaClients
from statefun_runtime.connectors.kafka.client.protocols import Client
from statefun_runtime.core.model.metrics import Metric, MetricKind

_EVERY_S = 1.5
# One answer may get lost; so many in a row do not.
_MISSES_MIN = 2


class Reach:
    """What is known of the brokers; `waits` says what cannot go on without them."""

    def __init__(self, log: logging.Logger, who: str, waits: Callable[[], str]) -> None:
        self._log = log
        self._who = who
        self._waits = waits
        self._misses = 0
        self._silent_since_s = 0.0
        self._is_told = False
        self._trouble = ""
        self._answered_s: float | None = None

    @property
    def is_connected(self) -> bool:
        """Whether all brokers that are known have answered lately."""
        return self._answered_s is not None and not self._is_told

    @property
    def trouble(self) -> str | None:
        """Who has given no answer, and since when; None while nobody is missed."""
        return self._trouble if self._is_told else None

    def found(self, silent: Sequence[str], now_s: float) -> None:
        """These brokers gave no answer to the last question; none of them means that all did."""
        if not silent:
            if self._is_told:
                passed_s = now_s - self._silent_since_s
                self._log.info("%s reaches its brokers again, after %.0f s", self._who, passed_s)
            self._misses, self._is_told, self._answered_s = 0, False, now_s
            return
        if not self._misses:
            self._silent_since_s = now_s
        self._misses += 1
        if self._misses >= _MISSES_MIN and not self._is_told:
            self._is_told = True
            since = datetime.now(UTC) - timedelta(seconds=now_s - self._silent_since_s)
            self._trouble = f"has had no answer of {', '.join(silent)} since {since:%H:%M:%S}"
            self._log.warning("%s %s: %s", self._who, self._trouble, self._waits())

    async def run(
        self, clients: KafkaClients, client: Callable[[], Client | None], servers: str
    ) -> None:
        """Ask until cancelled; while there is no client, its servers are what is not reached."""
        loop = asyncio.get_running_loop()
        while True:
            current = client()
            silent = [servers] if current is None else await clients.silent_brokers(current)
            self.found(silent, loop.time())
            await asyncio.sleep(_EVERY_S)

    def metrics(self, noun: str) -> Iterator[Metric]:
        """Return whether the brokers answer, and how long ago they did."""
        yield Metric(
            f"statefun_{noun}_connected",
            MetricKind.GAUGE,
            "1 while all brokers answer",
            float(self.is_connected),
        )
        if self._answered_s is not None:
            age_s = asyncio.get_running_loop().time() - self._answered_s
            yield Metric(
                f"statefun_{noun}_answer_age_seconds",
                MetricKind.GAUGE,
                "seconds since all brokers answered",
                age_s,
            )
