"""Whether those answer that an ingress reads from or an egress writes to: looked at all the time, told when that changes."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta

from statefun_runtime.core.model.metrics import Metric, MetricKind

EVERY_S = 1.5
# One answer may get lost; so many in a row do not.
_MISSES_MIN = 2


class Reach:
    """What is known of those servers; `waits` says what cannot go on without them, and `whom` what they are called."""

    def __init__(
        self,
        log: logging.Logger,
        who: str,
        waits: Callable[[], str],
        *,
        whom: str = "its brokers",
    ) -> None:
        self._log = log
        self._who = who
        self._waits = waits
        self._whom = whom
        self._misses = 0
        self._silent_since_s = 0.0
        self._is_told = False
        self._trouble = ""
        self._answered_s: float | None = None

    @property
    def is_connected(self) -> bool:
        """Whether all that are known have answered lately."""
        return self._answered_s is not None and not self._is_told

    @property
    def trouble(self) -> str | None:
        """Who has given no answer, and since when; None while nobody is missed."""
        return self._trouble if self._is_told else None

    def found(self, silent: Sequence[str], now_s: float) -> None:
        """These gave no answer to the last question; none of them means that all did."""
        if not silent:
            if self._is_told:
                passed_s = now_s - self._silent_since_s
                self._log.info("%s reaches %s again, after %.0f s", self._who, self._whom, passed_s)
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

    async def run(self, silent: Callable[[], Awaitable[Sequence[str]]]) -> None:
        """Ask until cancelled; `silent` returns who gave no answer, within seconds."""
        loop = asyncio.get_running_loop()
        while True:
            self.found(await silent(), loop.time())
            await asyncio.sleep(EVERY_S)

    def metrics(self, noun: str) -> Iterator[Metric]:
        """Return whether they answer, and how long ago all did."""
        yield Metric(
            f"statefun_{noun}_connected",
            MetricKind.GAUGE,
            f"1 while {self._whom} answer",
            float(self.is_connected),
        )
        if self._answered_s is not None:
            age_s = asyncio.get_running_loop().time() - self._answered_s
            yield Metric(
                f"statefun_{noun}_answer_age_seconds",
                MetricKind.GAUGE,
                f"seconds since {self._whom} answered",
                age_s,
            )
