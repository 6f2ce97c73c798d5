"""Metrics on their way from a worker to its leader, which adds whose they are."""

from typing import Any

from statefun_runtime.core.model.metrics import Histogram, Metric, MetricKind


def metric_form(metric: Metric) -> dict[str, Any]:
    """Return a metric as JSON has it."""
    value: Any = metric.value
    if isinstance(value, Histogram):
        value = {"bounds": value.bounds, "buckets": value.buckets, "total": value.total}
    return {
        "name": metric.name,
        "kind": metric.kind.value,
        "doc": metric.doc,
        "value": value,
        "labels": metric.labels,
    }


def read_metric(content: dict[str, Any], slot: int) -> Metric:
    """Return the metric of the worker of a slot."""
    value = content["value"]
    if isinstance(value, dict):
        histogram = Histogram(value["bounds"])
        histogram.buckets, histogram.total = value["buckets"], value["total"]
        value = histogram
    labels = {**content["labels"], "worker": str(slot)}
    return Metric(content["name"], MetricKind(content["kind"]), content["doc"], value, labels)
