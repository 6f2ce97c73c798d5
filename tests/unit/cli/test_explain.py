"""`statefun-worker explain` shows the page of an error."""

from pathlib import Path

import pytest

from statefun_runtime.cli import explain, main
from tests.support.pages import errors_page
from tests.support.provisions import ROOT

ERRORS = ROOT / "docs" / "reference" / "errors"


def test_the_index_of_the_pages_is_current():
    assert errors_page.PAGE.read_text() == errors_page.page(), "run `make docs`"


def test_a_page_is_shown(capsys: pytest.CaptureFixture[str]):
    assert main(["explain", "sf1009"]) == 0
    assert capsys.readouterr().out == (ERRORS / "SF1009.md").read_text()


def test_several_pages_are_shown(capsys: pytest.CaptureFixture[str]):
    assert main(["explain", "SF1009", "SF1022"]) == 0
    assert capsys.readouterr().out.count("\n# SF1022: ") == 1


def test_without_a_code_all_are_listed(capsys: pytest.CaptureFixture[str]):
    assert main(["explain"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in lines] == sorted(
        p.stem for p in ERRORS.glob("SF*.md")
    )
    assert "SF1009: a required field is missing" in lines


def test_a_code_that_does_not_exist_is_told(capsys: pytest.CaptureFixture[str]):
    assert main(["explain", "SF1909"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("SF1079: there is no error 'SF1909'\nhint: did you mean 'SF1")


def test_a_wheel_has_the_pages_in_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    shipped = tmp_path / "error_pages"
    shipped.mkdir()
    (shipped / "SF1009.md").write_text("# SF1009: shipped\n")
    monkeypatch.setattr(explain, "_FOLDERS", (shipped, ERRORS))
    assert explain.error_pages() == {"SF1009": "# SF1009: shipped\n"}
