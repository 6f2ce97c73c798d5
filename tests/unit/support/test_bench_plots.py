"""Pictures and tables of what was measured beside the original."""

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.bench.beside import plots, results
from tests.bench.beside.compare import medians, text
from tests.bench.beside.plots import Plot, svg
from tests.bench.beside.subjects import ORIGINAL

NAMESPACE = "{http://www.w3.org/2000/svg}"


def row(subject: str, cpu_us: float, **changes: object) -> dict[str, object]:
    values: dict[str, object] = {
        "subject": subject,
        "addresses": 1000,
        "cpu_us": {"worker": cpu_us},
        "steady_per_s": 1e6 / cpu_us,
        "worker_memory": {"peak_mb": cpu_us},
    }
    return values | changes


def test_the_table_has_medians_and_the_most_memory_of_each():
    rounds = [row("ours", 10.0), row("ours", 30.0), row("ours", 20.0), row(ORIGINAL, 80.0)]

    table = medians(rounds)

    assert table == [
        {"subject": "ours", "addresses": 1000, "cpu_us": 20.0, "per_s": 50_000, "peak_mb": 30},
        {"subject": ORIGINAL, "addresses": 1000, "cpu_us": 80.0, "per_s": 12_500, "peak_mb": 80},
    ]
    assert text(table).splitlines()[1].split() == ["ours", "1,000", "20.0", "50,000", "30"]


def test_a_picture_has_its_curves_in_their_places():
    plot = Plot("a < b", "x", "y", {"one": [(1000, 50.0), (10, 0.0)], "two": [(100, 25.0)]})

    picture = ElementTree.fromstring(svg(plot))

    told = [element.text for element in picture.iter(f"{NAMESPACE}text")]
    assert {"a < b", "x", "y", "one", "two", "10", "100", "1k", "0", "50"} <= set(told)
    dots = [(float(c.get("cx", 0)), float(c.get("cy", 0))) for c in picture.iter(f"{NAMESPACE}circle")]  # fmt: skip
    (left, bottom), (right, top), (middle, between) = dots
    assert left < middle < right
    assert middle - left == pytest.approx(right - middle)
    assert bottom - between == pytest.approx(between - top)


def test_what_grows_by_powers_of_ten_is_a_straight_line_where_both_are_logarithmic():
    curve = [(10.0**n, 2.0 * 10.0**n) for n in range(2, 5)]

    picture = svg(Plot("", "", "", {"one": curve}, has_log_y=True))

    found = re.findall(r'cx="([0-9.]+)" cy="([0-9.]+)"', picture)
    first, second, third = ((float(x), float(y)) for x, y in found)
    assert second[0] - first[0] == pytest.approx(third[0] - second[0], abs=0.2)
    assert first[1] - second[1] == pytest.approx(second[1] - third[1], abs=0.2)


def test_only_what_was_measured_is_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(results, "RESULTS", tmp_path)
    assert list(plots.plots()) == []
    points = [{"addresses": n, "cpu_us": 7.5, "whose": "ours"} for n in (10, 1000)]
    (tmp_path / "addresses.json").write_text(json.dumps({"points": points}))
    table = [{"subject": f"{ORIGINAL}, exactly-once", "addresses": 10, "cpu_us": 22.0}]
    (tmp_path / "compare.json").write_text(json.dumps({"table": table}))

    ((name, plot),) = plots.plots()

    assert name == "addresses"
    assert plot.curves == {"ours": [(10, 7.5), (1000, 7.5)], ORIGINAL: [(10, 22.0)]}


def test_the_pictures_of_the_documents_are_of_what_was_measured():
    for name, plot in plots.plots():
        assert (results.RESULTS / f"{name}.svg").read_text(encoding="utf-8") == svg(plot), (
            "python -m tests.bench.beside.plots"
        )
