"""What a process knows of itself: what was built, and how late its event loop is."""

import asyncio
import platform
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version

from statefun_runtime.core.model.metrics import Histogram, Metric, MetricKind

_STEP_S = 0.05


class ProcessFacts:
    """Metrics of the process; `run` measures how long the loop makes others wait."""

    def __init__(self) -> None:
        self._delay_ms = Histogram()
        try:
            self._version = version("statefun-runtime")
        except PackageNotFoundError:
            self._version = "unknown"

    async def run(self) -> None:
        """Ask to be woken again and again, and see how much later that happens, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            due_s = loop.time() + _STEP_S
            await asyncio.sleep(_STEP_S)
            self._delay_ms.add((loop.time() - due_s) * 1000)

    def metrics(self) -> Iterator[Metric]:
        """Yield them, as of now."""
        labels = {"version": self._version, "python": platform.python_version()}
        yield Metric("statefun_build_info", MetricKind.GAUGE, "what runs: always 1", 1, labels)
        yield Metric(
            "statefun_loop_delay_ms",
            MetricKind.HISTOGRAM,
            "milliseconds by which the event loop is late",
            self._delay_ms,
        )
