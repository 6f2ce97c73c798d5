"""Metrics stand under StateFun's names and, beside them, under those that Prometheus wants."""

import pytest

from statefun_runtime.core.model.metrics import Histogram, Metric, MetricKind, in_prometheus_form


def test_words_are_divided_by_underscores():
    metric = Metric("statefun_functions_outLocal", MetricKind.COUNTER, "sent", 7, {"a": "b"})
    assert in_prometheus_form(metric) == Metric(
        "statefun_functions_out_local", MetricKind.COUNTER, "sent", 7, {"a": "b"}
    )


def test_a_metric_that_is_as_it_should_be_stays_itself():
    metric = Metric("statefun_ingress_records", MetricKind.COUNTER, "records", 7)
    assert in_prometheus_form(metric) is metric


def test_milliseconds_become_seconds():
    metric = Metric("statefun_ingress_behind_ms", MetricKind.GAUGE, "milliseconds behind", 1500)
    twin = in_prometheus_form(metric)
    assert (twin.name, twin.doc, twin.value) == (
        "statefun_ingress_behind_seconds",
        "seconds behind",
        1.5,
    )


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("statefun_checkpoint_pause_ms", "statefun_checkpoint_pause_seconds"),
        (
            "statefun_functions_remoteInvocationLatency",
            "statefun_functions_remote_invocation_latency_seconds",
        ),
    ],
)
def test_a_histogram_has_its_bounds_and_its_sum_in_seconds(name: str, expected: str):
    histogram = Histogram((10, 100))
    for value in (5, 50, 500):
        histogram.add(value)
    twin = in_prometheus_form(Metric(name, MetricKind.HISTOGRAM, "milliseconds", histogram))

    assert twin.name == expected
    assert isinstance(twin.value, Histogram)
    assert twin.value.cumulative() == [(0.01, 1), (0.1, 2), (float("inf"), 3)]
    assert twin.value.total == pytest.approx(0.555)
    assert histogram.total == 555
