from pathlib import Path

import pytest

from tests.support import provisions
from tests.support.provisions import Unavailable, made_once, run_or_unavailable


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(provisions, "CACHE", tmp_path)
    return tmp_path


def test_a_provision_is_made_once(cache: Path):
    made: list[Path] = []

    def make(directory: Path) -> None:
        made.append(directory)
        (directory / "content").write_text("whole")

    first, second = made_once("thing", make), made_once("thing", make)

    assert first == second == cache / "thing"
    assert (first / "content").read_text() == "whole"
    assert len(made) == 1


def test_a_provision_that_failed_leaves_nothing_and_is_tried_again(cache: Path):
    def fail(directory: Path) -> None:
        (directory / "half").touch()
        raise Unavailable("no network")

    with pytest.raises(Unavailable, match="no network"):
        made_once("thing", fail)

    assert [path.name for path in cache.iterdir()] == ["thing.lock"]
    assert made_once("thing", lambda directory: None).is_dir()


def test_a_command_that_fails_is_named_with_what_it_said(tmp_path: Path):
    with pytest.raises(Unavailable, match=r"'sh -c .* failed with 3: no such thing"):
        run_or_unavailable(["sh", "-c", "echo no such thing; exit 3"], cwd=tmp_path, timeout_s=10)
