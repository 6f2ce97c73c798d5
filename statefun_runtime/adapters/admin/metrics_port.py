"""The metrics port: /metrics for Prometheus, /livez while the process lives, /readyz while it works."""

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric as MetricFamily
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from statefun_runtime.adapters.http.server import HttpRequest, HttpResponse, HttpServer
from statefun_runtime.core.model.metrics import Histogram, Metric, MetricKind, in_prometheus_form

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class MetricsPort:
    """Serves what `metrics` returns, and whether the worker is ready.

    `reasons` returns what stands against that, `waits` what waits all the same.
    """

    def __init__(
        self,
        metrics: Callable[[], Iterable[Metric]],
        reasons: Callable[[], list[str]],
        waits: Callable[[], list[str]],
        *,
        host: str,
        port: int,
        is_shadow: bool = False,
    ) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(MetricFamilies(metrics))
        ProcessCollector(registry=self._registry)
        self._reasons = reasons
        self._waits = waits
        self._is_shadow = is_shadow
        self._server = HttpServer(self._answer, host=host, port=port, body_bytes_max=0)

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self._server.port

    async def start(self) -> None:
        """Listen; raise ConfigError if the port cannot be had."""
        await self._server.start(what="the metrics port")

    async def close(self) -> None:
        """Stop listening."""
        await self._server.close()

    def _answer(self, request: HttpRequest) -> HttpResponse:
        match request.path:
            case "/metrics":
                return HttpResponse(200, generate_latest(self._registry), CONTENT_TYPE)
            case "/livez" | "/healthz":
                # A loop that stands still does not get here, and that is the answer.
                return HttpResponse(200, b"alive\n")
            case "/readyz":
                reasons = self._reasons()
                answer = readiness(reasons, self._waits(), is_shadow=self._is_shadow)
                body = json.dumps(answer).encode() + b"\n"
                return HttpResponse(503 if reasons else 200, body, "application/json")
        return HttpResponse(404, b"there are /metrics, /livez and /readyz\n")


def readiness(reasons: list[str], waits: list[str], *, is_shadow: bool) -> dict[str, Any]:
    """Return what /readyz says."""
    answer: dict[str, Any] = {"ready": not reasons, "reasons": reasons, "waits": waits}
    if is_shadow:
        answer["shadow"] = True
    return answer


class MetricFamilies(Collector):
    """Groups metrics of one name into a family; beside StateFun's names stand those that Prometheus wants."""

    def __init__(self, metrics: Callable[[], Iterable[Metric]]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[MetricFamily]:
        families: dict[str, list[Metric]] = {}
        for metric in self._metrics():
            families.setdefault(metric.name, []).append(metric)
            twin = in_prometheus_form(metric)
            if twin is not metric:
                families.setdefault(twin.name, []).append(twin)
        for members in families.values():
            yield _family(members)

    def describe(self) -> Iterator[MetricFamily]:
        """Names are known only when the worker runs."""
        return iter(())


def _family(members: list[Metric]) -> MetricFamily:
    first = members[0]
    labels = tuple(first.labels)
    if first.kind is MetricKind.HISTOGRAM:
        histogram = HistogramMetricFamily(first.name, first.doc, labels=labels)
        for member in members:
            assert isinstance(member.value, Histogram)
            buckets = [
                ("+Inf" if bound == float("inf") else f"{bound:g}", count)
                for bound, count in member.value.cumulative()
            ]
            histogram.add_metric(tuple(member.labels.values()), buckets, member.value.total)
        return histogram
    kind = CounterMetricFamily if first.kind is MetricKind.COUNTER else GaugeMetricFamily
    family = kind(first.name, first.doc, labels=labels)
    for member in members:
        assert not isinstance(member.value, Histogram)
        family.add_metric(tuple(member.labels.values()), member.value)
    return family
