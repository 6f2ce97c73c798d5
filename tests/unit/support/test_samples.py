from tests.support.metrics import parse_samples

PAGE = """\
# HELP requests_total Requests.
# TYPE requests_total counter
requests_total{type="a/b",outcome="ok"} 3.0
requests_total{outcome="failed",type="a/b"} 2.0
requests_total{outcome="ok",type="c/d"} 10.0
# HELP depth Depth.
# TYPE depth gauge
depth 4.0
"""


def test_samples_are_found_by_their_text_with_labels_in_order():
    samples = parse_samples(PAGE)

    assert samples["depth"] == 4.0
    assert samples['requests_total{outcome="ok",type="a/b"}'] == 3.0


def test_a_total_sums_over_the_labels_that_are_not_named():
    samples = parse_samples(PAGE)

    assert samples.total("requests_total") == 15.0
    assert samples.total("requests_total", type="a/b") == 5.0
    assert samples.total("requests_total", type="a/b", outcome="ok") == 3.0
    assert samples.total("requests_total", type="b") == 0
    assert samples.total("depth") == 4.0
