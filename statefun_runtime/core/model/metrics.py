"""What is counted, in a form that whoever shows it can read.

Owners count in plain numbers on the hot path, and make metrics of them only when asked.
"""

import re
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import Enum

LATENCY_BOUNDS_MS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 60000)


class MetricKind(Enum):
    """How a number behaves: it only grows, or it goes up and down, or it is spread over buckets."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Histogram:
    """Counts values in buckets; bounds in the unit of the values."""

    __slots__ = ("bounds", "buckets", "total")

    def __init__(self, bounds: Sequence[float] = LATENCY_BOUNDS_MS) -> None:
        self.bounds = bounds
        self.buckets = [0] * (len(bounds) + 1)
        self.total = 0.0

    def add(self, value: float) -> None:
        """Count one value."""
        self.buckets[bisect_left(self.bounds, value)] += 1
        self.total += value

    def cumulative(self) -> list[tuple[float, int]]:
        """Return, per upper bound, how many values were at most so large."""
        counts, so_far = [], 0
        for bound, count in zip((*self.bounds, float("inf")), self.buckets, strict=True):
            so_far += count
            counts.append((bound, so_far))
        return counts

    def divided(self, by: float) -> "Histogram":
        """Return the same values in a unit that is so many times larger."""
        larger = Histogram([bound / by for bound in self.bounds])
        larger.buckets, larger.total = list(self.buckets), self.total / by
        return larger


@dataclass(frozen=True, slots=True)
class Metric:
    """One number with its name, meaning and labels."""

    name: str
    kind: MetricKind
    doc: str
    value: float | Histogram
    labels: dict[str, str] = field(default_factory=dict)


_HUMP = re.compile("(?<=[a-z0-9])([A-Z])")
# StateFun's own, which does not say it.
_MILLISECONDS = frozenset({"statefun_functions_remoteInvocationLatency"})


def in_prometheus_form(metric: Metric) -> Metric:
    """Return a metric under the name and in the unit that Prometheus wants: words with underscores, seconds.

    It is the same metric where it has them; StateFun's names have neither.
    """
    name = _HUMP.sub(lambda hump: f"_{hump[1].lower()}", metric.name)
    if not name.endswith("_ms") and metric.name not in _MILLISECONDS:
        return metric if name == metric.name else replace(metric, name=name)
    value = (
        metric.value.divided(1000) if isinstance(metric.value, Histogram) else metric.value / 1000
    )
    doc = metric.doc.replace("milliseconds", "seconds")
    return replace(metric, name=f"{name.removesuffix('_ms')}_seconds", doc=doc, value=value)
