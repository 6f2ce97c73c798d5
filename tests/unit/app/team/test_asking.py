"""The answers of several workers, as one."""

from statefun_runtime.app.team.asking import merge_all
from statefun_runtime.app.team.metric_form import metric_form, read_metric
from statefun_runtime.core.model.metrics import Histogram, Metric, MetricKind


def test_what_is_counted_is_added_and_what_is_named_is_merged():
    one = {
        "waits": ["x", "y"],
        "held_back": "",
        "ingresses": [{"id": "a/in", "numbers": {"records": 3, "behind_ms": 5}}],
        "functions": [{"function": "a/f", "state": "closed", "waiting": 1, "down_s": 0.0}],
        "failing": {"total": 1, "addresses": [{"function": "a/f", "id": "1", "waiting": 1}]},
    }
    other = {
        "waits": ["y"],
        "held_back": "full",
        "ingresses": [{"id": "a/in", "numbers": {"records": 4, "behind_ms": 2}}],
        "functions": [
            {"function": "a/f", "state": "closed", "waiting": 2, "down_s": 0.0},
            {"function": "a/g", "state": "closed", "waiting": 7, "down_s": 0.0},
        ],
        "failing": {"total": 1, "addresses": [{"function": "a/f", "id": "2", "waiting": 1}]},
    }

    assert merge_all([one, other]) == {
        "waits": ["x", "y"],
        "held_back": "full",
        "ingresses": [{"id": "a/in", "numbers": {"records": 7, "behind_ms": 5}}],
        "functions": [
            {"function": "a/f", "state": "closed", "waiting": 3, "down_s": 0.0},
            {"function": "a/g", "state": "closed", "waiting": 7, "down_s": 0.0},
        ],
        "failing": {
            "total": 2,
            "addresses": [
                {"function": "a/f", "id": "1", "waiting": 1},
                {"function": "a/f", "id": "2", "waiting": 1},
            ],
        },
    }


def test_a_metric_says_whose_it_is_and_keeps_its_buckets():
    histogram = Histogram((1, 2))
    histogram.add(1.5)
    made = Metric("statefun_x_ms", MetricKind.HISTOGRAM, "of x", histogram, {"name": "f"})

    read = read_metric(metric_form(made), 2)
    assert read.labels == {"name": "f", "worker": "2"}
    assert isinstance(read.value, Histogram)
    assert read.value.cumulative() == histogram.cumulative()
    assert (read.name, read.kind, read.doc) == (made.name, made.kind, made.doc)
